"""What must be there before the server starts, or it ends with one sentence."""

import logging
import sys
from pathlib import Path
from typing import NoReturn

from normnet.errors import InputError

__all__ = ["check_studies", "check_weights"]


def check_studies(studies: str) -> None:
    """Refuses studies that are not there, or no folder.

    MONAI Label 0.8.5 makes a missing folder before any code of the app runs. So an empty one that is younger than this
    process is taken for that, and taken away again; an empty folder that was there before stays, as do parents.

    Args:
        studies: a folder, or a DICOMweb address, which is not looked at.

    Raises:
        InputError: there is no such folder, or it is a file.
    """
    if studies.startswith(("http://", "https://")):
        return
    folder = Path(studies)
    expected = f"{folder}: expected a folder of CTs or a DICOMweb address"
    if not folder.is_dir():
        _refuse(f"{expected}, got a file.")
    if folder.stat().st_ctime >= _process_start() and not any(folder.iterdir()):
        folder.rmdir()
        _refuse(f"{expected}, but there is no such folder.")


def check_weights(weights: Path) -> None:
    """Refuses to start without weights.

    Raises:
        InputError: there is no such file.
    """
    if not weights.is_file():
        _refuse(
            f"{weights}: there are no weights here; 'python scripts/train_ensemble.py HEALTHY_DIR' makes them."
        )


def _process_start() -> float:
    """Tells when this process loaded `logging`, which is among its first imports, in seconds since the epoch.

    Not psutil's `create_time`, which may be a second early.
    """
    record = logging.makeLogRecord({})
    return record.created - record.relativeCreated / 1000


def _refuse(sentence: str) -> NoReturn:
    sys.tracebacklimit = 0  # Starlette prints the traceback of what stops a start: this leaves the sentence.
    raise InputError(sentence)
