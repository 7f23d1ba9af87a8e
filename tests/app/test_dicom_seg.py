"""Masks to DICOM SEG and back."""

from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom_seg import MultiClassReader

from monailabel_app.lib.dicom_seg import label_on_grid, lesion_from_seg, write_seg
from monailabel_app.lib.segments import segments_from
from normnet.errors import InputError
from normnet.reading import read_volume
from tests.app.dicom_series import instances, write_series

SPACING = (3.0, 2.5, 4.0)
SHAPE = (20, 24, 10)
OBLIQUE = (0.98, 0.199, 0.0, -0.199, 0.98, 0.0)


def write_phantom(folder: Path, orientation: tuple[float, ...] = OBLIQUE) -> sitk.Image:
    """Writes a series of air with a box of tissue; returns an empty mask on its grid."""
    ct = np.full(SHAPE, -1000)
    ct[5:15, 6:18] = 40
    exact = np.array(orientation)
    exact[:3] /= np.linalg.norm(exact[:3])
    exact[3:] /= np.linalg.norm(exact[3:])
    write_series(folder, ct, SPACING, orientation=tuple(exact))
    volume = read_volume(folder)
    to_lps = np.diag([-1.0, -1, 1]) @ volume.affine.numpy()[:3]
    mask = sitk.Image(*SHAPE, sitk.sitkUInt8)
    spacing = np.linalg.norm(to_lps[:, :3], axis=0)
    mask.SetSpacing(spacing.tolist())
    mask.SetOrigin(to_lps[:, 3].tolist())
    mask.SetDirection((to_lps[:, :3] / spacing).ravel().tolist())
    return mask


def filled(mask: sitk.Image, **boxes: tuple[int, ...]) -> sitk.Image:
    """Sets boxes (x0, x1, y0, y1, z0, z1) to 1, 2, ..."""
    array = sitk.GetArrayFromImage(mask)
    for value, (x0, x1, y0, y1, z0, z1) in enumerate(boxes.values(), start=1):
        array[z0:z1, y0:y1, x0:x1] = value
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(mask)
    return image


@pytest.fixture(params=[(1.0, 0, 0, 0, 1, 0), OBLIQUE], ids=["axial", "turned"])
def series(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, sitk.Image]:
    folder = tmp_path / "series"
    return folder, write_phantom(folder, request.param)


def test_seg_refers_to_its_series_and_lies_on_its_slices(
    series: tuple[Path, sitk.Image], tmp_path: Path
) -> None:
    folder, empty = series
    write_seg(
        filled(empty, lesion=(4, 9, 3, 8, 2, 5)),
        folder,
        segments_from(None, {"lesion": 1}),
        tmp_path / "s.dcm",
    )
    seg, source = hd.seg.segread(tmp_path / "s.dcm"), pydicom.dcmread(next(folder.iterdir()))
    assert seg.StudyInstanceUID == source.StudyInstanceUID
    assert seg.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert seg.PatientID == source.PatientID
    (referenced,) = seg.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == source.SeriesInstanceUID
    assert {item.ReferencedSOPInstanceUID for item in referenced.ReferencedInstanceSequence} == instances(
        folder
    )
    assert seg.NumberOfFrames == 3
    by_uid = {
        header.SOPInstanceUID: header.ImagePositionPatient
        for header in (pydicom.dcmread(file) for file in folder.iterdir())
    }
    for frame in seg.PerFrameFunctionalGroupsSequence:
        (source_slice,) = frame.DerivationImageSequence[0].SourceImageSequence
        place = frame.PlanePositionSequence[0].ImagePositionPatient
        assert place == by_uid[source_slice.ReferencedSOPInstanceUID]


def test_segment_says_lesion_of_the_lung(series: tuple[Path, sitk.Image], tmp_path: Path) -> None:
    folder, empty = series
    segments = segments_from([{"name": "lesion", "idx": 1, "color": [255, 0, 0]}], {})
    write_seg(filled(empty, lesion=(4, 9, 3, 8, 2, 5)), folder, segments, tmp_path / "s.dcm", corrected=True)
    (item,) = pydicom.dcmread(tmp_path / "s.dcm").SegmentSequence
    assert item.SegmentLabel == "lesion"
    assert item.SegmentAlgorithmType == "SEMIAUTOMATIC"
    assert item.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert item.SegmentedPropertyTypeCodeSequence[0].CodeValue == "52988006"
    assert item.AnatomicRegionSequence[0].CodeValue == "39607008"
    assert item.RecommendedDisplayCIELabValue == pytest.approx([34885, 53485, 50171], abs=50)  # sRGB red


@pytest.mark.parametrize(
    "said",
    [5, {"name": "lesion"}, [5], [{"color": [float("inf"), 0, 0]}], [{"color": {"r": 1}}], [{"idx": 1e999}]],
    ids=repr,
)
def test_what_says_nothing_of_the_values_is_one_sentence(said: Any) -> None:
    with pytest.raises(InputError, match=r"^label_info: expected "):
        segments_from(said, {"lesion": 1})


