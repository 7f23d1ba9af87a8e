"""Parts of a healthy CT that are left out of training, such as the slices that hold a nodule (IV-A1).

The paper "removes" such slices. Here they are blanked in place, as no lung, so that slices which are no neighbours in
the patient do not become neighbours in the volume.
"""

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from normnet.errors import InputError
from normnet.masks import read_mask

__all__ = ["ExcludeFromLungsd", "LoadExclusiond"]


class LoadExclusiond(MapTransform):
    """Makes the mask of what training leaves out, on the CT's own grid.

    Reads `exclude`, the path of a mask (its non-zero voxels are left out), and `exclude_slices`, indices of whole
    slices along the file's third axis; either may be missing.

    Args:
        keys: the CT, (1, X, Y, Z), as loaded from its file.
        exclude_key: where the mask's path is read and the mask (1, X, Y, Z) is written.
        slices_key: where the slice indices are read.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        exclude_key: str = "exclude",
        slices_key: str = "exclude_slices",
    ) -> None:
        super().__init__(keys)
        self.exclude_key, self.slices_key = exclude_key, slices_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        for key in self.keys:
            image = data[key]
            mask = torch.zeros(image.shape, dtype=torch.uint8)
            if self.exclude_key in data:
                mask |= (read_mask(data[self.exclude_key], like=image).as_tensor() > 0).to(torch.uint8)
            slices = list(data.pop(self.slices_key, []))
            outside = [index for index in slices if not 0 <= index < image.shape[-1]]
            if outside:
                raise InputError(
                    f"{image.meta.get('filename_or_obj')}: slices {outside} are to be left out, "
                    f"but the volume has slices 0 to {image.shape[-1] - 1}."
                )
            mask[..., slices] = 1
            data[self.exclude_key] = MetaTensor(mask, affine=image.affine)
        return data


class ExcludeFromLungsd(MapTransform):
    """Takes what is left out of training out of the lung mask and the image, which keep their size.

    Args:
        keys: thorax area, (1, X, Y, Z), in [0, 1].
        lungs_key: lung mask, (1, X, Y, Z).
        exclude_key: mask of what is left out, (1, X, Y, Z); it is dropped afterwards.

    Raises:
        InputError: nothing of the lungs is left.
    """

    def __init__(
        self, keys: KeysCollection = "image", lungs_key: str = "lungs", exclude_key: str = "exclude"
    ) -> None:
        super().__init__(keys)
        self.lungs_key, self.exclude_key = lungs_key, exclude_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        keep = data.pop(self.exclude_key) == 0
        for key in (*self.keys, self.lungs_key):
            data[key] = data[key] * keep
        if not data[self.lungs_key].any():
            path = data[self.keys[0]].meta.get("filename_or_obj")
            raise InputError(
                f"{path}: expected a part of the lungs to train on, but all of them are left out."
            )
        return data
