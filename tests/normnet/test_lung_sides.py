"""The right lung is where x is larger; joined lungs are cut where they touch."""

import numpy as np
import pytest

from normnet.lung_sides import sides_in_ct, split_sides

SPACING = (4.0, 4.0, 4.0)


def two_blocks(*, bridge: bool = False) -> np.ndarray:
    """A larger block at large x (the right lung), a smaller one at small x, joined in front if asked."""
    lungs = np.zeros((60, 40, 40), dtype=bool)
    lungs[5:22, 5:35, 5:35] = True
    lungs[32:55, 5:35, 5:35] = True
    if bridge:
        lungs[22:32, 32:35, 10:30] = True
    return lungs


def test_the_right_lung_lies_at_larger_x():
    lungs = two_blocks()

    left, right = split_sides(lungs, SPACING)

    assert left[:30].sum() == left.sum() == 17 * 30 * 30
    assert right[30:].sum() == right.sum() == 23 * 30 * 30


@pytest.mark.parametrize("spacing", [(4.0, 4.0, 4.0), (1.2, 1.2, 1.2), (4.0, 4.0, 8.0)])
def test_lungs_joined_in_front_are_cut_in_the_junction(spacing):
    lungs = two_blocks(bridge=True)

    left, right = split_sides(lungs, spacing)

    assert left[:22].sum() == 17 * 30 * 30
    assert right[32:].sum() == 23 * 30 * 30
    assert not left[32:].any()
    assert not right[:22].any()


def test_the_sides_are_a_partition_of_the_mask():
    rng = np.random.default_rng(0)
    lungs = two_blocks(bridge=True) & (rng.random((60, 40, 40)) > 0.02)

    left, right = split_sides(lungs, SPACING)

    assert not (left & right).any()
    np.testing.assert_array_equal(left | right, lungs)


@pytest.mark.parametrize(("where", "side"), [(slice(5, 22), "left"), (slice(35, 55), "right")])
def test_a_single_lung_goes_to_its_side_of_the_field(where, side):
    lungs = np.zeros((60, 40, 40), dtype=bool)
    lungs[where, 5:35, 5:35] = True

    left, right = split_sides(lungs, SPACING)

    assert (left if side == "left" else right).sum() == lungs.sum()


def test_a_single_lung_goes_to_its_side_of_the_body_where_the_midline_is_known():
    lungs = np.zeros((60, 40, 40), dtype=bool)
    lungs[5:22, 5:35, 5:35] = True

    left, right = split_sides(lungs, SPACING, midline=2.0)

    assert not left.any()
    assert right.sum() == lungs.sum()


def test_one_lung_in_an_upper_and_a_lower_piece_is_one_lung():
    lungs = np.zeros((60, 40, 40), dtype=bool)
    lungs[35:55, 5:35, 2:18] = True
    lungs[35:55, 5:35, 22:38] = True

    left, right = split_sides(lungs, SPACING)

    assert not left.any()
    assert right.sum() == lungs.sum()


def test_a_fragment_goes_to_the_nearer_lung():
    lungs = two_blocks()
    lungs[24:26, 10:12, 10:12] = True

    left, right = split_sides(lungs, SPACING)

    assert left[24:26].sum() == 2 * 2 * 2
    assert not right[:30].any()


def test_an_empty_mask_has_no_sides():
    left, right = split_sides(np.zeros((8, 8, 8), dtype=bool), SPACING)

    assert not left.any()
    assert not right.any()


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_single_lung_in_a_field_cut_to_it_lies_away_from_the_heart(side: str) -> None:
    ct = np.full((50, 40, 40), -1000.0, dtype=np.float32)
    lungs = np.zeros(ct.shape, dtype=bool)
    ct[14:, 4:36] = 20  # beyond the lung the chest wall at small x, the heart at large x
    lungs[20:40, 8:32, 5:35] = True
    ct[lungs] = -850
    if side == "right":
        ct, lungs = ct[::-1].copy(), lungs[::-1].copy()

    left, right = sides_in_ct(ct, lungs, SPACING)

    assert (left if side == "left" else right).sum() == lungs.sum()
    by_field = split_sides(lungs, SPACING)
    assert (by_field[0] if side == "right" else by_field[1]).any()  # the middle of the field is misleading
