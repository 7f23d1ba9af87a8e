import numpy as np
import pytest
import torch
from scipy import ndimage

from normnet.growing import dilate, grow


def row(*filled: int, length: int = 9) -> torch.Tensor:
    """A row of voxels, some of them filled."""
    mask = torch.zeros(length, 1, 1, dtype=torch.bool)
    mask[list(filled)] = True
    return mask


def filled(mask: torch.Tensor) -> list[int]:
    return mask.flatten().nonzero().flatten().tolist()


@pytest.mark.parametrize(("steps", "expected"), [(0, [4]), (1, [3, 4, 5]), (2, [2, 3, 4, 5, 6])])
def test_each_step_grows_by_one_voxel(steps, expected):
    assert filled(grow(row(4), row(*range(9)), steps)) == expected


def test_growth_stops_at_the_support_border():
    assert filled(grow(row(4), row(3, 4, 5), steps=10)) == [3, 4, 5]


def test_growth_does_not_cross_a_gap():
    assert filled(grow(row(1), row(0, 1, 2, 4, 5), steps=None)) == [0, 1, 2]


def test_seeds_out_of_the_support_are_removed_but_may_grow_into_it():
    assert filled(grow(row(3), row(4, 5, 6), steps=0)) == []
    assert filled(grow(row(3), row(4, 5, 6), steps=2)) == [4, 5]
    assert filled(grow(row(2), row(4, 5, 6), steps=None)) == []


def test_without_a_limit_growth_fills_what_is_connected():
    assert filled(grow(row(0), row(*range(9)), steps=None)) == list(range(9))


def test_no_seed_or_no_support_grows_nothing():
    assert not grow(row(), row(*range(9)), steps=None).any()
    assert not grow(row(4), row(), steps=3).any()


def test_corners_are_neighbours():
    mask = torch.zeros(5, 5, 5, dtype=torch.bool)
    mask[2, 2, 2] = True
    expected = torch.zeros_like(mask)
    expected[1:4, 1:4, 1:4] = True
    assert torch.equal(dilate(mask), expected)


@pytest.mark.parametrize("steps", [1, 4, None])
def test_it_is_scipys_masked_dilation(steps):
    rng = np.random.default_rng(1)
    seed, support = rng.random((24, 18, 21)) < 0.002, rng.random((24, 18, 21)) < 0.15
    dilated = ndimage.binary_dilation(seed, np.ones((3, 3, 3)), iterations=steps or -1, mask=support)
    expected = dilated & support
    assert expected.any() and not np.array_equal(expected, support)
    grown = grow(torch.from_numpy(seed), torch.from_numpy(support), steps)
    assert np.array_equal(grown.numpy(), expected)


def test_the_inputs_stay_as_they_were():
    seed, support = row(4), row(*range(9))
    grow(seed, support, 3)
    assert filled(seed) == [4] and filled(support) == list(range(9))


def test_shapes_and_steps_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        grow(row(4), row(4, length=8), 1)
    with pytest.raises(ValueError, match="at least 0 steps of growth, got -1"):
        grow(row(4), row(4), -1)
