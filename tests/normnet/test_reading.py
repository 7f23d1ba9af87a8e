"""Reading a CT: the right HU on the right grid, and one sentence for whatever is not a CT.

The phantom, 16 x 14 x 8 voxels of 0.8 x 0.7 x 2 mm, is tissue of 40 HU in air around a lung of -850 HU.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from normnet.errors import InputError
from normnet.reading import LoadCTd, read_ct

SPACING = (0.8, 0.7, 2.0)
ORIGIN_LPS = (-10.0, -12.0, 5.0)
AFFINE = np.array([[-0.8, 0, 0, 10], [0, -0.7, 0, 12], [0, 0, 2, 5], [0, 0, 0, 1]])
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def phantom() -> np.ndarray:
    ct = np.full((16, 14, 8), -1000, dtype=np.int16)
    ct[3:13, 3:11] = 40
    ct[5:8, 5:9] = -850
    return ct + np.random.default_rng(0).integers(-20, 21, ct.shape).astype(np.int16)


def write_slices(
    folder: Path,
    ct: np.ndarray,
    *,
    rescale: Sequence[tuple[float, float]] = ((1.0, -1024.0),),
    positions: Sequence[Sequence[float]] | None = None,
    orientation: Sequence[float] = AXIAL,
    edit: Callable[[int, Dataset], None] = lambda index, header: None,
) -> list[Path]:
    """Writes an uncompressed CT series; neither file names nor instance numbers follow the position."""
    folder.mkdir(parents=True, exist_ok=True)
    series, study = generate_uid(), generate_uid()
    files = []
    for index in range(ct.shape[2]):
        slope, intercept = rescale[index % len(rescale)]
        stored = np.round((ct[:, :, index].T - intercept) / slope).astype("<u2")
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        file = folder / f"IM{index * 5 % ct.shape[2]:03d}"
        header = FileDataset(file, {}, file_meta=meta, preamble=bytes(128))
        header.is_little_endian, header.is_implicit_VR = True, False
        header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        header.StudyInstanceUID, header.SeriesInstanceUID = study, series
        header.Modality, header.SeriesDescription, header.ImageType = "CT", "chest", ["ORIGINAL", "PRIMARY"]
        header.InstanceNumber = index * 3 % ct.shape[2]
        header.ImagePositionPatient = list(
            positions[index] if positions else (*ORIGIN_LPS[:2], 5.0 + 2 * index)
        )
        header.ImageOrientationPatient = list(orientation)
        header.PixelSpacing, header.SliceThickness = [SPACING[1], SPACING[0]], 2
        header.Rows, header.Columns = stored.shape
        header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
        header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 16, 15, 0
        header.RescaleSlope, header.RescaleIntercept = slope, intercept
        header.PixelData = stored.tobytes()
        edit(index, header)
        header.save_as(file, write_like_original=False)
        files.append(file)
    return files


def write_enhanced(
    file: Path, ct: np.ndarray, heights: Sequence[float], rescales: Sequence[float] = (-1024.0,)
) -> None:
    """Writes a multi-frame CT."""
    slices: list[Dataset] = []
    (single,) = write_slices(
        file.parent / "single", ct[:, :, :1], edit=lambda index, header: slices.append(header)
    )
    single.unlink()
    single.parent.rmdir()
    header = slices[0]
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    orientation, measures, shared = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = list(AXIAL)
    measures.PixelSpacing, measures.SliceThickness = header.PixelSpacing, 2
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    frames = []
    for index, height in enumerate(heights):
        frame, place, rescale = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [*ORIGIN_LPS[:2], height]
        rescale.RescaleSlope, rescale.RescaleIntercept = 1, rescales[index % len(rescales)]
        rescale.RescaleType = "HU"
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = [place], [rescale]
        frames.append(frame)
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(header, name)
    del header.RescaleSlope, header.RescaleIntercept
    header.SharedFunctionalGroupsSequence, header.PerFrameFunctionalGroupsSequence = [shared], frames
    header.NumberOfFrames = len(frames)
    header.PixelData = (ct.T + 1024).astype("<u2").tobytes()
    header.save_as(file, write_like_original=False)


def write_nifti(file: Path, ct: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    nib.save(nib.Nifti1Image(ct, affine), file)
    return file


def write_itk(file: Path, ct: np.ndarray) -> Path:
    image = sitk.GetImageFromArray(ct.T)
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN_LPS)
    sitk.WriteImage(image, str(file))
    return file


@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.nii", "ct.nrrd", "ct.nhdr", "ct.mha", "ct.mhd", "dicom"])
def test_every_format_gives_the_same_hu_on_the_same_grid(tmp_path: Path, name: str):
    path = tmp_path / name
    if name == "dicom":
        write_slices(path, phantom())
    elif ".nii" in name:
        write_nifti(path, phantom())
    else:
        write_itk(path, phantom())
    ct = read_ct(path)
    assert ct.shape == (1, 16, 14, 8)
    assert str(ct.dtype) == "torch.float32"
    np.testing.assert_array_equal(ct[0].numpy(), phantom())
    np.testing.assert_allclose(ct.affine, AFFINE, atol=1e-5)
    assert ct.meta["filename_or_obj"] == str(path)


def test_the_transform_reads_its_keys(tmp_path: Path):
    path = write_nifti(tmp_path / "ct.nii.gz", phantom())
    loaded = LoadCTd(keys=("image",))({"image": str(path), "study": "ct"})
    assert loaded["image"].shape == (1, 16, 14, 8)
    assert loaded["study"] == "ct"


def test_a_nifti_with_a_trailing_axis_of_one_is_a_volume(tmp_path: Path):
    assert read_ct(write_nifti(tmp_path / "ct.nii.gz", phantom()[..., None])).shape == (1, 16, 14, 8)


def test_scaled_nifti_values_are_scaled_once(tmp_path: Path):
    image = nib.Nifti1Image(phantom() + np.int16(1024), AFFINE)
    image.header.set_slope_inter(1, -1024)
    nib.save(image, tmp_path / "ct.nii.gz")
    stored = nib.load(tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(read_ct(tmp_path / "ct.nii.gz")[0].numpy(), stored.get_fdata())


def test_padding_becomes_air(tmp_path: Path):
    ct = phantom()
    ct[0, :3, 0] = (-2048, -3024, -32768)
    read = read_ct(write_nifti(tmp_path / "ct.nii.gz", ct))[0].numpy()
    np.testing.assert_array_equal(read[0, :3, 0], -1024)
    np.testing.assert_array_equal(read[1:], ct[1:])


def test_each_dicom_slice_has_its_own_rescale(tmp_path: Path):
    """A reader that takes the first slice's type for all rounds the second."""
    ct = phantom() // 2 * 2
    write_slices(tmp_path, ct, rescale=[(1, -1024), (0.5, -1024.5), (2, -1024)])
    np.testing.assert_allclose(read_ct(tmp_path)[0].numpy(), ct, atol=0.5)


