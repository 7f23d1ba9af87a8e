"""Results return to the voxels of the CT that they came from."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, CopyItemsd, CropForegroundd, Orientationd, Spacingd

from normnet.ct_grid import ToCTGridd, nearest_on_grid

OBLIQUE = np.array([[0.0, 2.0, 0.2, 5], [-1.5, 0, 0, 7], [0, -0.16, 2.5, -9], [0, 0, 0, 1]])


def test_a_mask_on_the_finer_grid_returns_as_it_was() -> None:
    mask = torch.zeros(1, 20, 24, 16)
    mask[0, 5:12, 6:20, 3:9] = 1
    mask[0, 8, 9, 5] = 0
    item = {"mask": MetaTensor(mask, affine=torch.from_numpy(OBLIQUE))}
    there = Compose(
        [
            CopyItemsd("mask", names="ct"),
            Orientationd("mask", axcodes="RAS", labels=None),
            CropForegroundd("mask", source_key="mask", margin=2),
            Spacingd("mask", pixdim=(0.8, 0.8, 1.0), mode="nearest"),
        ]
    )
    fine = there(item)
    assert fine["mask"].shape[1] > 20
    back = ToCTGridd("mask")(fine)["mask"]
    assert back.shape == (1, 20, 24, 16)
    np.testing.assert_allclose(back.affine, OBLIQUE)
    assert float((back.as_tensor() != mask).float().mean()) < 0.01
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


def test_grids_at_an_angle_are_refused() -> None:
    turned = np.eye(4)
    turned[0, 1] = 0.1
    with pytest.raises(ValueError, match="parallel axes"):
        nearest_on_grid(torch.ones(1, 2, 2, 2), turned, (2, 2, 2))
