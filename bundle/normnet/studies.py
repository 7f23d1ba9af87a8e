"""What lies on disk: the studies of a folder, the slices of a DICOM series, the items of a training set."""

import json
import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from normnet.errors import InputError

__all__ = ["EXTENSIONS", "NIFTI", "CTSeries", "ct_series", "find_studies", "is_dicom", "load_datalist"]

NIFTI = (".nii.gz", ".nii")
EXTENSIONS = (*NIFTI, ".nrrd", ".nhdr", ".mha", ".mhd")
"""Files known by their name; DICOM is known by its content, since its files often have no extension."""

DICOM_EXTENSIONS = (".dcm", ".dicom", ".ima")
COMPANIONS = ("lungs", "lesions", "exclude")
"""Masks that may lie beside a CT `case.nii.gz`, as `case_lungs.nii.gz` and so on."""

PATHS = ("image", *COMPANIONS)
VALIDATION_SHARE = 0.2
"""Of the studies that no dataset.json divides, the last ones by name validate."""

GAP_TOLERANCE = 0.1
"""How far a distance of slices may differ from the usual one, as a share of it; headers round positions."""

ORIENTATION_TOLERANCE = 1e-3
"""How far the direction cosines of the slices of one volume may differ."""

Section = Literal["training", "validation"]
log = logging.getLogger(__name__)


