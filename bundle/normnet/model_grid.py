"""From a CT's own grid to the model's: another voxel size along the same axes (IV-B2)."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import MetaKeys

from normnet.resampling import TIE, linear_on_grid, on_grid_of

__all__ = ["ToModelGridd", "to_spacing"]


def to_spacing(ct: MetaTensor, spacing: Sequence[float]) -> MetaTensor:
    """Interpolates a CT linearly at another voxel size, on the grid that MONAI's `Spacing` has.

    Where a header's rounded numbers make axes lean by a hair, MONAI's moves the grid by half of the difference in voxel
    size, and the CT's first slice may lie outside it; this one does not.

    Args:
        ct: (1, X, Y, Z).
        spacing: of the new grid along X, Y, Z, mm.

    Returns:
        (1, X', Y', Z') float32, whose first voxel lies where the CT's does.
    """
    steps = np.asarray(spacing) / ct.pixdim.numpy()
    x, y, z = np.ceil((np.array(ct.shape[1:]) - 1) / steps - 0.5 - TIE).astype(int) + 1
    to_ct = np.diag([*steps, 1.0])
    model_affine = ct.affine.numpy() @ to_ct
    fine = linear_on_grid(ct, to_ct, (int(x), int(y), int(z)))
    meta = {**ct.meta, MetaKeys.AFFINE: torch.from_numpy(model_affine)}
    return MetaTensor(fine.contiguous(), meta=meta)


class ToModelGridd(MapTransform):
    """Brings a CT to another voxel size by linear interpolation, and its masks by the nearest voxel.

    Args:
        keys: masks on the CT's grid, (1, X, Y, Z) each.
        image_key: the CT, (1, X, Y, Z).
        spacing: of the new grid along X, Y, Z, mm.
    """

    def __init__(self, keys: KeysCollection, spacing: Sequence[float], image_key: Hashable = "image") -> None:
        super().__init__(keys)
        self.image_key, self.spacing = image_key, tuple(spacing)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        data[self.image_key] = to_spacing(data[self.image_key], self.spacing)
        for key in self.key_iterator(data):
            data[key] = on_grid_of(data[key], data[self.image_key]).contiguous()
        return data
