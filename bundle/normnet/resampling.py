"""From one grid to another."""

from typing import Literal

import numpy as np
import SimpleITK as sitk
import torch
from monai.data import MetaTensor

from normnet.errors import InputError

__all__ = ["TIE", "Mode", "linear_on_grid", "nearest_on_grid", "on_grid_of"]

Mode = Literal["nearest", "bilinear"]
"""MONAI's names: the nearest voxel, for masks, or between voxels, along all three axes."""

SKEW = 1e-3
"""Most that one axis of a grid may lean along another axis of the other grid, as a share of its own step."""

TIE = 1e-4
"""What the rounding of affines moves a place by, voxels: one on the outer face of a grid's last voxel is in it, and one
half-way between two voxels is half-way, whether a scan comes as NIfTI (float32) or DICOM (decimals)."""


def on_grid_of(volume: MetaTensor, ct: MetaTensor, mode: Mode = "nearest") -> MetaTensor:
    """Brings a volume to the grid of a CT.

    Args:
        volume: (C, X, Y, Z), with its affine.
        ct: (1, X', Y', Z').
        mode: how it is sampled.

    Returns:
        (C, X', Y', Z'), with the CT's affine; x runs fastest in memory.

    Raises:
        InputError: mode is "nearest", and the axes of both grids are not parallel.
    """
    to_volume = np.linalg.inv(volume.affine.cpu().numpy()) @ ct.affine.cpu().numpy()
    x, y, z = ct.shape[1:]
    sample = nearest_on_grid if mode == "nearest" else linear_on_grid
    try:
        sampled = sample(volume.as_subclass(torch.Tensor), to_volume, (x, y, z))
    except ValueError as error:
        file = ct.meta.get("filename_or_obj", "the CT")
        raise InputError(f"{file}: expected axes at right angles, got a sheared grid.") from error
    return MetaTensor(sampled, affine=ct.affine)


def nearest_on_grid(volume: torch.Tensor, to_volume: np.ndarray, shape: tuple[int, int, int]) -> torch.Tensor:
    """Samples a volume at the nearest voxel of each voxel of another grid with parallel axes; 0 outside it.

    The axes of both grids are parallel, so the nearest voxel is found for each axis by itself: a hundredth of the
    time and memory of MONAI's `Invertd`, which resamples voxel by voxel in float64.

    Args:
        volume: (C, X, Y, Z).
        to_volume: (4, 4), from voxel indices of the wanted grid to those of the volume.
        shape: of the wanted grid.

    Returns:
        (C, *shape), the volume's dtype and device; x runs fastest in memory, as in a CT's file.

    Raises:
        ValueError: the axes are not parallel.
    """
    source = np.abs(to_volume[:3, :3]).argmax(axis=1)  # of each axis of the volume, the wanted grid's axis
    along = to_volume[:3, :3][np.arange(3), source]
    leaning = to_volume[:3, :3].copy()
    leaning[np.arange(3), source] = 0
    if sorted(source) != [0, 1, 2] or (np.abs(leaning) > SKEW * np.abs(along)[:, None]).any():
        raise ValueError(f"expected grids with parallel axes, got {to_volume[:3, :3].tolist()} between them")
    axes = [int(np.flatnonzero(source == wanted)[0]) for wanted in range(3)]  # the volume's, as wanted
    zyx = volume.permute(0, *(axis + 1 for axis in reversed(axes))).contiguous()
    inside = []
    for wanted, axis in enumerate(axes):
        place, length = along[axis] * np.arange(shape[wanted]) + to_volume[axis, 3], volume.shape[axis + 1]
        found = np.flatnonzero((place >= -0.5 - TIE) & (place <= length - 0.5 + TIE))
        inside.append(slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0))
        snapped = np.rint(place[found] / TIE) / round(1 / TIE)
        nearest = np.rint(snapped).clip(0, length - 1).astype(np.int64)  # half-way, the even one: no bias
        zyx = zyx.index_select(3 - wanted, torch.as_tensor(nearest, device=volume.device))
    result = volume.new_zeros((len(volume), *reversed(shape)))
    x, y, z = inside
    result[:, z, y, x] = zyx
    return result.permute(0, 3, 2, 1)


def linear_on_grid(volume: torch.Tensor, to_volume: np.ndarray, shape: tuple[int, int, int]) -> torch.Tensor:
    """Interpolates a volume linearly at each voxel of another grid; beyond its last voxels, these go on.

    SimpleITK does so in a tenth of the time and a third of the memory of MONAI's `SpatialResample`.

    Args:
        volume: (C, X, Y, Z).
        to_volume: (4, 4), from voxel indices of the wanted grid to those of the volume.
        shape: of the wanted grid.

    Returns:
        (C, *shape) float32, on the CPU; x runs fastest in memory, as in a CT's file.
    """
    resample = sitk.ResampleImageFilter()
    resample.SetSize(shape)
    resample.SetTransform(sitk.AffineTransform(to_volume[:3, :3].ravel().tolist(), to_volume[:3, 3].tolist()))
    resample.SetInterpolator(sitk.sitkLinear)
    resample.SetUseNearestNeighborExtrapolator(True)
    sampled = torch.empty((len(volume), *reversed(shape)))
    for channel, result in zip(volume.cpu().float().numpy(), sampled, strict=True):
        image = sitk.GetImageFromArray(channel.T)  # SimpleITK's arrays are (Z, Y, X)
        result[:] = torch.from_numpy(sitk.GetArrayFromImage(resample.Execute(image)))
    return sampled.permute(0, 3, 2, 1)
