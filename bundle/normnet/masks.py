"""Reading a mask that lies beside its CT."""

from pathlib import Path
from typing import cast

import nibabel as nib
import numpy as np
from monai.data import MetaTensor
from monai.transforms import Orientation

from normnet.errors import InputError
from normnet.reading import read_volume
from normnet.studies import masks_of_name

__all__ = ["AFFINE_TOLERANCE", "check_label_values", "describe_grid", "read_mask"]

AFFINE_TOLERANCE = 1e-3
"""Largest difference between two affines of one grid, mm."""


def read_mask(path: str | Path, *, like: MetaTensor) -> MetaTensor:
    """Reads a mask that must lie on the grid of an image.

    Args:
        path: NIfTI, NRRD, MHA or MHD file.
        like: the image, (1, X, Y, Z) with its affine; the mask is turned to its orientation.

    Returns:
        (1, X, Y, Z), the file's values, on the image's grid.

    Raises:
        InputError: the file cannot be read, its grid is another one, or two masks lie there (`normnet.studies`).
    """
    if not Path(path).exists():
        masks = masks_of_name(Path(path))
        if len(masks) > 1:
            raise InputError(
                f"{masks[0]}: expected one mask {Path(path).name}, but {masks[1].name} lies beside it."
            )
        raise InputError(f"{path}: expected a mask on the grid of its image, but there is no such file.")
    axes = "".join(nib.orientations.aff2axcodes(like.affine.numpy()))
    mask = cast(MetaTensor, Orientation(axcodes=axes, labels=None)(read_volume(path)))
    if mask.shape != like.shape or not np.allclose(mask.affine, like.affine, atol=AFFINE_TOLERANCE):
        raise InputError(
            f"{path}: the mask has {describe_grid(mask)}, but its image {like.meta.get('filename_or_obj')} "
            f"has {describe_grid(like)}; both must lie on one grid."
        )
    return mask


def describe_grid(volume: MetaTensor) -> str:
    """Says a volume's shape, spacing and origin in words."""
    spacing = " x ".join(f"{step:.3g}" for step in volume.pixdim)
    origin = ", ".join(f"{value:.1f}" for value in volume.affine[:3, 3])
    return f"shape {tuple(volume.shape[1:])}, spacing {spacing} mm and origin ({origin})"


def check_label_values(values: np.ndarray, name: str) -> None:
    """Refuses what is no label: a CT, a map of probabilities, a background of NaN.

    Args:
        values: of any shape.
        name: of the label, for errors.

    Raises:
        InputError: a value is no whole number, or below 0.
    """
    marked = values[values != 0]
    others = marked[~(np.isfinite(marked) & (marked == np.rint(marked)) & (marked > 0))]
    if others.size:
        raise InputError(
            f"{name}: expected whole numbers of 0 or more, got {others.size} other values, such as {others[0]:g}."
        )
