"""What ITK or nibabel would take as it is: corrupt voxels, and names that ITK does not know."""

import os
from pathlib import Path

import numpy as np
import pytest

from normnet.errors import InputError
from normnet.reading import read_ct
from tests.normnet.ct_files import phantom, write_itk, write_nifti, write_slices


@pytest.mark.parametrize(
    ("name", "voxels"),
    [("ct.nii.gz",) * 2, ("ct.nrrd",) * 2, ("ct.nhdr", "ct.raw.gz"), ("ct.mha",) * 2, ("ct.mhd", "ct.zraw")],
)
def test_one_flipped_bit_in_a_compressed_file_is_refused(tmp_path: Path, name: str, voxels: str):
    """Left to themselves, nibabel stops before the checksum, and ITK takes what it has got so far."""
    path, data = tmp_path / name, tmp_path / voxels
    if ".nii" in name:
        write_nifti(path, phantom())
    else:
        write_itk(path, phantom(), compressed=True)
    np.testing.assert_array_equal(read_ct(path)[0].numpy(), phantom())
    content = bytearray(data.read_bytes())
    content[-750] ^= 1
    data.write_bytes(content)
    with pytest.raises(InputError, match=r"expected a whole volume, but it cannot be read"):
        read_ct(path)


@pytest.mark.parametrize("name", ["CT.NII.GZ", "CT.NRRD", "CT.MHA", "CT.MHD"])
def test_a_name_may_be_in_capitals(tmp_path: Path, name: str):
    small = tmp_path / name.lower()
    (write_nifti if ".nii" in small.name else write_itk)(small, phantom())
    small.rename(tmp_path / name)
    np.testing.assert_array_equal(read_ct(tmp_path / name)[0].numpy(), phantom())


@pytest.mark.parametrize("name", ["ct.nrrd", "ct.mha", "folder", "slice"])
def test_a_name_that_is_not_utf8_is_refused_where_itk_reads(tmp_path: Path, name: str):
    """ITK would end the interpreter."""
    strange = tmp_path / os.fsdecode(b"\xff_" + name.encode())
    if name == "folder":
        write_slices(strange, phantom())
    elif name == "slice":
        write_slices(tmp_path, phantom())[2].rename(strange)
    else:
        write_itk(tmp_path / name, phantom()).rename(strange)
    with pytest.raises(InputError, match=r"\\udcff_.*: expected a name in UTF-8") as caught:
        read_ct(tmp_path if name == "slice" else strange)
    assert str(caught.value).isascii()


def test_a_nifti_may_have_any_name(tmp_path: Path):
    path = write_nifti(tmp_path / os.fsdecode(b"\xff.nii.gz"), phantom())
    np.testing.assert_array_equal(read_ct(path)[0].numpy(), phantom())
