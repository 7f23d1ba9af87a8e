"""Annotators' lesion masks, brought to the grid of their scans."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import BorderPad, MapTransform, ResampleToMatch

from normnet.errors import InputError
from normnet.masks import AFFINE_TOLERANCE, check_label_values, describe_grid
from normnet.reading import read_volume

__all__ = ["LoadLesionsd", "lesions_on_grid", "read_lesions"]


def read_lesions(path: str | Path, *, like: MetaTensor) -> MetaTensor:
    """Reads an annotator's lesion mask on the grid of its scan.

    Args:
        path: NIfTI, NRRD, MHA or MHD file; its grid may be another one, and one slice thick (see `lesions_on_grid`).
        like: the scan, (1, X, Y, Z) with its affine.

    Returns:
        (1, X, Y, Z) uint8, 1 where the file is not 0; all 0 is a scan without lesions.

    Raises:
        InputError: the file is missing or cannot be read, a value is no whole number of 0 or more, or the mask lies
            beside the scan.
    """
    if not Path(path).exists():
        raise InputError(f"{path}: expected the lesion mask of a corrected scan, but there is no such file.")
    mask = read_volume(path, thinnest=1)
    check_label_values(mask.numpy(), str(path))
    return lesions_on_grid(MetaTensor((mask != 0).to(torch.uint8)), like, name=str(path))


def lesions_on_grid(mask: MetaTensor, like: MetaTensor, *, name: str = "the mask") -> MetaTensor:
    """Brings a lesion mask to the grid of its scan, by the nearest voxel.

    A DICOM SEG that is read back from an archive holds the labelled slices only; what it does not hold is no lesion.

    Args:
        mask: (1, X, Y, Z) uint8 with its affine.
        like: the scan, (1, X', Y', Z') with its affine.
        name: of the mask, for errors.

    Returns:
        (1, X', Y', Z') uint8 on the scan's grid.

    Raises:
        InputError: the mask, or all lesions in it, lie outside the scan: it is another scan's.
    """
    if mask.shape == like.shape and np.allclose(mask.affine, like.affine, atol=AFFINE_TOLERANCE):
        return mask
    # The second channel is the mask's field. A rim of 0 keeps a single slice from being a flat volume.
    field = MetaTensor(torch.cat([mask.as_tensor(), torch.ones_like(mask.as_tensor())]), affine=mask.affine)
    padded = BorderPad(spatial_border=1)(field.float())
    resample = ResampleToMatch(mode="nearest", padding_mode="zeros")
    moved = cast(MetaTensor, resample(padded, like)).as_tensor() > 0
    if not moved[1].any() or (mask.any() and not moved[0].any()):
        raise InputError(
            f"{name}: expected lesions of {like.meta.get('filename_or_obj')}, which has {describe_grid(like)}, "
            f"but the mask has {describe_grid(mask)} and lies outside it."
        )
    return MetaTensor(moved[:1].to(torch.uint8), affine=like.affine)


class LoadLesionsd(MapTransform):
    """Replaces the path of an annotator's lesion mask by the mask on the scan's grid: see `read_lesions`.

    Args:
        keys: the CT, (1, X, Y, Z), as loaded from its file.
        lesions_key: where the path is read and the mask (1, X, Y, Z) uint8 is written.
    """

    def __init__(self, keys: KeysCollection = "image", lesions_key: str = "exclude") -> None:
        super().__init__(keys)
        self.lesions_key = lesions_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        for key in self.keys:
            data[self.lesions_key] = read_lesions(data[self.lesions_key], like=data[key])
        return data
