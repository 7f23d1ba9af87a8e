"""What lies on disk: the studies of a folder, and the items of a training set."""

import json
import logging
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from normnet.dicom import DICOM_EXTENSIONS, is_dicom
from normnet.errors import InputError
from normnet.study_names import unique_names

__all__ = [
    "COMPANIONS",
    "EXTENSIONS",
    "NIFTI",
    "beside_ct",
    "find_studies",
    "listed_item",
    "load_datalist",
    "masks_of_name",
]

NIFTI = (".nii.gz", ".nii")
EXTENSIONS = (*NIFTI, ".nrrd", ".nhdr", ".mha", ".mhd")
"""Files known by their name; DICOM is known by its content, since its files often have no extension."""

COMPANIONS = ("lungs", "lesions", "exclude")
"""Masks that may lie beside a CT `case.nii.gz`, as `case_lungs.nii.gz` and so on."""

PATHS = ("image", *COMPANIONS)
RESULTS = {"lesion.nii.gz", "healthy.nii.gz", "lungs.nii.gz"}
"""A folder that holds all of these, which every method writes, holds what was found in a study, and no study."""

SERVED = "datastore_v2.json"
"""MONAI Label's record. Beside the CTs that it serves lies `labels`, their corrections; with DICOM in a folder
`monailabel`, the record with copies of the series."""

VALIDATION_SHARE = 0.2
"""Of the studies that no dataset.json divides, the last ones by name validate."""

Section = Literal["training", "validation"]
log = logging.getLogger(__name__)


def find_studies(dataset_dir: str | Path) -> list[dict[str, str]]:
    """Lists the CTs under a path, sorted by name; hidden files, results and whatever is no volume are passed over.

    So are the corrections and copies that a MONAI Label server keeps beside the CTs it serves.

    Args:
        dataset_dir: one file, one DICOM folder, or a folder that holds such files and folders at any depth; a
            name such as 20230115 comes from the command line as a number.

    Returns:
        For each study `image` (its path), `study` (a unique name that is safe for a folder) and, where such a
        mask lies beside it, `lungs`, `lesions` and `exclude`. Of two masks of one kind that is their name without
        extension, so that whoever reads it says so (`normnet.masks.read_mask`).

    Raises:
        InputError: when the path does not exist or holds no study, or a folder under it may not be read.
    """
    root = Path(str(dataset_dir))
    if not root.exists():
        raise InputError(f"{root}: expected a CT or a folder of CTs, but there is no such file or folder.")
    images = list(_images(root, set())) if root.is_dir() else [root]
    if not images:
        raise InputError(
            f"{root.absolute()}: expected DICOM folders or files {', '.join(EXTENSIONS)}, got none; "
            "name another place by --dataset_dir."
        )
    if root.is_file() and not (_is_volume(root) or is_dicom(root)):
        raise InputError(f"{root}: expected DICOM or a file {', '.join(EXTENSIONS)}, got another file.")
    names = unique_names([_place(image, root) for image in images])
    studies = [
        {"image": str(image), "study": name, **_companions(image)}
        for image, name in zip(images, names, strict=True)
    ]
    return sorted(studies, key=lambda study: study["study"])


def load_datalist(
    dataset_dir: str | Path, section: Section, *, validation_share: float = VALIDATION_SHARE
) -> list[dict[str, Any]]:
    """Lists the CTs to train or to validate on: those in `dataset.json`, else a split of all that is found.

    Args:
        dataset_dir: a folder with a MONAI datalist `dataset.json` ({"training": [{"image": path, ...}, ...],
            "validation": [...]}, paths relative to the folder), or anything that `find_studies` takes.
        section: which part.
        validation_share: without `dataset.json`, the share of studies that validate: the last ones by name,
            at least one; a single study does both, which is logged.

    Returns:
        Items with `image` and, where given, `study`, `lungs`, `lesions`, `exclude` and `exclude_slices`.

    Raises:
        InputError: when the list cannot be read, names files that do not exist, or is empty.
    """
    listing = Path(str(dataset_dir)) / "dataset.json"
    if listing.is_file():
        return _listed(listing, section)
    studies = find_studies(dataset_dir)
    if len(studies) == 1:
        log.warning("%s: one CT alone: validation is on the lungs of the training.", dataset_dir)
        return list(studies)
    validating = max(1, round(validation_share * len(studies)))
    return list(studies[:-validating] if section == "training" else studies[-validating:])


def beside_ct(image: str | Path, kind: str) -> Path:
    """Names the mask of a CT that lies beside it.

    Args:
        image: the CT's file or folder.
        kind: of the mask: lungs, lesions or exclude.
    """
    return _absolute(image).parent / f"{_case(Path(image))}_{kind}.nii.gz"


