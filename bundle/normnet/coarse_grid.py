"""A grid of whole blocks of a CT's voxels, on which anatomy is told apart in little time."""

from collections.abc import Sequence
from functools import reduce

import numpy as np
import SimpleITK as sitk
import torch

from normnet.boxes import Box, boxes_round

__all__ = [
    "block_factors",
    "block_mean",
    "dilate_by_ball",
    "erode_by_ball",
    "on_voxels",
    "smooth_on_voxels",
    "voxels_of",
]

PADDING_HU, METAL_HU = -1024.0, 300.0
"""Values are clipped to these before averaging, HU, so that padding (-2048) and metal do not spread."""


def block_factors(spacing: Sequence[float], size_mm: float) -> tuple[list[int], tuple[float, ...]]:
    """Chooses blocks of about `size_mm`; voxels larger than that are not divided.

    Args:
        spacing: voxel size along X, Y, Z in mm.
        size_mm: wanted size of a block, mm.

    Returns:
        How many voxels a block holds along each axis, and the size of a block in mm.
    """
    factors = [max(1, round(size_mm / mm)) for mm in spacing]
    return factors, tuple(factor * mm for factor, mm in zip(factors, spacing, strict=True))


def block_mean(ct: np.ndarray, factors: Sequence[int]) -> np.ndarray:
    """Averages the HU of each whole block of voxels, padding and metal clipped first.

    Args:
        ct: (X, Y, Z), HU; or a mask, of which each block's share comes back.
        factors: as from `block_factors`.
    """
    layers = (layer.astype(np.float32, copy=False) for layer in _layers(ct, 2, factors[2]))
    sums: np.ndarray = reduce(np.add, (np.clip(layer, PADDING_HU, METAL_HU) for layer in layers))
    for axis in (1, 0):  # z went first: its planes lie whole in memory
        sums = reduce(np.add, _layers(sums, axis, factors[axis]))
    return np.ascontiguousarray(sums) / np.float32(np.prod(np.minimum(factors, ct.shape)))


def _layers(volume: np.ndarray, axis: int, factor: int) -> list[np.ndarray]:
    """Of each whole block along an axis, the first voxels, the second ones and so on; a short axis is one block."""
    factor = min(factor, volume.shape[axis])
    whole = volume.shape[axis] // factor * factor
    return [volume[(slice(None),) * axis + (slice(first, whole, factor),)] for first in range(factor)]


def on_voxels(blocks: np.ndarray, factors: Sequence[int], shape: Sequence[int]) -> np.ndarray:
    """Gives each voxel of a grid of `shape` its block's value; voxels beyond the last whole block, that block's.

    x runs fastest in memory, as in a CT's file.
    """
    zyx = blocks.T
    for axis, (n, factor, m) in enumerate(zip(shape, factors, blocks.shape, strict=True)):
        zyx = zyx.take(np.minimum(np.arange(n) // factor, m - 1), axis=2 - axis)
    return zyx.T


def voxels_of(box: Box, factors: Sequence[int], shape: Sequence[int]) -> Box:
    """The voxels of a box of blocks; those beyond the last whole block belong to it.

    Args:
        box: in blocks.
        factors: as from `block_factors`.
        shape: of the grid of blocks.
    """
    return tuple(
        slice(side.start * factor, side.stop * factor if side.stop < n else None)
        for side, factor, n in zip(box, factors, shape, strict=True)
    )


def smooth_on_voxels(blocks: np.ndarray, factors: Sequence[int], shape: Sequence[int]) -> np.ndarray:
    """Interpolates linearly between the centres of the blocks; voxels beyond the outermost centres get these values.

    Args:
        blocks: (X, Y, Z) float, one value a block.
        factors: as from `block_factors`.
        shape: of the voxels' grid.

    Returns:
        float32 of `shape`.
    """
    beyond = [
        (0, max(0, -(-n // factor) - m)) for n, factor, m in zip(shape, factors, blocks.shape, strict=True)
    ]
    whole = np.pad(blocks.astype(np.float32), beyond, mode="edge")
    smooth = torch.nn.functional.interpolate(
        torch.from_numpy(whole)[None, None],
        scale_factor=[float(factor) for factor in factors],
        mode="trilinear",
    )
    return smooth[0, 0].numpy()[tuple(slice(n) for n in shape)]


def dilate_by_ball(mask: np.ndarray, radius_mm: float, size: Sequence[float]) -> np.ndarray:
    """Dilates by a ball, of one voxel at least along each axis.

    Args:
        mask: (X, Y, Z) bool.
        radius_mm: of the ball, mm.
        size: voxel size along X, Y, Z in mm.
    """
    radius = [max(1, round(radius_mm / mm)) for mm in size]
    dilated = np.zeros(mask.shape, dtype=bool)
    for reached in boxes_round(mask, radius):
        image = sitk.GetImageFromArray(mask[reached].astype(np.uint8))
        ball = sitk.BinaryDilate(image, radius[::-1], sitk.sitkBall)  # SimpleITK's axes run backwards
        dilated[reached] = sitk.GetArrayViewFromImage(ball)
    return dilated


def erode_by_ball(mask: np.ndarray, radius_mm: float, size: Sequence[float]) -> np.ndarray:
    """Erodes by the same ball as `dilate_by_ball`; the field's edge does not erode."""
    eroded = np.zeros(mask.shape, dtype=bool)
    for near in boxes_round(mask, 1):
        eroded[near] = ~dilate_by_ball(~mask[near], radius_mm, size)
    return eroded
