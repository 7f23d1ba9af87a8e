"""Results return to the voxels of the CT that they came from."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, CopyItemsd, CropForegroundd, Orientationd, Spacingd

from normnet.ct_grid import ToCTGridd, as_in_file, linear_on_grid, nearest_on_grid
from normnet.errors import InputError
from normnet.model_grid import ToModelGridd

OBLIQUE = np.array([[0.0, 2.0, 0.2, 5], [-1.5, 0, 0, 7], [0, -0.16, 2.5, -9], [0, 0, 0, 1]])


def test_a_mask_on_the_finer_grid_returns_as_it_was() -> None:
    mask = torch.zeros(1, 20, 24, 16)
    mask[0, 5:12, 6:20, 3:9] = 1
    mask[0, 8, 9, 5] = 0
    item = {"mask": MetaTensor(mask, affine=torch.from_numpy(OBLIQUE), meta={"original_affine": OBLIQUE})}
    there = Compose(
        [
            Orientationd("mask", axcodes="RAS", labels=None),
            CopyItemsd("mask", names="ct"),
            CropForegroundd("mask", source_key="mask", margin=2),
            Spacingd("mask", pixdim=(0.8, 0.8, 1.0), mode="nearest"),
        ]
    )
    fine = there(item)
    assert fine["mask"].shape[1] > 20
    back = ToCTGridd("mask")(fine)["mask"]
    in_file, affine = as_in_file(back[0].numpy(), fine["ct"])
    assert in_file.shape == (20, 24, 16)
    np.testing.assert_allclose(affine, OBLIQUE)
    assert (in_file != mask[0].numpy()).mean() < 0.01
    assert float(back.sum()) == pytest.approx(float(mask.sum()), rel=0.05)


def test_axes_are_swapped_and_flipped_as_the_affine_says() -> None:
    volume = torch.arange(24.0).view(1, 2, 3, 4)
    to_volume = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 2], [0, 1, 0, 0], [0, 0, 0, 1]])
    expected = volume.flip(2).permute(0, 2, 3, 1)
    assert torch.equal(nearest_on_grid(volume, to_volume, (3, 4, 2)), expected)


def test_voxels_outside_are_0() -> None:
    volume, shifted = torch.ones(1, 2, 2, 2), np.eye(4)
    shifted[0, 3] = -1
    assert nearest_on_grid(volume, shifted, (4, 2, 2))[0, :, 0, 0].tolist() == [0, 1, 1, 0]


def test_a_slope_is_interpolated_and_goes_on_level_beyond_the_last_voxel() -> None:
    slope = torch.arange(4.0).view(1, 4, 1, 1) * torch.ones(1, 4, 3, 2)
    halves = np.diag([0.5, 1.0, 1.0, 1.0])
    found = linear_on_grid(slope, halves, (8, 3, 2))
    assert found[0, :, 1, 1].tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]
    swapped = np.array([[0.0, 0.5, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert torch.equal(linear_on_grid(slope, swapped, (3, 8, 2)), found.transpose(1, 2))


def test_another_voxel_size_is_the_grid_and_the_values_of_monai() -> None:
    ct = MetaTensor(torch.rand(1, 11, 13, 9), affine=torch.from_numpy(OBLIQUE))
    mask = MetaTensor((ct.as_tensor() > 0.5).to(torch.uint8), affine=ct.affine)
    item = {"image": ct, "mask": mask}
    ours = ToModelGridd("mask", spacing=(0.8, 0.9, 1.1))(item)
    theirs = Spacingd(["image", "mask"], pixdim=(0.8, 0.9, 1.1), mode=["bilinear", "nearest"])(item)
    for key in item:
        np.testing.assert_allclose(ours[key].affine, theirs[key].affine, atol=1e-9)
        assert ours[key].shape == theirs[key].shape and ours[key].is_contiguous()
    np.testing.assert_allclose(ours["image"], theirs["image"], atol=1e-5)
    assert ours["mask"].dtype == torch.uint8
    assert torch.equal(ours["mask"].as_tensor(), theirs["mask"].to(torch.uint8).as_tensor())


def test_a_sheared_ct_is_named() -> None:
    sheared = OBLIQUE.copy()
    sheared[0, 0] += 0.01
    meta = {"filename_or_obj": "ct.nii.gz"}
    ct = MetaTensor(torch.rand(1, 9, 9, 9), affine=torch.from_numpy(sheared), meta=meta)
    mask = MetaTensor(torch.ones(1, 9, 9, 9), affine=torch.from_numpy(sheared))
    with pytest.raises(InputError, match=r"ct\.nii\.gz: expected axes at right angles"):
        ToModelGridd("mask", spacing=(0.8, 0.8, 1.0))({"image": ct, "mask": mask})


def test_grids_at_an_angle_are_refused() -> None:
    turned = np.eye(4)
    turned[0, 1] = 0.1
    with pytest.raises(ValueError, match="parallel axes"):
        nearest_on_grid(torch.ones(1, 2, 2, 2), turned, (2, 2, 2))