def masks_of_name(name: Path) -> list[Path]:
    """Lists the files, and links that lead nowhere, that are a mask of this name.

    Args:
        name: without extension.
    """
    places = [name.with_name(f"{name.name}{ending}") for ending in EXTENSIONS]
    # Not Path.exists, which raises where a name is too long: there is no such mask then.
    return [place for place in places if os.path.lexists(place) and not place.is_dir()]


def _images(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """Walks down a folder; `seen` keeps a loop of links from being walked for ever."""
    if folder.resolve() in seen:
        return
    seen.add(folder.resolve())
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise InputError(
            f"{folder}: expected a folder to read, but it cannot be opened ({error.strerror})."
        ) from error
    names = {entry.name for entry in entries}
    if names >= RESULTS or (SERVED in names and folder.name == "monailabel"):
        return
    if SERVED in names:
        entries = [entry for entry in entries if entry.name != "labels"]
    if any(_is_slice(entry) for entry in entries if not _is_volume(entry)):
        yield folder
    cases = {_case(entry) for entry in entries}
    for entry in entries:
        if entry.is_dir():
            yield from _images(entry, seen)
        elif _is_volume(entry):
            case, underscore, kind = _case(entry).rpartition("_")
            if not underscore or kind not in COMPANIONS:
                yield entry
            elif case not in cases:
                log.warning("%s: passed over as a mask, but no CT %s lies beside it.", entry, case)


def _is_volume(path: Path) -> bool:
    """Tells by the name; a link that leads nowhere is one too, so that whoever reads it says so."""
    return path.name.lower().endswith(EXTENSIONS) and not path.is_dir()


def _is_slice(path: Path) -> bool:
    """Tells DICOM; by the name where the file may not be read, so that whoever reads the series says so."""
    try:
        return is_dicom(path)
    except InputError as error:
        if not re.search("[a-z]", path.suffix.lower()) or path.name.lower().endswith(DICOM_EXTENSIONS):
            return True
        log.warning("%s It is no CT by its name and is passed over.", error)
        return False


def _case(path: Path) -> str:
    """Names a case: the file without its extension, or the whole name of a folder (which may hold dots)."""
    endings = () if path.is_dir() else (*EXTENSIONS, *DICOM_EXTENSIONS)
    ending = next((ending for ending in endings if path.name.lower().endswith(ending)), "")
    return _absolute(path).name if path.is_dir() else path.name[: len(path.name) - len(ending)]


def _companions(image: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind in COMPANIONS:
        name = _absolute(image).parent / f"{_case(image)}_{kind}"
        masks = masks_of_name(name)
        if masks:
            found[kind] = str(masks[0] if len(masks) == 1 else name)
    return found


def _place(image: Path, root: Path) -> tuple[str, ...]:
    """Names the case and the folders it lies in, from the nearest up to `root`."""
    return _case(image), *reversed(_absolute(image).relative_to(_absolute(root).parent).parts[:-1])


def _absolute(path: str | Path) -> Path:
    """Makes a path absolute as it was given: links are not followed, since a store's names say nothing of a study."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def _listed(listing: Path, section: Section) -> list[dict[str, Any]]:
    try:
        items = json.loads(listing.read_text(encoding="utf-8"))[section]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{listing}: expected JSON with a list {section!r}, but it has none.") from error
    if not isinstance(items, list) or not items:
        raise InputError(f"{listing}: expected a list {section!r} of CTs, got an empty one or another type.")
    return [listed_item(listing, f"{section}[{index}]", item) for index, item in enumerate(items)]


def listed_item(
    listing: Path, where: str, item: Any, *, wanted: Sequence[str] = ("image",), paths: Sequence[str] = PATHS
) -> dict[str, Any]:
    """Checks one item of a datalist, and makes its paths absolute.

    Args:
        listing: the datalist's file; paths in it are relative to its folder.
        where: the item's place in it, for errors.
        item: as it stands there.
        wanted: keys that must be there, each a path.
        paths: keys that are paths where they are there.

    Raises:
        InputError: a key is missing, or a file is not there.
    """
    if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in wanted):
        form = ", ".join(f'"{key}": path' for key in wanted)
        raise InputError(f"{listing}: expected {where} to be {{{form}, ...}}, got {item!r}.")
    item = dict(item)
    for key in item.keys() & set(paths):
        path = listing.parent / str(item[key])
        if not path.exists():
            raise InputError(f"{listing}: expected {key!r} of {where} at {path}, but it is not there.")
        item[key] = str(path)
    slices = item.get("exclude_slices", [])
    if not isinstance(slices, list) or not all(type(index) is int for index in slices):
        raise InputError(f"{listing}: expected whole numbers as 'exclude_slices' of {where}, got {slices!r}.")
    return item
