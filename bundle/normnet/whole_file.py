"""Files that are on disk whole or not at all, and the folders that they go to."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from normnet.errors import InputError

__all__ = ["refuse_unwritable", "written_whole"]


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


def refuse_unwritable(folders: Sequence[str | Path]) -> None:
    """Tries out the folders of a run's results before it begins; none is made.

    Raises:
        InputError: one of them can be neither written to nor made.
    """
    for folder in (Path(str(given)) for given in folders):
        try:
            there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
            tempfile.TemporaryDirectory(dir=there, prefix=".").cleanup()
        except OSError as error:
            raise InputError(f"{folder}: results cannot be written here ({error.strerror}).") from error