def test_slice_thickness_and_dates_do_not_split_a_series(tmp_path: Path):
    def edit(index: int, header: Dataset) -> None:
        header.SliceThickness, header.SeriesDate = 2 + index / 10, f"2020010{index + 1}"

    write_slices(tmp_path, phantom(), edit=edit)
    np.testing.assert_array_equal(read_ct(tmp_path)[0].numpy(), phantom())


@pytest.mark.parametrize("step", [2.0, -2.0])
def test_sagittal_slices_keep_their_place_in_the_patient(tmp_path: Path, step: float):
    ct = phantom()
    positions = [(step * index, -12.0, 50.0) for index in range(8)]
    write_slices(tmp_path, ct, positions=positions, orientation=(0, 1, 0, 0, 0, -1))
    read = read_ct(tmp_path)
    for index, (left, posterior, superior) in enumerate(positions):
        wanted = np.array([-left, -posterior, superior, 1])
        voxel = np.rint(np.linalg.inv(read.affine) @ wanted).astype(int)
        np.testing.assert_array_equal(read[0, :, :, voxel[2]].numpy(), ct[:, :, index])
        np.testing.assert_allclose(read.affine @ voxel, wanted, atol=1e-6)


@pytest.mark.parametrize("step", [2.0, -2.0])
def test_a_multi_frame_file_is_a_volume(tmp_path: Path, step: float):
    write_enhanced(tmp_path / "ct.dcm", phantom(), [5 + step * index for index in range(8)])
    ct = read_ct(tmp_path / "ct.dcm")
    np.testing.assert_array_equal(ct[0].numpy(), phantom())
    np.testing.assert_allclose(ct.affine.numpy() @ [0, 0, 7, 1], [10, 12, 5 + 7 * step, 1], atol=1e-6)