def find_studies(dataset_dir: str | Path) -> list[dict[str, str]]:
    """Lists the CTs under a path, sorted by name; hidden files and whatever is no volume are passed over.

    Args:
        dataset_dir: one file, one DICOM folder, or a folder that holds such files and folders at any depth.

    Returns:
        For each study `image` (its path), `study` (a unique name that is safe for a folder) and, where such a
        mask lies beside it, `lungs`, `lesions` and `exclude`.

    Raises:
        InputError: when the path does not exist or holds no study.
    """
    root = Path(dataset_dir)
    if not root.exists():
        raise InputError(f"{root}: expected a CT or a folder of CTs, but there is no such file or folder.")
    images = list(_images(root, set())) if root.is_dir() else [root]
    if not images:
        raise InputError(f"{root}: expected DICOM folders or files {', '.join(EXTENSIONS)}, got none.")
    if root.is_file() and not (_is_volume(root) or is_dicom(root)):
        raise InputError(f"{root}: expected DICOM or a file {', '.join(EXTENSIONS)}, got another file.")
    studies = [
        {"image": str(image), "study": name, **_companions(image)}
        for image, name in zip(images, _unique_names(images), strict=True)
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
    listing = Path(dataset_dir) / "dataset.json"
    if listing.is_file():
        return _listed(listing, section)
    studies = find_studies(dataset_dir)
    if len(studies) == 1:
        log.warning("%s: one CT alone: validation is on the lungs of the training.", dataset_dir)
        return list(studies)
    validating = max(1, round(validation_share * len(studies)))
    return list(studies[:-validating] if section == "training" else studies[-validating:])


def _images(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """Walks down a folder; `seen` keeps a loop of links from being walked for ever."""
    if folder.resolve() in seen:
        return
    seen.add(folder.resolve())
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    if any(is_dicom(entry) for entry in entries if not _is_volume(entry)):
        yield folder
    for entry in entries:
        if entry.is_dir():
            yield from _images(entry, seen)
        elif _is_volume(entry) and not _case(entry).endswith(tuple(f"_{kind}" for kind in COMPANIONS)):
            yield entry


def _is_volume(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith(EXTENSIONS)


def _case(path: Path) -> str:
    """Names a case: the file without its extension, or the whole name of a folder (which may hold dots)."""
    endings = () if path.is_dir() else (*EXTENSIONS, *DICOM_EXTENSIONS)
    ending = next((ending for ending in endings if path.name.lower().endswith(ending)), "")
    return path.resolve().name if path.is_dir() else path.name[: len(path.name) - len(ending)]


def _companions(image: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind in COMPANIONS:
        name = f"{_case(image)}_{kind}"
        masks = [mask for end in EXTENSIONS if (mask := image.absolute().parent / f"{name}{end}").is_file()]
        if len(masks) > 1:
            raise InputError(f"{masks[0]}: expected one mask {name}, but {masks[1].name} lies beside it.")
        if masks:
            found[kind] = str(masks[0])
    return found


def _unique_names(images: Sequence[Path]) -> list[str]:
    """Names each study after its case; the parent folder, then a number, tells those of one name apart."""
    names = [_safe(_case(image)) for image in images]
    repeated = {name for name, count in Counter(names).items() if count > 1}
    unique: list[str] = []
    for image, name in zip(images, names, strict=True):
        long = _safe(f"{name}_{image.resolve().parent.name}") if name in repeated else name
        number = 1
        candidate = long
        while candidate in unique or (candidate != name and candidate in names):
            number += 1
            candidate = f"{long}_{number}"
        unique.append(candidate)
    return unique


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name).lstrip(".") or "study"


def _listed(listing: Path, section: Section) -> list[dict[str, Any]]:
    try:
        items = json.loads(listing.read_text(encoding="utf-8"))[section]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{listing}: expected JSON with a list {section!r}, but it has none.") from error
    if not isinstance(items, list) or not items:
        raise InputError(f"{listing}: expected a list {section!r} of CTs, got an empty one or another type.")
    return [_listed_item(listing, f"{section}[{index}]", item) for index, item in enumerate(items)]


def _listed_item(listing: Path, where: str, item: Any) -> dict[str, Any]:
    if not isinstance(item, dict) or not isinstance(item.get("image"), str):
        raise InputError(f'{listing}: expected {where} to be {{"image": path, ...}}, got {item!r}.')
    item = dict(item)
    for key in item.keys() & set(PATHS):
        path = listing.parent / str(item[key])
        if not path.exists():
            raise InputError(f"{listing}: expected {key!r} of {where} at {path}, but it is not there.")
        item[key] = str(path)
    slices = item.get("exclude_slices", [])
    if not isinstance(slices, list) or not all(type(index) is int for index in slices):
        raise InputError(f"{listing}: expected whole numbers as 'exclude_slices' of {where}, got {slices!r}.")
    return item


@dataclass(frozen=True)
class CTSeries:
    """One CT volume: its files from one end of the stack to the other.

    Attributes:
        files: one per slice, or a single multi-frame file.
        positions: of each slice's first pixel, (slices, 3), LPS, mm.
    """

    files: tuple[Path, ...]
    positions: np.ndarray


def is_dicom(path: Path) -> bool:
    """Tells whether a file starts like DICOM, whatever its name."""
    if not path.is_file() or path.name == "DICOMDIR":
        return False
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def ct_series(path: Path) -> CTSeries:
    """Lists the slices of the one CT series at `path`, sorted by position; reads no pixels.

    Args:
        path: a folder of one series, or a multi-frame file.

    Raises:
        InputError: when that is not one whole, evenly spaced series of CT slices.
    """
    headers = [_header(file) for file in _dicom_files(path)]
    _check_one_series(headers, path)
    for header in headers:
        _check_ct(header)
    planes = [plane for header in headers for plane in _planes(header)]
    if len(planes) < 2:
        hint = "" if path.is_dir() else "; give the folder of its series"
        raise InputError(f"{path}: expected a 3D volume, got a single slice{hint}.")
    if len(headers) > 1 and len(planes) > len(headers):
        raise InputError(f"{path}: expected one volume, got {len(headers)} multi-frame files.")
    for header, (_, orientation) in zip(headers, planes, strict=False):
        _check_alike(header, headers[0], orientation, planes[0][1])
    positions = np.array([position for position, _ in planes])
    row, column = planes[0][1][:3], planes[0][1][3:]
    depth = positions @ np.cross(row, column)
    # Frames of one file stay in its order: that is how they are read.
    order = np.argsort(depth, kind="stable") if len(headers) > 1 else np.arange(len(depth))
    _check_gaps(depth[order], path)
    files = tuple(Path(headers[index].filename) for index in (order if len(headers) > 1 else [0]))
    return CTSeries(files, positions[order])


def _dicom_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    visible = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    files = [file for file in visible if is_dicom(file)]
    if not files:
        raise InputError(f"{path}: expected DICOM slices, got {len(visible)} files of which none is DICOM.")
    for file in visible:
        if file not in files and (file.suffix.lower() in DICOM_EXTENSIONS or not file.stat().st_size):
            raise InputError(f"{file}: expected a DICOM slice, but the file is corrupt or empty.")
    return files


def _header(file: Path) -> Dataset:
    try:
        header = pydicom.dcmread(file, stop_before_pixels=True)
    except Exception as error:  # pydicom raises whatever the damaged bytes lead to.
        raise InputError(f"{file}: expected a DICOM slice, but its header is corrupt.") from error
    if "SeriesInstanceUID" not in header or "Modality" not in header:
        raise InputError(f"{file}: expected a DICOM slice, but its header is truncated: it names no series.")
    return header


def _check_one_series(headers: Sequence[Dataset], path: Path) -> None:
    series: dict[str, list[Dataset]] = {}
    for header in headers:
        series.setdefault(str(header.SeriesInstanceUID), []).append(header)
    if len(series) > 1:
        found = "; ".join(
            f"{uid} ({slices[0].Modality}, {slices[0].get('SeriesDescription', '')!r}, {len(slices)} slices)"
            for uid, slices in sorted(series.items())
        )
        raise InputError(f"{path}: expected one series, got {len(series)}: {found}.")


def _check_ct(header: Dataset) -> None:
    if header.Modality != "CT":
        raise InputError(f"{header.filename}: expected the modality CT, got {header.Modality}.")
    if "LOCALIZER" in (header.get("ImageType") or ()):
        raise InputError(f"{header.filename}: expected an axial CT slice, got a localizer (scout view).")
    rescales = {
        (rescale.get("RescaleSlope"), rescale.get("RescaleIntercept"))
        for frame in header.get("PerFrameFunctionalGroupsSequence", [])
        for rescale in frame.get("PixelValueTransformationSequence", [])
    }
    if len(rescales) > 1:  # ITK applies the first frame's to all.
        raise InputError(f"{header.filename}: expected one rescale for all frames, got {len(rescales)}.")


def _planes(header: Dataset) -> list[tuple[np.ndarray, np.ndarray]]:
    """Reads position (3,) and orientation (6,) of each frame, LPS, mm."""
    try:
        places = _frames(header) if "PerFrameFunctionalGroupsSequence" in header else [(header, header)]
        planes = [
            (np.array(place.ImagePositionPatient, float), np.array(turn.ImageOrientationPatient, float))
            for place, turn in places
        ]
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise InputError(
            f"{header.filename}: expected a CT slice with position and orientation, its header lacks them."
        ) from error
    if any(place.shape != (3,) or turn.shape != (6,) for place, turn in planes):
        raise InputError(f"{header.filename}: expected a position of 3 numbers and an orientation of 6.")
    return planes


def _frames(header: Dataset) -> list[tuple[Dataset, Dataset]]:
    """Finds what says position and orientation of each frame of an enhanced CT."""
    shared = header.SharedFunctionalGroupsSequence[0]
    return [
        (
            frame.PlanePositionSequence[0],
            (frame if "PlaneOrientationSequence" in frame else shared).PlaneOrientationSequence[0],
        )
        for frame in header.PerFrameFunctionalGroupsSequence
    ]


def _check_alike(header: Dataset, first: Dataset, turn: np.ndarray, first_turn: np.ndarray) -> None:
    for name in ("Rows", "Columns", "PixelSpacing"):
        wanted, found = first.get(name), header.get(name)
        if found != wanted:
            raise InputError(
                f"{header.filename}: expected {name} {wanted} as in the first slice, got {found}."
            )
    if np.abs(turn - first_turn).max() > ORIENTATION_TOLERANCE:
        raise InputError(
            f"{header.filename}: expected the orientation {first_turn} of the others, got {turn}."
        )


def _check_gaps(depth: np.ndarray, path: Path) -> None:
    """Raises InputError unless the slices at `depth` (mm along their normal) are evenly spaced."""
    steps = np.diff(depth)
    usual = float(np.median(steps))
    worst = int(np.abs(steps - usual).argmax())
    step = float(steps[worst])
    if usual and abs(step - usual) <= GAP_TOLERANCE * abs(usual):
        return
    if abs(step) < GAP_TOLERANCE * abs(usual) or not usual:
        raise InputError(f"{path}: expected one slice at each position, got two at {depth[worst]:g} mm.")
    raise InputError(
        f"{path}: expected a slice every {abs(usual):g} mm, but from {depth[worst]:g} to "
        f"{depth[worst + 1]:g} mm there is none: slices are missing."
    )