def test_seg_read_back_is_cropped_and_its_grid_makes_it_whole(
    series: tuple[Path, sitk.Image], tmp_path: Path
) -> None:
    folder, empty = series
    mask = filled(empty, lesion=(4, 9, 3, 8, 2, 5))
    write_seg(mask, folder, segments_from(None, {"lesion": 1}), tmp_path / "s.dcm")
    cropped = lesion_from_seg(pydicom.dcmread(tmp_path / "s.dcm"))
    assert cropped is not None
    assert cropped.GetSize()[2] == 3
    whole = label_on_grid(cropped, empty)
    assert whole.GetSize() == empty.GetSize()
    assert (sitk.GetArrayFromImage(whole) == sitk.GetArrayFromImage(mask)).all()


def test_only_segments_of_the_name_are_read(series: tuple[Path, sitk.Image], tmp_path: Path) -> None:
    folder, empty = series
    mask = filled(empty, left=(1, 5, 3, 8, 2, 5), right=(8, 12, 3, 8, 1, 7), lesion=(14, 16, 3, 8, 6, 9))
    labels = {"left lung": 1, "right lung": 2, "Lesion": 3}
    write_seg(mask, folder, segments_from(None, labels), tmp_path / "s.dcm")
    seg = pydicom.dcmread(tmp_path / "s.dcm")
    assert (MultiClassReader().read(seg).data == sitk.GetArrayFromImage(mask)[1:9]).all()
    lesion = lesion_from_seg(seg)
    assert lesion is not None
    read = sitk.GetArrayFromImage(label_on_grid(lesion, empty))
    assert (read == (sitk.GetArrayFromImage(mask) == 3)).all()
    assert lesion_from_seg(seg, names=["vessel"]) is None


def test_empty_mask_is_a_seg_of_empty_slices(series: tuple[Path, sitk.Image], tmp_path: Path) -> None:
    folder, empty = series
    write_seg(empty, folder, segments_from(None, {"lesion": 1}), tmp_path / "s.dcm")
    seg = pydicom.dcmread(tmp_path / "s.dcm")
    assert seg.NumberOfFrames == SHAPE[2]
    lesion = lesion_from_seg(seg)
    assert lesion is not None
    assert not sitk.GetArrayFromImage(lesion).any()


def test_mask_on_another_grid_is_laid_on_the_slices(series: tuple[Path, sitk.Image], tmp_path: Path) -> None:
    folder, empty = series
    flipped = sitk.Flip(filled(empty, lesion=(4, 9, 3, 8, 2, 5)), [True, False, True])
    write_seg(flipped, folder, segments_from(None, {"lesion": 1}), tmp_path / "s.dcm")
    lesion = lesion_from_seg(pydicom.dcmread(tmp_path / "s.dcm"))
    assert lesion is not None
    read = sitk.GetArrayFromImage(label_on_grid(lesion, empty))
    assert (read == sitk.GetArrayFromImage(filled(empty, lesion=(4, 9, 3, 8, 2, 5)))).all()


def test_series_without_frame_of_reference_is_refused(tmp_path: Path) -> None:
    empty = write_phantom(tmp_path / "series")
    for file in (tmp_path / "series").iterdir():
        header = pydicom.dcmread(file)
        del header.FrameOfReferenceUID, header.PatientBirthDate
        header.save_as(file)
    with pytest.raises(InputError, match="Frame Of Reference"):
        write_seg(empty, tmp_path / "series", segments_from(None, {"lesion": 1}), tmp_path / "s.dcm")


@pytest.mark.parametrize(("value", "kind"), [(256, np.int16), (0.9, np.float32), (257, np.int16)])
def test_a_value_of_no_segment_is_refused(
    series: tuple[Path, sitk.Image], tmp_path: Path, value: float, kind: type
) -> None:
    folder, empty = series
    mask = sitk.GetImageFromArray(sitk.GetArrayFromImage(empty).astype(kind))
    mask.CopyInformation(empty)
    mask[5, 5, 5] = value
    with pytest.raises(InputError, match=rf"expected the values \[1\] of label_info, got \[{int(value)}"):
        write_seg(mask, folder, segments_from(None, {"lesion": 1}), tmp_path / "s.dcm")
    assert not (tmp_path / "s.dcm").exists()


def test_a_seg_without_segments_is_one_sentence(series: tuple[Path, sitk.Image], tmp_path: Path) -> None:
    folder, empty = series
    write_seg(empty, folder, segments_from(None, {"lesion": 1}), tmp_path / "s.dcm")
    seg = pydicom.dcmread(tmp_path / "s.dcm")
    del seg.SegmentSequence[0].SegmentLabel
    assert lesion_from_seg(seg) is None
    del seg.SegmentSequence
    with pytest.raises(InputError, match=f"^{seg.SeriesInstanceUID}: expected a DICOM SEG with segments"):
        lesion_from_seg(seg)


@pytest.mark.parametrize("label_info", [["lesion"], [{"name": "lesion", "idx": "one"}], [{"color": "red"}]])
def test_label_info_of_another_form_is_refused(label_info: list[object]) -> None:
    with pytest.raises(InputError, match="label_info"):
        segments_from(label_info, {"lesion": 1})  # type: ignore[arg-type]