def save(change: Callable[[np.ndarray], np.ndarray], affine: np.ndarray = AFFINE) -> Callable[[Path], Path]:
    return lambda folder: write_nifti(folder / "ct.nii.gz", change(phantom()), affine)


def cut(write: Callable[[Path, np.ndarray], Path], name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = write(folder / name, phantom())
        data = path.with_suffix(".raw") if path.suffix in (".mhd", ".nhdr") else path
        data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
        return path

    return make


def named(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def without_raw(folder: Path) -> Path:
    path = write_itk(folder / "ct.mhd", phantom())
    path.with_suffix(".raw").unlink()
    return path


def without_codes(folder: Path) -> Path:
    nib.save(nib.Nifti1Image(phantom(), None), folder / "ct.nii.gz")
    return folder / "ct.nii.gz"


def without_space(folder: Path) -> Path:
    nrrd.write(str(folder / "ct.nrrd"), phantom())
    return folder / "ct.nrrd"


def of_two_channels(folder: Path) -> Path:
    image = sitk.GetImageFromArray(np.stack([phantom().T] * 2, -1), isVector=True)
    sitk.WriteImage(image, str(folder / "ct.nrrd"))
    return folder / "ct.nrrd"


def with_nan(ct: np.ndarray) -> np.ndarray:
    ct = ct.astype(np.float32)
    ct[0, 0, :3] = (np.nan, np.inf, -np.inf)
    return ct


def stored(ct: np.ndarray) -> np.ndarray:
    ct = (ct + 1024).astype(np.int16)
    ct[0] = -2000  # Padding is no sign that the rescale was applied.
    return ct


SHEARED = AFFINE + np.array([[0, 0, 0, 0], [0, 0, 0.5, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
CANNOT_READ = r"ct\.\w.*: expected a whole volume, but it cannot be read"

BAD_FILES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (
        lambda folder: folder / "gone.nii.gz",
        r"gone\.nii\.gz: expected a CT volume, but there is no such",
    ),
    "other format": (
        named("ct.png", b"\x89PNG"),
        r"ct\.png: expected DICOM or a file \.nii\.gz, .*got 'ct\.png'",
    ),
    "2D": (save(lambda ct: ct[:, :, 0]), r"ct\.nii\.gz: expected one 3D volume, got shape 16 x 14\."),
    "one slice": (save(lambda ct: ct[:, :, :1]), r"expected one 3D volume, got shape 16 x 14 x 1\."),
    "4D": (save(lambda ct: np.stack([ct, ct], -1)), r"expected one 3D volume, got shape 16 x 14 x 8 x 2\."),
    "two channels": (of_two_channels, r"ct\.nrrd: expected one 3D volume, got shape 16 x 14 x 8 x 2\."),
    "NaN": (save(with_nan), r"ct\.nii\.gz: expected finite values in HU, got 3 that are NaN or infinite\."),
    "0..255": (
        save(lambda ct: ((ct + 1024) // 5).astype(np.uint8)),
        r"values of \d+ to \d+ do not look like HU",
    ),
    "0..1": (save(lambda ct: ((ct + 1024) / 2000).astype(np.float32)), r"values of .* do not look like HU"),
    "stored": (save(stored), r"expected HU, got stored values of \d+ to 1\d\d\d: the rescale .* not applied"),
    "twice": (save(lambda ct: ct - np.int16(1024)), r"do not look like HU of a chest: .* tissue above -200"),
    "nothing": (
        save(lambda ct: np.full_like(ct, -2000)),
        r"expected a chest CT in HU, but no voxel lies above",
    ),
    "no lung": (
        save(lambda ct: np.maximum(ct, -300)),
        r"do not look like HU of a chest: expected lung below -500",
    ),
    "thick": (
        save(lambda ct: ct, np.diag([0.7, 0.7, 12, 1])),
        r"expected a voxel spacing .*got 0\.7 x 0\.7 x 12",
    ),
    "microns": (save(lambda ct: ct, np.diag([700, 700, 2000, 1])), r"of 0\.2 to 10 mm, got 700 x 700 x 2000"),
    "sheared": (save(lambda ct: ct, SHEARED), r"expected axes at right angles, got a shear of 14\.0 degrees"),
    "no orientation": (without_codes, r"expected an orientation, but sform_code and qform_code are both 0"),
    "no space": (without_space, r"ct\.nrrd: expected a 'space' of patient axes in the header, it is missing"),
    "cut .nii": (cut(write_nifti, "ct.nii"), CANNOT_READ),
    "cut .nii.gz": (cut(write_nifti, "ct.nii.gz"), CANNOT_READ),
    "cut .nrrd": (cut(write_itk, "ct.nrrd"), CANNOT_READ),
    "cut .mha": (cut(write_itk, "ct.mha"), CANNOT_READ),
    "cut .raw": (cut(write_itk, "ct.mhd"), CANNOT_READ),
    "no .raw": (without_raw, CANNOT_READ),
    "wrong name": (named("ct.nii.gz", b"no gzip"), CANNOT_READ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_named_with_what_was_found_and_wanted(tmp_path: Path, case: str):
    make, message = BAD_FILES[case]
    path = make(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        read_ct(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def two_series(folder: Path) -> None:
    write_slices(folder, phantom())
    (file,) = write_slices(folder / "x", phantom()[:, :, :1])
    file.rename(folder / "other")


def heights(*values: float) -> Callable[[Path], None]:
    return lambda folder: (
        write_slices(folder, phantom(), positions=[(*ORIGIN_LPS[:2], height) for height in values]) and None
    )


def edited(**changes: object) -> Callable[[Path], None]:
    """Changes the header of the third slice; None removes a field."""

    def edit(index: int, header: Dataset) -> None:
        if index == 2:
            for name, value in changes.items():
                delattr(header, name) if value is None else setattr(header, name, value)

    return lambda folder: write_slices(folder, phantom(), edit=edit) and None


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
        lambda folder: (folder.mkdir(), named("a.txt", b"a")(folder)),
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
    "two phases": (
        heights(0, 2, 4, 6, 6, 8, 10, 12),
        r"expected one slice at each position, got two at 6 mm",
    ),
    "other modality": (edited(Modality="MR"), r"IM002: expected the modality CT, got MR"),
    "localizer": (edited(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), r"IM002: .* got a localizer"),
    "no position": (
        edited(ImagePositionPatient=None),
        r"IM002: expected a CT slice with position and orientation",
    ),
    "no UID": (edited(SeriesInstanceUID=None), r"IM002: .* header is truncated"),
    "other pixels": (
        edited(PixelSpacing=[1, 1]),
        r"IM\d+: expected PixelSpacing \[.*\] as in the first slice",
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


def test_frames_of_different_rescale_are_refused(tmp_path: Path):
    write_enhanced(tmp_path / "ct.dcm", phantom(), [2.0 * index for index in range(8)], rescales=(-1024, 0))
    with pytest.raises(InputError, match=r"ct\.dcm: expected one rescale for all frames, got 2"):
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
