"""Volumes at the voxels of another grid, on grids that can be worked out by hand."""

import numpy as np
import pytest
import torch

from normnet.resampling import linear_on_grid, nearest_on_grid


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


def test_grids_at_an_angle_are_refused() -> None:
    turned = np.eye(4)
    turned[0, 1] = 0.1
    with pytest.raises(ValueError, match="parallel axes"):
        nearest_on_grid(torch.ones(1, 2, 2, 2), turned, (2, 2, 2))


@pytest.mark.parametrize("slices_mm", [2.0 - 1e-7, 2.0, 2.0 + 1e-7])
def test_halfway_between_two_slices_is_the_even_one_whatever_rounding_made_of_the_affine(
    slices_mm: float,
) -> None:
    slices = torch.arange(150.0).expand(1, 1, 1, 150)
    found = nearest_on_grid(slices, np.diag([1.0, 1.0, 1 / slices_mm, 1.0]), (1, 1, 299))
    assert found[0, 0, 0].tolist() == [round(index / 2) for index in range(299)]  # Python's rounds to even
