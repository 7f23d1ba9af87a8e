"""Reading a DICOM series: one sentence for each that is not one whole CT, and a real one."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from pydicom.dataset import Dataset

from normnet.errors import InputError
from normnet.reading import read_ct
from tests.normnet.ct_files import ORIGIN_LPS, phantom, write_enhanced, write_slices


def two_series(folder: Path) -> None:
    write_slices(folder, phantom())
    for file in write_slices(folder / "x", phantom()[:, :, :2]):
        file.rename(folder / f"other_{file.name}")


def heights(*values: float) -> Callable[[Path], None]:
    return lambda folder: (
        write_slices(folder, phantom(), positions=[(*ORIGIN_LPS[:2], height) for height in values]) and None
    )


def drifting(folder: Path) -> None:
    depth = np.cumsum([0, *(19 * [2.0]), *(19 * [2.19])])
    ct = np.repeat(phantom(), 5, axis=2)[..., :39]
    write_slices(folder, ct, positions=[(*ORIGIN_LPS[:2], height) for height in depth])


def edited(**changes: object) -> Callable[[Path], None]:
    """Changes the header of the third slice; None removes a field."""

    def edit(index: int, header: Dataset) -> None:
        if index == 2:
            for name, value in changes.items():
                delattr(header, name) if value is None else setattr(header, name, value)

    return lambda folder: write_slices(folder, phantom(), edit=edit) and None


def as_localizer(index: int, header: Dataset) -> None:
    header.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def without_pixel_spacing(index: int, header: Dataset) -> None:
    del header.PixelSpacing


def damaged(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        file = write_slices(folder, phantom())[2]
        file.write_bytes(change(file.read_bytes()))

    return make


def tilted(folder: Path) -> None:
    angle = np.deg2rad(15)
    write_slices(folder, phantom(), orientation=(1, 0, 0, 0, np.cos(angle), -np.sin(angle)))


def junk_with_extension(folder: Path) -> None:
    write_slices(folder, phantom())[2].rename(folder / "slice.dcm")
    (folder / "slice.dcm").write_bytes(b"junk")


BAD_SERIES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda folder: folder.mkdir(), r"series: expected DICOM slices, got 0 files"),
    "not DICOM": (
        lambda folder: (folder.mkdir(), (folder / "a.txt").write_bytes(b"a")),
        r"got 1 files of which none is DICOM",
    ),
    "two series": (
        two_series,
        r"series: expected one series, got 2: .*CT, 'chest', \d slices.*CT, 'chest', \d slices",
    ),
    "one slice": (
        lambda folder: write_slices(folder, phantom()[:, :, :1]),
        r"series: .*3D volume, got a single slice",
    ),
    "missing slice": (
        heights(0, 2, 4, 6, 10, 12, 14, 16),
        r"every 2 mm, but from 6 to 10 mm .* slices are missing",
    ),
    "a slice too many": (
        heights(0, 2, 4, 5, 6, 8, 10, 12),
        r"every 2 mm, but those at 4 and 5 mm lie closer",
    ),
    "drift": (
        drifting,
        r"expected evenly spaced slices, but one lies 1\.8 mm off its place",
    ),
    "two phases": (
        heights(0, 2, 4, 6, 6, 8, 10, 12),
        r"expected one slice at each position, got two at 6 mm",
    ),
    "other modality": (edited(Modality="MR"), r"IM002: expected the modality CT, got MR"),
    "localizers": (
        lambda folder: write_slices(folder, phantom(), edit=as_localizer),
        r"IM\d+: .* got a localizer",
    ),
    "no pixel spacing": (
        lambda folder: write_slices(folder, phantom(), edit=without_pixel_spacing),
        r"IM\d+: expected a PixelSpacing in mm, its header has none",
    ),
    "inverted": (edited(PhotometricInterpretation="MONOCHROME1"), r"expected MONOCHROME2, got MONOCHROME1"),
    "no position": (
        edited(ImagePositionPatient=None),
        r"IM002: expected a CT slice with position and orientation",
    ),
    "no UID": (edited(SeriesInstanceUID=None), r"IM002: .* header is truncated"),
    "other pixels": (
        edited(PixelSpacing=[1, 1]),
        r"IM\d+: expected PixelSpacing \[.*\] as in the first slice",
    ),
    "no rescale": (
        edited(RescaleSlope=None, RescaleIntercept=None),
        r"IM002: expected a RescaleSlope as the other slices have, its header has none",
    ),
    "no intercept": (
        edited(RescaleIntercept=None),
        r"IM002: expected a RescaleIntercept as the other slices have, its header has none",
    ),
    "turned": (
        edited(ImageOrientationPatient=[0, 1, 0, 1, 0, 0]),
        r"IM\d+: expected the orientation .* of the others",
    ),
    "tilted": (tilted, r"series: expected slices stacked at right angles, .* 3\.7 mm off"),
    "cut pixels": (damaged(lambda content: content[:-100]), r"IM002: .* cannot be decoded"),
    "cut header": (damaged(lambda content: content[:400]), r"IM002: .*header is"),
    "no bytes": (
        damaged(lambda content: b""),
        r"IM002: expected a DICOM slice, but the file is corrupt or empty",
    ),
    "junk": (junk_with_extension, r"slice\.dcm: expected a DICOM slice, but the file is corrupt or empty"),
    "junk without extension": (damaged(lambda content: b"junk" * 99), r"slices are missing"),
}


def test_the_one_series_that_is_a_volume_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    write_slices(tmp_path / "alone", phantom())

    def report(index: int, header: Dataset) -> None:
        header.Modality = "SR"
        del header.ImagePositionPatient

    places = [(*ORIGIN_LPS[:2], 5.0)] * 3
    others = {
        "scout": write_slices(tmp_path / "scout", phantom()[..., :2], edit=as_localizer),
        "dose": write_slices(tmp_path / "dose", phantom()[..., :1], edit=report),
        "bolus": write_slices(tmp_path / "bolus", phantom()[..., :3], positions=places),
    }
    mixed = tmp_path / "mixed"
    shutil.copytree(tmp_path / "alone", mixed)
    for name, files in others.items():
        for file in files:
            file.rename(mixed / f"{name}_{file.name}")
    ct, alone = read_ct(mixed), read_ct(tmp_path / "alone")
    assert torch.equal(ct.as_tensor(), alone.as_tensor()) and torch.equal(ct.affine, alone.affine)
    assert "took the series" in caplog.text


def test_a_localizer_within_the_series_is_passed_over(tmp_path: Path):
    positions = [(*ORIGIN_LPS[:2], height) for height in (0, 2, 4, 6, 8, 10, 12, 300)]
    write_slices(
        tmp_path / "ct",
        phantom(),
        positions=positions,
        edit=lambda index, header: as_localizer(index, header) if index == 7 else None,
    )
    ct = read_ct(tmp_path / "ct")
    np.testing.assert_array_equal(ct[0].numpy(), phantom()[..., :7])


def test_rounded_positions_are_evenly_spaced(tmp_path: Path):
    positions = [(*ORIGIN_LPS[:2], round(0.625 * index, 1)) for index in range(8)]  # 0.6 and 0.7 mm apart
    write_slices(tmp_path / "ct", phantom(), positions=positions)
    assert read_ct(tmp_path / "ct").pixdim[2] == pytest.approx(0.625, abs=0.01)


@pytest.mark.parametrize("case", BAD_SERIES)
def test_a_bad_series_is_named_with_what_was_found_and_wanted(tmp_path: Path, case: str):
    make, message = BAD_SERIES[case]
    make(tmp_path / "series")
    with pytest.raises(InputError, match=message) as caught:
        read_ct(tmp_path / "series")
    assert str(caught.value).startswith(str(tmp_path / "series"))
    assert "\n" not in str(caught.value)


def test_one_slice_of_a_series_asks_for_the_folder(tmp_path: Path):
    files = write_slices(tmp_path, phantom())
    with pytest.raises(InputError, match=r"IM\d+: expected a 3D volume, got a single slice; give the folder"):
        read_ct(files[0])


@pytest.mark.parametrize("other", [0, None])
def test_frames_of_different_rescale_are_refused(tmp_path: Path, other: float | None):
    heights = [2.0 * index for index in range(8)]
    write_enhanced(tmp_path / "ct.dcm", phantom(), heights, rescales=(-1024, other))
    with pytest.raises(InputError, match=r"ct\.dcm: expected one rescale for all frames, got 2"):
        read_ct(tmp_path / "ct.dcm")


@pytest.mark.parametrize("frame", [0, 4])
def test_a_frame_of_another_pixel_spacing_is_refused(tmp_path: Path, frame: int):
    heights = [2.0 * index for index in range(8)]
    write_enhanced(tmp_path / "ct.dcm", phantom(), heights, spacings={frame: (0.9, 0.8)})
    with pytest.raises(InputError, match=r"ct\.dcm: expected one PixelSpacing for all frames, got 2"):
        read_ct(tmp_path / "ct.dcm")


@pytest.mark.parametrize("frame", [1, 4, 7])
def test_a_frame_of_another_orientation_is_refused(tmp_path: Path, frame: int):
    heights = [2.0 * index for index in range(8)]
    write_enhanced(tmp_path / "ct.dcm", phantom(), heights, orientations={frame: (0, 1, 0, 0, 0, -1)})
    with pytest.raises(
        InputError, match=r"ct\.dcm: expected the orientation \[1. 0. 0. 0. 1. 0.\] of the others"
    ):
        read_ct(tmp_path / "ct.dcm")


def test_frames_out_of_order_are_refused(tmp_path: Path):
    write_enhanced(tmp_path / "ct.dcm", phantom(), [0, 2, 4, 6, 10, 8, 12, 14])
    with pytest.raises(InputError, match=r"ct\.dcm: expected a slice every 2 mm"):
        read_ct(tmp_path / "ct.dcm")


@pytest.mark.real_ct
def test_a_real_jpeg_2000_series_is_what_simpleitk_reads(real_ct: Path):
    folder = real_ct / "dicom_chest" / "series"
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    wanted = reader.Execute()
    ct = read_ct(folder)
    assert ct.shape == (1, 512, 512, 98)
    np.testing.assert_allclose(ct.pixdim, (1.074219, 1.074219, 3), atol=1e-5)
    np.testing.assert_array_equal(ct[0].numpy(), np.maximum(sitk.GetArrayFromImage(wanted).T, -1024))
    np.testing.assert_allclose(ct.affine[:3, 3], np.array(wanted.GetOrigin()) * (-1, -1, 1), atol=1e-4)
    assert -1024 <= float(ct.min()) < -1000
    assert 1000 < float(ct.max()) < 8000


@pytest.mark.real_ct
@pytest.mark.parametrize("change", [lambda b: b[: len(b) // 2], lambda b: b[:-20000] + bytes(20000)])
def test_a_damaged_jpeg_2000_slice_is_named(real_ct: Path, tmp_path: Path, change: Callable[[bytes], bytes]):
    for file in sorted((real_ct / "dicom_chest" / "series").iterdir())[:3]:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    bad = sorted(tmp_path.iterdir())[1]
    bad.write_bytes(change(bad.read_bytes()))
    with pytest.raises(
        InputError, match=r"expected the pixels of a CT slice, but they cannot be decoded"
    ) as caught:
        read_ct(tmp_path)
    assert str(caught.value).startswith(str(bad))
