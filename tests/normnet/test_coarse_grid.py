"""Blocks of voxels, their means, and the way back, on rows that can be worked out by hand."""

import numpy as np
import pytest

from normnet.coarse_grid import block_factors, block_mean, on_voxels, smooth_on_voxels


def row(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)[:, None, None]


def test_blocks_are_of_about_the_size_asked_for_and_at_least_one_voxel():
    assert block_factors((0.7, 1.0, 5.0), 3.0) == ([4, 3, 1], (pytest.approx(2.8), 3.0, 5.0))


def test_mean_of_whole_blocks_with_padding_and_metal_clipped():
    ct = row(-3024, 0, 3000, 0, 7)

    np.testing.assert_allclose(block_mean(ct, (2, 1, 1)), row(-512, 150))


def test_a_masks_mean_is_its_share_of_each_block():
    mask = np.zeros((4, 2, 2), dtype=bool)
    mask[0] = mask[2, 0, 0] = True

    np.testing.assert_array_equal(block_mean(mask, (2, 2, 2)), row(0.5, 0.125))


def test_the_mean_is_the_same_in_either_order_of_memory():
    ct = np.random.default_rng(0).integers(-1000, 200, (7, 6, 9)).astype(np.float32)
    expected = ct[:6, :6, :8].reshape(2, 3, 3, 2, 2, 4).mean(axis=(1, 3, 5))

    np.testing.assert_allclose(block_mean(ct, (3, 2, 4)), expected, rtol=1e-5)
    np.testing.assert_array_equal(block_mean(np.asfortranarray(ct), (3, 2, 4)), block_mean(ct, (3, 2, 4)))


def test_an_axis_shorter_than_a_block_is_one_block():
    np.testing.assert_allclose(block_mean(row(-30, -50), (6, 1, 1)), row(-40))
    np.testing.assert_array_equal(on_voxels(row(1), (6, 1, 1), (2, 1, 1)), row(1, 1))


def test_every_voxel_gets_its_blocks_value_and_the_rest_the_last_blocks():
    np.testing.assert_array_equal(on_voxels(row(1, 2), (2, 1, 1), (5, 1, 1)), row(1, 1, 2, 2, 2))


def test_smooth_values_lie_between_the_blocks_centres():
    smooth = smooth_on_voxels(row(0, 1), (2, 1, 1), (5, 1, 1))

    np.testing.assert_allclose(smooth, row(0, 0.25, 0.75, 1, 1))


def test_smooth_values_of_one_voxel_a_block_are_the_blocks():
    blocks = np.random.default_rng(0).random((3, 4, 5))

    np.testing.assert_allclose(smooth_on_voxels(blocks, (1, 1, 1), blocks.shape), blocks, rtol=1e-6)
