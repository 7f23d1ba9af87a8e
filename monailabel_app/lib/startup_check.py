"""What must be there before the server starts, or it ends with one sentence."""

import logging
import sys
from pathlib import Path
from typing import NoReturn

from normnet.errors import InputError

__all__ = ["check_studies", "check_weights"]

logger = logging.getLogger(__name__)


def check_studies(studies: str) -> None:
    """Refuses studies that are a file, and warns where a folder is empty: clients may upload into it.

    MONAI Label 0.8.5 makes a missing folder before any code of the app runs, so a misspelt one is empty.

    Args:
        studies: a folder, or a DICOMweb address, which is not looked at.

    Raises:
        InputError: there is a file in its place.
    """
    if studies.startswith(("http://", "https://")):
        return
    folder = Path(studies)
    if not folder.is_dir():
        _refuse(f"{folder}: expected a folder of CTs or a DICOMweb address, got a file.")
    if not any(folder.iterdir()):
        logger.warning(
            "%s: there are no CTs here yet. Upload some, or name another folder by --studies.", folder
        )


def check_weights(weights: Path) -> None:
    """Refuses to start without weights.

    Raises:
        InputError: there is no such file.
    """
    if not weights.is_file():
        _refuse(
            f"{weights}: there are no weights here; 'python scripts/train_ensemble.py HEALTHY_DIR' makes them."
        )


def _refuse(sentence: str) -> NoReturn:
    sys.tracebacklimit = 0  # Starlette prints the traceback of what stops a start: this leaves the sentence.
    raise InputError(sentence)
