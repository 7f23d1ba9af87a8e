"""Boxes round what a mask holds, so that work is done there and not over the whole field."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

__all__ = ["Box", "boxes_round", "widened"]

Box = tuple[slice, ...]


def boxes_round(mask: np.ndarray, margin: int | Sequence[int] = 0) -> list[Box]:
    """Draws one box round all of a mask; none round an empty one.

    Args:
        mask: (X, Y, Z) bool.
        margin: how far the box reaches beyond, voxels, along every axis or along each.
    """
    return [widened(box, margin) for box in ndimage.find_objects(mask.astype(np.uint8))]


def widened(box: Box, margin: int | Sequence[int]) -> Box:
    """Widens a box by a margin, voxels, within the field: slices end beyond it where arrays end."""
    wide = np.broadcast_to(margin, len(box)).tolist()
    return tuple(slice(max(0, side.start - by), side.stop + by) for side, by in zip(box, wide, strict=True))
