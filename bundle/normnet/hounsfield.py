"""A CT's values: whether they are HU of a chest, and what of them is padding."""

from pathlib import Path

import numpy as np
from scipy import ndimage

from normnet.errors import InputError

__all__ = ["AIR_HU", "in_hounsfield"]

AIR_HU = -1024.0
"""Air, in HU. Scanners pad what lies outside the field of view with less (-2000, -2048, -3024 ...)."""

LUNG_BELOW_HU, TISSUE_ABOVE_HU = -500.0, -200.0
SMALLEST_SHARE = 0.001
"""Of the voxels above AIR_HU, at least so many are lung, and so many fat, muscle or bone, in any chest CT."""


def in_hounsfield(ct: np.ndarray, path: Path) -> np.ndarray:
    """Sets padding to AIR_HU: what lies below it, and one value that fills all corners.

    Args:
        ct: (X, Y, Z) float32.
        path: where it comes from, for errors.

    Returns:
        (X, Y, Z) float32, HU.

    Raises:
        InputError: the values are not those of a chest CT in HU.
    """
    broken = ct.size - int(np.count_nonzero(np.isfinite(ct)))
    if broken:
        raise InputError(f"{path}: expected finite values in HU, got {broken} that are NaN or infinite.")
    inside = ct > AIR_HU  # Padding would pass for air.
    voxels = np.count_nonzero(inside)
    if not voxels:
        raise InputError(f"{path}: expected a chest CT in HU, but no voxel lies above {AIR_HU:g}.")
    low, high = float(ct.min(where=inside, initial=np.inf)), float(ct.max())
    lung = np.count_nonzero(inside & (ct < LUNG_BELOW_HU)) / voxels
    tissue = np.count_nonzero(ct > TISSUE_ABOVE_HU) / voxels
    if low >= 0 and high > -AIR_HU:
        raise InputError(
            f"{path}: expected HU, got stored values of {low:g} to {high:g}: "
            "the rescale slope and intercept are not applied."
        )
    if lung < SMALLEST_SHARE or tissue < SMALLEST_SHARE:
        raise InputError(
            f"{path}: values of {low:g} to {high:g} do not look like HU of a chest: expected lung below "
            f"{LUNG_BELOW_HU:g} and tissue above {TISSUE_ABOVE_HU:g}."
        )
    return np.maximum(_without_fill(ct), np.float32(AIR_HU))


def _without_fill(ct: np.ndarray) -> np.ndarray:
    """Turns the value round a scan to air: programs that turn, pad or cut a CT fill it up with 0 by default."""
    corners = tuple(slice(None, None, length - 1) for length in ct.shape)
    fill = ct[0, 0, 0]
    if fill < LUNG_BELOW_HU or (ct[corners] != fill).any():
        return ct
    labels, _ = ndimage.label(ct == fill)
    return np.where(np.isin(labels, labels[corners]), np.float32(AIR_HU), ct)
