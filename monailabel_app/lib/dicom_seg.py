"""Masks as DICOM Segmentations of a CT series, and back on the image's own grid; needs no network and no binary."""

from collections.abc import Collection, Mapping
from itertools import product
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import SimpleITK as sitk
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid
from pydicom_seg import SegmentReader
from pydicom_seg.template import rgb_to_cielab

from normnet import __version__
from normnet.dicom import ct_series
from normnet.errors import InputError

from .segments import LESION, LESIONS, LUNG, Segment

__all__ = ["label_on_grid", "lesion_from_seg", "write_seg"]

SERIES_NUMBER = 300
"""As MONAI Label's own."""

GRID_TOLERANCE_MM = 1e-2
"""Farthest that two grids' corners may lie apart where their voxels are called the same."""

LEARNED = Code("123110", "DCM", "Artificial Intelligence")

EMPTY_BUT_REQUIRED = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
"""Of every DICOM file, though possibly without a value; anonymisers drop them all the same."""


def write_seg(
    mask: sitk.Image, series: Path, segments: Mapping[int, Segment], out: Path, *, corrected: bool = False
) -> None:
    """Writes a mask as a DICOM Segmentation of its series.

    A slice without a segment is left out; of an empty mask all slices are written, since a DICOM file holds at
    least one.

    Args:
        mask: of whole numbers, on any grid: the voxels of the series take the nearest one's value.
        series: the folder of the CT series.
        segments: what the values stand for.
        out: the file to write.
        corrected: whether a person has looked at it.

    Raises:
        InputError: when the mask has a value that no segment stands for, or the series is none or lacks what a
            Segmentation refers to.
    """
    slices = ct_series(series)
    height = float(np.linalg.norm(_step(slices.positions)))
    headers = [_header(file, height) for file in slices.files]
    array = sitk.GetArrayFromImage(label_on_grid(mask, _grid_of(headers[0], slices.positions)))
    if strays := set(np.unique(array).tolist()) - {0, *segments}:
        raise InputError(
            f"The mask: expected the values {sorted(segments)} of label_info, got {sorted(strays)}."
        )
    frames = np.zeros(array.shape, dtype=np.uint8)
    for number, value in enumerate(sorted(segments), start=1):
        frames[array == value] = number
    try:
        seg = Segmentation(
            source_images=headers,
            pixel_array=frames,
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[
                _description(number, segments[value], corrected)
                for number, value in enumerate(sorted(segments), start=1)
            ],
            series_instance_uid=generate_uid(),
            series_number=SERIES_NUMBER,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="NormNet",
            manufacturer_model_name="normnet",
            software_versions=__version__,
            device_serial_number="1",
            omit_empty_frames=bool(frames.any()),
            content_label="SEGMENTATION",
            content_description="Corrected by an annotator" if corrected else "NormNet, not reviewed",
            series_description=", ".join(segment.name for _, segment in sorted(segments.items()))[:64],
        )
    except (AttributeError, ValueError) as error:
        raise InputError(f"{series}: expected a series that a segmentation can refer to: {error}") from error
    seg.save_as(out)


def lesion_from_seg(seg: Dataset, names: Collection[str] = (LESION,)) -> sitk.Image | None:
    """Reads the segments of these names, whatever their case, as one mask of 0 and 1.

    Returns:
        The mask on the grid of the SEG, which is often cropped to the labelled slices; None where it holds no
        segment of that name.

    Raises:
        InputError: when the SEG has no segments at all, or cannot be read.
    """
    if not seg.get("SegmentSequence"):
        raise InputError(f"{seg.get('SeriesInstanceUID')}: expected a DICOM SEG with segments, found none.")
    wanted = {name.lower() for name in names}
    numbers = [
        int(item.SegmentNumber)
        for item in seg.SegmentSequence
        if str(item.get("SegmentLabel", "")).lower() in wanted
    ]
    if not numbers:
        return None
    try:
        read = SegmentReader().read(seg)
        images = [read.segment_image(number) for number in numbers]
    except Exception as error:  # pydicom_seg raises whatever the damaged bytes lead to.
        raise InputError(f"{seg.SeriesInstanceUID}: expected a DICOM SEG, but it cannot be read.") from error
    merged = np.max([sitk.GetArrayFromImage(image) for image in images], axis=0) >= 0.5
    mask = sitk.GetImageFromArray(merged.astype(np.uint8))
    mask.CopyInformation(images[0])
    return mask


