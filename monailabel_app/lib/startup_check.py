"""What must be there before the server starts, or it ends with one sentence."""

import json
import logging
import os
import sys
from pathlib import Path
from typing import NoReturn

from normnet.errors import InputError

__all__ = ["check_healthy", "check_model_dir", "check_overlay", "check_studies", "check_weights"]

logger = logging.getLogger(__name__)


def check_studies(studies: str) -> None:
    """Refuses studies that are a file, and warns where a folder is empty: clients may upload into it.

    MONAI Label 0.8.5 makes a missing folder before any code of the app runs, so a misspelt one is empty.

    Args:
        studies: a folder, or a DICOMweb address, which is not looked at.

    Raises:
        InputError: there is a file in its place, or nothing can be written there: labels and the record are.
    """
    if studies.startswith(("http://", "https://")):
        return
    folder = Path(studies)
    if not folder.is_dir():
        _refuse(f"{folder}: expected a folder of CTs or a DICOMweb address, got a file.")
    if not os.access(folder, os.W_OK | os.X_OK):
        _refuse(f"{folder}: expected a folder that corrections can be written to, but it is read-only.")
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


def check_overlay(overlay: Path) -> None:
    """Refuses what cannot be laid over the bundle's configs.

    Raises:
        InputError: there is no such file, or it holds no JSON object.
    """
    try:
        found = json.loads(overlay.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        _refuse(
            f"{overlay}: expected a JSON file to lay over the bundle's configs, but it cannot be read: {error}."
        )
    if not isinstance(found, dict):
        _refuse(
            f"{overlay}: expected a JSON object to lay over the bundle's configs, got a {type(found).__name__}."
        )


def check_model_dir(folder: Path) -> None:
    """Refuses a place where no weights can be written.

    Raises:
        InputError: a file stands there, or in the place of a folder above.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        _refuse(f"{folder}: expected a folder that fine-tuned weights can be written to (model_dir).")


def check_healthy(folder: Path) -> None:
    """Refuses healthy CTs that are not there, which would be found out when the first training fails.

    Raises:
        InputError: there is no such folder.
    """
    if not folder.is_dir():
        _refuse(f"{folder}: expected a folder of healthy CTs (healthy), but there is none.")


def _refuse(sentence: str) -> NoReturn:
    sys.tracebacklimit = 0  # Starlette prints the traceback of what stops a start: this leaves the sentence.
    raise InputError(sentence)
