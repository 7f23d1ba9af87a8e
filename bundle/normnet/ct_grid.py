"""Results on the CT's own grid: kept there, brought back from the model's, turned as the file has it, saved."""

import os
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import MetaKeys, ensure_tuple

from normnet.resampling import Mode, on_grid_of

__all__ = ["KeepOnCTGridd", "ToCTGridd", "as_in_file", "save_nifti"]


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


class ToCTGridd(MapTransform):
    """Takes results to the CT's own grid, turned to RAS.

    Args:
        keys: results on the model's grid, (C, X, Y, Z), each with its affine.
        ct_key: the CT.
        mode: "bilinear" for what is no mask.

    Raises:
        InputError: see `normnet.resampling.on_grid_of`.
    """

    def __init__(self, keys: KeysCollection, ct_key: Hashable = "ct", mode: Mode = "nearest") -> None:
        super().__init__(keys)
        self.ct_key, self.mode = ct_key, mode

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        for key in self.key_iterator(data):
            data[key] = on_grid_of(data[key], data[self.ct_key], self.mode)
        return data


def as_in_file(volume: np.ndarray, ct: MetaTensor) -> tuple[np.ndarray, np.ndarray]:
    """Turns a volume, (X, Y, Z), from RAS to the axes that a CT had in its file.

    Args:
        volume: on the CT's grid.
        ct: turned to RAS by MONAI's `Orientation`.

    Returns:
        A view of the volume, and the affine of the file's grid, (4, 4).
    """
    affine = np.asarray(ct.meta[MetaKeys.ORIGINAL_AFFINE])
    ras, axes = nib.orientations.axcodes2ornt("RAS"), nib.orientations.io_orientation(affine)
    return nib.orientations.apply_orientation(volume, nib.orientations.ornt_transform(ras, axes)), affine


def save_nifti(volume: np.ndarray, affine: np.ndarray, path: Path) -> None:
    """Saves a volume, (X, Y, Z), as NIfTI in mm."""
    # As the file has it, x runs fastest: nibabel gathers any other order slice by slice, in twice the time.
    image = nib.Nifti1Image(np.asfortranarray(volume), affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, os.fspath(path))
