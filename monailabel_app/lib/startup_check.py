"""What must be there before the server starts, or it ends with one sentence."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from monai.bundle import ConfigParser

from normnet.errors import InputError
from normnet.studies import find_studies, load_datalist
from normnet.whole_file import refuse_unwritable

from .studies import FORMATS, LocalStudies

__all__ = ["check_options", "check_studies", "check_weights", "check_writable", "warn_of_others"]

OPTIONS = ("bundle", "overlay", "model_dir", "healthy")
"""What the app reads of `--conf NAME VALUE`."""

MONAI_LABEL_OPTIONS = ("server_mode",)
"""What MONAI Label 0.8.5 reads of it for any app; its zoo and its bundle tasks, which read more, are not used here."""

NAMED = 3
"""So many scans that are not offered are named."""

logger = logging.getLogger(__name__)


def check_options(conf: Mapping[str, str]) -> None:
    """Warns of options that nothing reads, and refuses those that would fail later.

    Args:
        conf: from `--conf NAME VALUE`.

    Raises:
        InputError: the overlay is no JSON file, `model_dir` is a file, or the healthy CTs cannot be listed.
    """
    for name in conf:
        if name not in (*OPTIONS, *MONAI_LABEL_OPTIONS):  # Other apps read `models`, for one.
            logger.warning("--conf %s: nothing reads it; this app has %s.", name, ", ".join(OPTIONS))
    if conf.get("overlay"):
        _check_overlay(conf["overlay"])
    if conf.get("model_dir"):
        folder = Path(conf["model_dir"]).absolute()
        there = next(place for place in (folder, *folder.parents) if place.exists())
        if not there.is_dir():
            _refuse(f"{folder}: expected a folder for fine-tuned weights, but {there} is a file.")
    if conf.get("healthy"):
        try:
            load_datalist(conf["healthy"], "training")
            load_datalist(conf["healthy"], "validation")
        except InputError as error:
            _refuse(f"--conf healthy: {error}")


def check_writable(folder: Path) -> None:
    """Refuses a folder that the record of the studies cannot be written into.

    Raises:
        InputError: it can be neither written to nor made.
    """
    try:
        refuse_unwritable([folder])
    except InputError as error:
        _refuse(str(error))


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


def warn_of_others(folder: str, studies: LocalStudies) -> None:
    """Warns of scans in a folder that the bundle's own commands would segment, but that no client is offered.

    Args:
        folder: of the studies.
        studies: what is offered of it.
    """
    try:
        found = [Path(study["image"]) for study in find_studies(folder)]
    except InputError:  # `holds_dicom` has logged it.
        return
    names = {path.relative_to(folder): path.resolve() for path in found}
    offered = studies.image_paths()
    others = [
        ascii(str(name))  # It may hold what is no UTF-8.
        for name, path in names.items()
        if path not in offered
    ]
    if others:
        logger.warning(
            "%s: not offered are %d of the scans found here (%s%s): offered are the CT series where there is DICOM, "
            "else files that end in %s (in lower case), not in subfolders, and one of a name.",
            folder,
            len(others),
            ", ".join(others[:NAMED]),
            ", ..." if len(others) > NAMED else "",
            ", ".join(FORMATS),
        )


def _check_overlay(overlay: str) -> None:
    try:
        content = ConfigParser.load_config_file(overlay)
    except Exception as error:  # Of the file, of JSON, or of YAML, which MONAI reads too.
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        _refuse(f"{overlay}: expected a JSON file to lay over the bundle's configs ({reason}).")
    if not isinstance(content, dict):
        _refuse(f"{overlay}: expected JSON with settings by their names, got a {type(content).__name__}.")


def _refuse(sentence: str) -> NoReturn:
    sys.tracebacklimit = 0  # Starlette prints the traceback of what stops a start: this leaves the sentence.
    raise InputError(sentence)
