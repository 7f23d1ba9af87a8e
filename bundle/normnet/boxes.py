"""Boxes round what a mask holds, so that work is done there and not over the whole field."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

__all__ = ["Box", "boxes_in_cubes", "boxes_round", "widened"]

Box = tuple[slice, ...]


def boxes_round(mask: np.ndarray, margin: int | Sequence[int] = 0) -> list[Box]:
    """Draws one box round all of a mask; none round an empty one.

    Args:
        mask: (X, Y, Z) bool.
        margin: how far the box reaches beyond, voxels, along every axis or along each.
    """
    by_z = mask.any(axis=0)  # scipy's find_objects takes ten times as long where x runs fastest in memory
    touched = [mask.any(axis=(1, 2)), by_z.any(axis=1), by_z.any(axis=0)]
    if not touched[0].any():
        return []
    ends = [np.flatnonzero(along)[[0, -1]].tolist() for along in touched]
    return [widened(tuple(slice(first, last + 1) for first, last in ends), margin)]


def boxes_in_cubes(mask: np.ndarray, edge: int) -> list[Box]:
    """Cuts the field into cubes, and draws one box round what of a mask each holds; none where it holds nothing.

    Args:
        mask: (X, Y, Z) bool.
        edge: of the cubes, voxels; those at the end of the field are smaller.
    """
    places = np.ix_(*(np.arange(length) // edge for length in mask.shape))
    counts = [-(-length // edge) for length in mask.shape]
    cube = np.ravel_multi_index(np.broadcast_arrays(*places), counts).astype(np.int32) + 1
    return [box for box in ndimage.find_objects(np.where(mask, cube, 0)) if box is not None]


def widened(box: Box, margin: int | Sequence[int]) -> Box:
    """Widens a box by a margin, voxels, within the field: slices end beyond it where arrays end."""
    wide = np.broadcast_to(margin, len(box)).tolist()
    return tuple(slice(max(0, side.start - by), side.stop + by) for side, by in zip(box, wide, strict=True))