def label_on_grid(mask: sitk.Image, grid: sitk.Image) -> sitk.Image:
    """Gives a mask on another grid, by the nearest voxel, 0 outside; on that very grid its voxels are untouched.

    Args:
        mask: of whole numbers; none is rounded or cut off here, so that the caller sees those that are not.
        grid: whose size, spacing, origin and direction count; its voxels do not.
    """
    same_size = mask.GetSize() == grid.GetSize()
    if same_size and np.abs(_corners(mask) - _corners(grid)).max() < GRID_TOLERANCE_MM:
        untouched = sitk.Image(mask)
        untouched.CopyInformation(grid)
        return untouched
    return sitk.Resample(mask, grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0)


def _corners(image: sitk.Image) -> np.ndarray:
    """Places the eight corner voxels, (8, 3), LPS, mm."""
    ends = [(0, size - 1) for size in image.GetSize()]
    return np.array([image.TransformIndexToPhysicalPoint(corner) for corner in product(*ends)])


def _header(file: Path, height: float) -> Dataset:
    """Reads a slice's header, completed by what a SEG takes over; `height`, mm, leads to the next slice."""
    header = pydicom.dcmread(file, stop_before_pixels=True)
    for keyword in EMPTY_BUT_REQUIRED:
        if keyword not in header:
            setattr(header, keyword, "")
    if "PerFrameFunctionalGroupsSequence" not in header:
        # Where slices are left out, only this tells readers how far apart the others lie.
        header.SpacingBetweenSlices = round(height, 6)
        header.SliceThickness = header.get("SliceThickness") or round(height, 6)
    return header


def _of_all_slices(header: Dataset, group: str, keyword: str) -> np.ndarray:
    """Finds numbers that a single-frame file has at its top and a multi-frame file in its functional groups."""
    if keyword in header:
        return np.array(header[keyword].value, dtype=float)
    shared, first = header.SharedFunctionalGroupsSequence[0], header.PerFrameFunctionalGroupsSequence[0]
    return np.array((shared if group in shared else first)[group][0][keyword].value, dtype=float)


def _step(positions: np.ndarray) -> np.ndarray:
    """Measures the way from one slice to the next, mm."""
    return (positions[-1] - positions[0]) / (len(positions) - 1)


def _grid_of(header: Dataset, positions: np.ndarray) -> sitk.Image:
    turn = _of_all_slices(header, "PlaneOrientationSequence", "ImageOrientationPatient")
    row_mm, column_mm = _of_all_slices(header, "PixelMeasuresSequence", "PixelSpacing")
    step = _step(positions)
    height = float(np.linalg.norm(step))
    grid = sitk.Image(int(header.Columns), int(header.Rows), len(positions), sitk.sitkUInt8)
    grid.SetOrigin(positions[0].tolist())
    grid.SetSpacing([float(column_mm), float(row_mm), height])
    grid.SetDirection(np.stack([turn[:3], turn[3:], step / height], axis=1).ravel().tolist())
    return grid


def _description(number: int, segment: Segment, corrected: bool) -> SegmentDescription:
    kind = hd.seg.SegmentAlgorithmTypeValues
    description = SegmentDescription(
        segment_number=number,
        segment_label=segment.name,
        segmented_property_category=segment.category,
        segmented_property_type=segment.kind,
        algorithm_type=kind.SEMIAUTOMATIC if corrected else kind.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name="NormNet", family=LEARNED, version=__version__
        ),
        anatomic_regions=[LUNG] if segment.kind == LESIONS else None,
    )
    description.RecommendedDisplayCIELabValue = rgb_to_cielab(list(segment.color))
    return description
