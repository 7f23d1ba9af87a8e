"""From a CT's own grid to the model's: another voxel size along the same axes (IV-B2)."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.data.utils import compute_shape_offset, zoom_affine
from monai.transforms import MapTransform
from monai.utils import MetaKeys, ensure_tuple

from normnet.ct_grid import ToCTGridd, linear_on_grid

__all__ = ["KeepOnCTGridd", "ToModelGridd", "to_spacing"]


def to_spacing(ct: MetaTensor, spacing: Sequence[float]) -> MetaTensor:
    """Interpolates a CT linearly at another voxel size, on the grid that MONAI's `Spacing` has.

    Args:
        ct: (1, X, Y, Z).
        spacing: of the new grid along X, Y, Z, mm.

    Returns:
        (1, X', Y', Z') float32, whose first voxel lies where the CT's does.
    """
    affine = ct.affine.numpy()
    model_affine = zoom_affine(affine, spacing, diagonal=False)
    (x, y, z), model_affine[:3, 3] = compute_shape_offset(ct.shape[1:], affine, model_affine)
    fine = linear_on_grid(ct, np.linalg.inv(affine) @ model_affine, (int(x), int(y), int(z)))
    meta = {**ct.meta, MetaKeys.AFFINE: torch.from_numpy(model_affine)}
    return MetaTensor(fine.contiguous(), meta=meta)


class KeepOnCTGridd(MapTransform):
    """Keeps volumes under further names, for what goes back to the CT's grid.

    MONAI's `CopyItemsd` would copy them, 0.8 GB of a thin CT; nothing in preprocessing writes into a volume.

    Args:
        keys: volumes on the CT's grid.
        names: a further one for each.
    """

    def __init__(self, keys: KeysCollection, names: KeysCollection) -> None:
        super().__init__(keys)
        self.names = ensure_tuple(names)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        return {**data, **{name: data[key] for key, name in zip(self.keys, self.names, strict=True)}}


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
        image = to_spacing(data[self.image_key], self.spacing)
        data = ToCTGridd(self.keys, ct_key=self.image_key)({**data, self.image_key: image})
        return {**data, **{mask: data[mask].contiguous() for mask in self.key_iterator(data)}}
