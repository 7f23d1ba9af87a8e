"""The rim between a lesion and the pleura, which the border of a lung that holds air leaves out."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from scipy import ndimage

from normnet.boxes import boxes_in_cubes, boxes_round, widened
from normnet.classical_lungs import DISEASE_HU
from normnet.errors import InputError
from normnet.intensity import BRIGHT_HU

__all__ = ["PleuralRimd", "pleural_rim"]

CUBE = 96
"""Edge of the cubes in which the rim is looked for, voxels."""


def pleural_rim(
    lesion: np.ndarray, lungs: np.ndarray, ct: np.ndarray, spacing: tuple[float, ...], depth_mm: float
) -> np.ndarray:
    """Finds the voxels between lesions and the pleura.

    The lungs end at -500 HU, halfway from air to the chest wall. Where a lesion touches the pleura, halfway from it to
    the wall lies higher, and a rim of the lesion is left out. Here a voxel just outside the lungs, of that density,
    belongs to what the nearest voxel of the lungs is.

    Args:
        lesion: (X, Y, Z) bool.
        lungs: (X, Y, Z) bool.
        ct: (X, Y, Z), HU.
        spacing: voxel size along X, Y, Z in mm.
        depth_mm: how far the rim reaches from the lungs, mm; 0 is none.

    Returns:
        (X, Y, Z) bool, outside the lungs.
    """
    rim = np.zeros_like(lungs)
    inside = lesion & lungs
    # Twice the depth: what is nearest to a voxel of the rim lies in the box, whether lesion or not.
    margin = [2 * int(np.ceil(depth_mm / step)) for step in spacing]
    for field in boxes_round(inside, margin):
        # The distances take 56 bytes a voxel, so they are found cube by cube; transposed in the order of memory.
        for turned in boxes_in_cubes(inside[field].T, CUBE):
            cube = turned[::-1]
            box = widened(cube, margin)
            outside, density = ~lungs[field][box], ct[field][box]
            distance, nearest = ndimage.distance_transform_edt(outside, sampling=spacing, return_indices=True)
            between = outside & (distance <= depth_mm) & (density >= BRIGHT_HU) & (density < DISEASE_HU)
            inner = tuple(
                slice(side.start - wide.start, side.stop - wide.start)
                for side, wide in zip(cube, box, strict=True)
            )
            of_cube = np.zeros_like(outside)
            of_cube[inner] = inside[field][cube]
            rim[field][box] |= between & of_cube[tuple(nearest)]
    return rim


class PleuralRimd(MapTransform):
    """Gives lesions and lungs the rim between a lesion and the pleura (`pleural_rim`).

    Args:
        keys: lesion mask, (1, X, Y, Z).
        lungs_key: the lungs on its grid, (1, X, Y, Z).
        ct_key: the CT on its grid, (1, X, Y, Z), HU.
        depth_mm: how far the rim reaches from the lungs, mm; 0 is the paper's, which has no rim.

    Raises:
        InputError: a depth that is not a distance.
    """

    def __init__(
        self, keys: KeysCollection, lungs_key: str = "lung_mask", ct_key: str = "ct", depth_mm: float = 3.0
    ) -> None:
        super().__init__(keys)
        if not isinstance(depth_mm, int | float) or not 0 <= depth_mm < np.inf:
            raise InputError(f"rim_mm: expected a distance in mm, found {depth_mm!r}.")
        self.lungs_key, self.ct_key, self.depth_mm = lungs_key, ct_key, depth_mm

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        ct: MetaTensor = data[self.ct_key]
        spacing = tuple(float(step) for step in ct.pixdim)
        for key in self.key_iterator(data):
            lesion, lungs = (data[name][0].cpu().numpy() > 0 for name in (key, self.lungs_key))
            rim = pleural_rim(lesion, lungs, ct[0].cpu().numpy(), spacing, self.depth_mm)
            for name in (key, self.lungs_key):
                data[name] = data[name] | torch.from_numpy(rim)[None].to(data[name])
        return data
