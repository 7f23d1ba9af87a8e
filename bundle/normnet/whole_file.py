"""Files that are on disk whole or not at all."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["written_whole"]


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Gives a path of the same name beside, renamed to `path` at the end; after an error nothing is left of it.

    Each writer has its own path beside, so that processes may write one file at once: the last one's stays.
    """
    path = Path(path)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        beside = Path(folder) / path.name
        yield beside
        beside.replace(path)
