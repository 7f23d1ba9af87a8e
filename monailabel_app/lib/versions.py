"""The weights that the server may use: those shipped with the bundle, and those learnt from corrections."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from normnet.errors import InputError
from normnet.whole_file import written_whole

__all__ = ["SHIPPED", "Versions"]

SHIPPED = "0"
"""Name of the version that the bundle ships."""

WEIGHTS, METRICS, POINTER = "model.pt", "metrics.json", "current"
UNFINISHED = ".adding-"


class Versions:
    """Numbered versions of the ensemble's weights, one of them in use.

    Version "0" is the shipped file, which nothing here writes to. Version n is FOLDER/n/model.pt with metrics.json
    beside it; FOLDER/current names the one in use. Whatever is read is whole: versions and the pointer are written
    beside and renamed, so one process may read while another writes or is killed.

    Args:
        folder: of the versions; it is made when the first one is added.
        shipped: the bundle's weights.
    """

    def __init__(self, folder: Path, shipped: Path) -> None:
        self.folder, self.shipped = Path(folder), Path(shipped)

    def names(self) -> list[str]:
        """Lists the versions, oldest first: "0", "1", ..."""
        return [SHIPPED, *map(str, self._numbers())]

    def current(self) -> str:
        """Names the version in use; the shipped one where none was chosen, or the chosen one is gone."""
        try:
            chosen = (self.folder / POINTER).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return SHIPPED
        return chosen if chosen in self.names() else SHIPPED

    def path(self, version: str | None = None) -> Path:
        """Finds the weights of a version, of the one in use by default.

        Raises:
            InputError: there is no such version.
        """
        name = self.current() if version is None else self._known(version)
        return self.shipped if name == SHIPPED else self.folder / name / WEIGHTS

    def metrics(self, version: str) -> dict[str, Any]:
        """Reads what was measured when a version was made; nothing for the shipped one.

        Raises:
            InputError: there is no such version.
        """
        name = self._known(version)
        if name == SHIPPED:
            return {}
        return dict(json.loads((self.folder / name / METRICS).read_text(encoding="utf-8")))

    def add(self, weights: Path, metrics: Mapping[str, Any]) -> str:
        """Adds a version without putting it in use, and names it. What a killed process left is cleared away.

        Args:
            weights: the ensemble's file; it is copied.
            metrics: what was measured; values that JSON knows, no NaN.

        Raises:
            InputError: the disk is full, or the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / ".lock"):
                self._clear_unfinished()
                name = str(max(self._numbers(), default=0) + 1)
                beside = Path(tempfile.mkdtemp(dir=self.folder, prefix=UNFINISHED))
                try:
                    beside.chmod(0o755)
                    (beside / METRICS).write_text(json.dumps(metrics, indent=2, allow_nan=False) + "\n")
                    shutil.copyfile(weights, beside / WEIGHTS)
                    _to_disk(beside / WEIGHTS)
                    beside.rename(self.folder / name)
                finally:
                    shutil.rmtree(beside, ignore_errors=True)
        except OSError as error:
            raise InputError(f"{self.folder}: weights cannot be added here ({error.strerror}).") from error
        return name

    def switch(self, version: str) -> None:
        """Puts a version in use.

        Raises:
            InputError: there is no such version, the disk is full, or the folder cannot be written.
        """
        name = self._known(version)
        with self._locked():
            self._point_to(name)

    def replace(self, earlier: str, version: str) -> bool:
        """Puts a version in use where an earlier one still is; tells whether it was.

        Raises:
            InputError: as `switch`.
        """
        with self._locked():
            still = self.current() == earlier
            if still:
                self._point_to(self._known(version))
        return still

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / ".lock"):
                yield
        except OSError as error:
            raise InputError(
                f"{self.folder / POINTER}: the version in use cannot be written here ({error.strerror})."
            ) from error

    def _point_to(self, name: str) -> None:
        with written_whole(self.folder / POINTER) as beside:
            beside.write_text(name, encoding="utf-8")
            _to_disk(beside)

    def _numbers(self) -> list[int]:
        if not self.folder.is_dir():
            return []
        names = [entry.name for entry in self.folder.iterdir() if (entry / WEIGHTS).is_file()]
        numbers = [int(name) for name in names if name.isascii() and name.isdecimal()]
        return sorted(number for number in numbers if number > 0 and str(number) in names)

    def _known(self, version: str) -> str:
        if version not in self.names():
            raise InputError(
                f"{self.folder}: expected a version of {', '.join(self.names())}, got {version!r}."
            )
        return version

    def _clear_unfinished(self) -> None:
        for leftover in self.folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(leftover, ignore_errors=True)


def _to_disk(path: Path) -> None:
    """Waits until a file is on the disk, so that a power cut after the rename finds it whole."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
