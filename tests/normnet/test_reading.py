"""Reading a CT: the right HU on the right grid, and one sentence for whatever is not a CT."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset

from normnet.errors import InputError
from normnet.reading import LoadCTd, read_ct
from tests.normnet.ct_files import AFFINE, phantom, write_enhanced, write_itk, write_nifti, write_slices


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


@pytest.mark.parametrize("fill", [0, 40])
def test_a_value_that_surrounds_the_scan_becomes_air(tmp_path: Path, fill: int):
    ct = np.pad(phantom(), [(3, 2), (2, 4), (0, 0)], constant_values=fill)
    ct[6, 6, 2] = fill  # tissue of that value stays
    ct[3, 2] = fill  # a corner of the scan, too, as where it was turned
    read = read_ct(write_nifti(tmp_path / "ct.nii.gz", ct))[0].numpy()
    scan = np.zeros(ct.shape, dtype=bool)
    scan[3:-2, 2:-4] = True
    scan[3, 2] = False
    np.testing.assert_array_equal(read[~scan], -1024)
    np.testing.assert_array_equal(read[scan], ct[scan])


def test_air_of_one_value_stays(tmp_path: Path):
    ct = np.maximum(phantom(), -1000)
    ct[ct < -970] = -1000
    np.testing.assert_array_equal(read_ct(write_nifti(tmp_path / "ct.nii.gz", ct))[0].numpy(), ct)


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


def without_field(field: str) -> Callable[[Path], Path]:
    """A MetaImage whose header lacks a line."""

    def make(folder: Path) -> Path:
        path = write_itk(folder / "ct.mhd", phantom())
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not line.startswith(field)))
        return path

    return make


def without_compressed_size(folder: Path) -> Path:
    path = write_itk(folder / "ct.mha", phantom(), compressed=True)
    path.write_bytes(path.read_bytes().replace(b"CompressedDataSize", b"Comment"))
    return path


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
        r"gone\.nii\.gz: expected a volume, but there is no such",
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
    "no size": (without_field("ElementSpacing"), r"ct\.mhd: expected an ElementSpacing in the header"),
    "no axes": (without_field("TransformMatrix"), r"ct\.mhd: expected a TransformMatrix in the header"),
    "no compressed size": (
        without_compressed_size,
        r"ct\.mha: expected a CompressedDataSize in the header",
    ),
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
