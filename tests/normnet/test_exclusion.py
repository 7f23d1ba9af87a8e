"""What is left out of training, and masks that must lie on their image's grid."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from normnet.errors import InputError
from normnet.exclusion import ExcludeFromLungsd, LoadExclusiond
from normnet.masks import read_mask

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def image() -> MetaTensor:
    return MetaTensor(torch.rand(1, 4, 5, 6), affine=AFFINE, meta={"filename_or_obj": "ct.nii.gz"})


def write_mask(path: Path, mask: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), affine), path)
    return path


def test_slices_and_mask_are_left_out_together(tmp_path: Path) -> None:
    mask = np.zeros((4, 5, 6))
    mask[1, 2, 3] = 1
    path = write_mask(tmp_path / "nodule.nii.gz", mask)
    data = LoadExclusiond(keys="image")({"image": image(), "exclude": str(path), "exclude_slices": [5]})
    assert int(data["exclude"].sum()) == 1 + 4 * 5
    data["lungs"] = torch.ones(1, 4, 5, 6)
    left = ExcludeFromLungsd(keys="image")(data)
    assert int(left["lungs"].sum()) == 120 - 21
    assert float(left["image"][0, 1, 2, 3]) == 0.0 and "exclude" not in left


def test_a_ct_of_which_nothing_is_left_is_an_error() -> None:
    data = LoadExclusiond(keys="image")({"image": image(), "exclude_slices": [2, 3]})
    data["lungs"] = torch.zeros(1, 4, 5, 6)
    data["lungs"][..., 2:4] = 1
    with pytest.raises(InputError, match=r"ct\.nii\.gz: expected a part of the lungs .* left out"):
        ExcludeFromLungsd(keys="image")(data)


def test_nothing_named_leaves_nothing_out() -> None:
    assert not LoadExclusiond(keys="image")({"image": image()})["exclude"].any()


def test_a_slice_out_of_the_volume_is_an_error() -> None:
    with pytest.raises(InputError, match=r"ct\.nii\.gz: slices \[6\] .* slices 0 to 5"):
        LoadExclusiond(keys="image")({"image": image(), "exclude_slices": [6]})


def test_a_mask_in_another_orientation_is_turned(tmp_path: Path) -> None:
    mask = np.zeros((4, 5, 6))
    mask[0, 0, 0] = 1
    flipped = AFFINE @ np.array([[-1, 0, 0, 3], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    path = write_mask(tmp_path / "mask.nii.gz", mask[::-1], flipped)
    assert float(read_mask(path, like=image())[0, 0, 0, 0]) == 1.0


@pytest.mark.parametrize(
    ("shape", "affine"),
    [((4, 5, 7), AFFINE), ((4, 5, 6), np.diag([1.0, 1.0, 2.5, 1.0]))],
    ids=["shape", "spacing"],
)
def test_a_mask_on_another_grid_is_refused(
    tmp_path: Path, shape: tuple[int, ...], affine: np.ndarray
) -> None:
    path = write_mask(tmp_path / "mask.nii.gz", np.ones(shape), affine)
    with pytest.raises(
        InputError, match=r"mask\.nii\.gz: the mask has shape .* ct\.nii\.gz has shape \(4, 5, 6\)"
    ):
        read_mask(path, like=image())


def test_a_missing_or_broken_mask_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_mask(tmp_path / "none.nii.gz", like=image())
    (tmp_path / "broken.nii.gz").write_bytes(b"not a mask")
    with pytest.raises(InputError, match=r"broken\.nii\.gz: expected a whole volume"):
        read_mask(tmp_path / "broken.nii.gz", like=image())
