"""Boxes round masks of a few voxels."""

import numpy as np

from normnet.boxes import boxes_in_cubes, boxes_round


def test_one_box_holds_all_parts_of_a_mask() -> None:
    mask = np.zeros((9, 9, 9), dtype=bool)
    mask[2, 3, 4] = mask[5, 3, 7] = True
    assert boxes_round(mask) == [(slice(2, 6), slice(3, 4), slice(4, 8))]


def test_a_margin_ends_with_the_field() -> None:
    mask = np.zeros((9, 9, 9), dtype=bool)
    mask[1, 4, 8] = True
    (box,) = boxes_round(mask, [3, 1, 2])
    assert box[:2] == (slice(0, 5), slice(3, 6))
    assert mask[box].shape == (5, 3, 3)


def test_nothing_has_no_box() -> None:
    assert boxes_round(np.zeros((3, 3, 3), dtype=bool), 2) == []


def test_each_cube_that_holds_any_of_a_mask_has_a_box_round_it() -> None:
    mask = np.zeros((10, 4, 4), dtype=bool)
    mask[1:3, 1, 2] = mask[9, 3, 0] = True
    assert boxes_in_cubes(mask, 4) == [
        (slice(1, 3), slice(1, 2), slice(2, 3)),
        (slice(9, 10), slice(3, 4), slice(0, 1)),
    ]


def test_a_part_that_crosses_cubes_is_cut_between_them() -> None:
    mask = np.zeros((8, 3, 3), dtype=bool)
    mask[2:7, 1, 1] = True
    assert [box[0] for box in boxes_in_cubes(mask, 4)] == [slice(2, 4), slice(4, 7)]
