"""The slices of one DICOM CT series, sorted and checked by their headers."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from normnet.errors import InputError

__all__ = ["DICOM_EXTENSIONS", "CTSeries", "ct_series", "is_dicom", "volume_uids"]

DICOM_EXTENSIONS = (".dcm", ".dicom", ".ima")
"""Endings that many DICOM files have; the content decides."""

GAP_TOLERANCE = 0.1
"""How far a distance of slices may differ from the usual one, as a share of it; headers round positions."""

ORIENTATION_TOLERANCE = 1e-3
"""How far the direction cosines of the slices of one volume may differ."""

OF_ALL_FRAMES = {
    "rescale": ("PixelValueTransformationSequence", "RescaleSlope", "RescaleIntercept"),
    "PixelSpacing": ("PixelMeasuresSequence", "PixelSpacing"),
}
"""What the frames of one file have in common: the sequence that holds it, and its fields."""

log = logging.getLogger(__name__)


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
    """Tells whether a file starts like DICOM, whatever its name.

    Raises:
        InputError: the file may not be read.
    """
    if not path.is_file() or path.name == "DICOMDIR":
        return False
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError as error:
        raise InputError(
            f"{path}: expected a file to read, but it cannot be opened ({error.strerror})."
        ) from error


def ct_series(path: Path) -> CTSeries:
    """Lists the slices of the one CT series at `path`, sorted by position; reads no pixels.

    Where one series of several may be a volume, the others (localizers, bolus tracking, dose reports) are passed over.

    Args:
        path: a folder with one series that may be a volume, or a multi-frame file.

    Raises:
        InputError: when that is not one whole, evenly spaced series of CT slices.
    """
    headers = _one_series([_header(file) for file in _dicom_files(path)], path)
    for header in headers:
        _check_ct(header)
    of_each = [_planes(header) for header in headers]
    planes = [plane for planes_of_one in of_each for plane in planes_of_one]
    if len(planes) < 2:
        hint = "" if path.is_dir() else "; give the folder of its series"
        raise InputError(f"{path}: expected a 3D volume, got a single slice{hint}.")
    if len(headers) > 1 and len(planes) > len(headers):
        raise InputError(f"{path}: expected one volume, got {len(headers)} multi-frame files.")
    for header, planes_of_one in zip(headers, of_each, strict=True):
        _check_alike(header, headers[0])
        _check_turns(header, [turn for _, turn in planes_of_one], planes[0][1])
    positions = np.array([position for position, _ in planes])
    row, column = planes[0][1][:3], planes[0][1][3:]
    depth = positions @ np.cross(row, column)
    # Frames of one file stay in its order: that is how they are read.
    order = np.argsort(depth, kind="stable") if len(headers) > 1 else np.arange(len(depth))
    _check_gaps(depth[order], path)
    files = tuple(Path(headers[index].filename) for index in (order if len(headers) > 1 else [0]))
    return CTSeries(files, positions[order])


def volume_uids(folder: Path) -> list[str]:
    """Lists the UIDs of the series in a folder that may be a volume, in the order of their files; reads no pixels.

    Files that cannot be read are passed over, since a series may be arriving: whether it is whole, `ct_series` tells.
    """
    headers = []
    for file in sorted(folder.iterdir()):
        try:
            if is_dicom(file) and not file.name.startswith("."):
                headers.append(_header(file))
        except InputError as error:
            log.warning("%s", error)
    return _volumes(_by_series(headers))


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


def _one_series(headers: Sequence[Dataset], path: Path) -> list[Dataset]:
    """Chooses the series that may be a volume; where there is but one series, that one, whatever it is."""
    series = _by_series(headers)
    volumes = _volumes(series) or list(series)
    found = "; ".join(
        f"{uid} ({slices[0].Modality}, {slices[0].get('SeriesDescription', '')!r}, {len(slices)} slices)"
        for uid, slices in sorted(series.items())
    )
    if len(volumes) > 1:
        raise InputError(f"{path}: expected one series, got {len(series)}: {found}.")
    if len(series) > 1:
        log.warning("%s: took the series %s of %s.", path, volumes[0], found)
    chosen = series[volumes[0]]
    return [header for header in chosen if not _is_localizer(header)] or chosen


def _by_series(headers: Sequence[Dataset]) -> dict[str, list[Dataset]]:
    series: dict[str, list[Dataset]] = {}
    for header in headers:
        series.setdefault(str(header.SeriesInstanceUID), []).append(header)
    return series


def _volumes(series: Mapping[str, Sequence[Dataset]]) -> list[str]:
    return [uid for uid, slices in series.items() if _may_be_volume(slices)]


def _may_be_volume(series: Sequence[Dataset]) -> bool:
    """Tells whether a series has axial CT slices at more than one place."""
    slices = [header for header in series if header.Modality == "CT" and not _is_localizer(header)]
    places = {str(header.get("ImagePositionPatient")) for header in slices}
    return len(places) > 1 or any("PerFrameFunctionalGroupsSequence" in header for header in slices)


def _is_localizer(header: Dataset) -> bool:
    return "LOCALIZER" in (header.get("ImageType") or ())


def _check_ct(header: Dataset) -> None:
    if header.Modality != "CT":
        raise InputError(f"{header.filename}: expected the modality CT, got {header.Modality}.")
    if _is_localizer(header):
        raise InputError(f"{header.filename}: expected an axial CT slice, got a localizer (scout view).")
    if header.get("PhotometricInterpretation") == "MONOCHROME1":  # ITK turns the values round.
        raise InputError(
            f"{header.filename}: expected MONOCHROME2, got MONOCHROME1: HU would be upside down."
        )
    if not _has_pixel_spacing(header):
        raise InputError(f"{header.filename}: expected a PixelSpacing in mm, its header has none.")
    for what, (sequence, *names) in OF_ALL_FRAMES.items():
        found = _frame_values(header, sequence, names)
        if len(found) > 1:  # ITK applies the first frame's to all.
            raise InputError(f"{header.filename}: expected one {what} for all frames, got {len(found)}.")


def _frame_values(header: Dataset, sequence: str, names: Sequence[str]) -> set[str]:
    """Lists what the frames of an enhanced CT have, each in itself or from what they share."""
    shared = header.get("SharedFunctionalGroupsSequence") or [Dataset()]
    parts = [
        (frame.get(sequence) or shared[0].get(sequence) or [Dataset()])[0]
        for frame in header.get("PerFrameFunctionalGroupsSequence", [])
    ]
    return {str([np.array(part.get(name), float).tolist() for name in names]) for part in parts}


def _has_pixel_spacing(header: Dataset) -> bool:
    """Tells whether the size of pixels is given; ITK would make up 1 mm."""
    shared = header.get("SharedFunctionalGroupsSequence", [])
    frames = header.get("PerFrameFunctionalGroupsSequence", [])
    measures = (
        [header]
        if not frames
        else [measure for part in (*shared, *frames) for measure in part.get("PixelMeasuresSequence", [])]
    )
    return bool(measures) and all(len(part.get("PixelSpacing") or ()) == 2 for part in measures)


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


def _check_alike(header: Dataset, first: Dataset) -> None:
    for name in ("Rows", "Columns", "PixelSpacing"):
        wanted, found = first.get(name), header.get(name)
        if found != wanted:
            raise InputError(
                f"{header.filename}: expected {name} {wanted} as in the first slice, got {found}."
            )
    for name in ("RescaleSlope", "RescaleIntercept"):  # Their values may differ, ITK heeds each slice's own.
        without = [one for one in (header, first) if one.get(name) is None]
        if len(without) == 1:
            raise InputError(
                f"{without[0].filename}: expected a {name} as the other slices have, its header has none."
            )


def _check_turns(header: Dataset, turns: Sequence[np.ndarray], first: np.ndarray) -> None:
    for turn in turns:
        if np.abs(turn - first).max() > ORIENTATION_TOLERANCE:
            raise InputError(
                f"{header.filename}: expected the orientation {first} of the others, got {turn}."
            )


def _check_gaps(depth: np.ndarray, path: Path) -> None:
    """Raises InputError unless the slices at `depth` (mm along their normal) are evenly spaced."""
    off = float(np.abs(depth - np.linspace(depth[0], depth[-1], len(depth))).max())
    if off < GAP_TOLERANCE * abs(depth[-1] - depth[0]) / (len(depth) - 1):
        return
    steps = np.diff(depth)
    usual = float(np.median(steps))
    worst = int(np.abs(steps - usual).argmax())
    step = float(steps[worst])
    if usual and abs(step - usual) <= GAP_TOLERANCE * abs(usual):
        # Small differences that add up: the volume's slices lie evenly between the first and the last.
        if off > 0.5 * abs(usual):
            raise InputError(
                f"{path}: expected evenly spaced slices, but one lies {off:.1f} mm off its place."
            )
        return
    if abs(step) < GAP_TOLERANCE * abs(usual) or not usual:
        raise InputError(f"{path}: expected one slice at each position, got two at {depth[worst]:g} mm.")
    places = f"{path}: expected a slice every {abs(usual):g} mm, but"
    if abs(step) < abs(usual):
        raise InputError(f"{places} those at {depth[worst]:g} and {depth[worst + 1]:g} mm lie closer.")
    raise InputError(
        f"{places} from {depth[worst]:g} to {depth[worst + 1]:g} mm there is none: slices are missing."
    )
