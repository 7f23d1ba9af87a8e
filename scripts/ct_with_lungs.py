"""A CT on another grid, with its lungs by thresholds: what lesions are put into."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.transforms import Compose, Orientationd, Spacingd

from normnet.lungs import SegmentLungsd
from normnet.reading import LoadCTd

__all__ = ["ct_with_lungs"]


def ct_with_lungs(path: str | Path, spacing: Sequence[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reads a healthy CT, finds its lungs, and resamples both.

    Args:
        path: the CT.
        spacing: voxel size of the new grid, mm.

    Returns:
        (X, Y, Z) float32, HU, RAS; the lungs, bool; the affine, (4, 4).
    """
    prepare = Compose(
        [
            LoadCTd(keys="image"),
            Orientationd(keys="image", axcodes="RAS", labels=None),
            SegmentLungsd(),
            Spacingd(keys=["image", "lungs"], pixdim=spacing, mode=["bilinear", "nearest"]),
        ]
    )
    item: Any = prepare({"image": str(path)})
    return item["image"][0].numpy(), item["lungs"][0].numpy() > 0, item["image"].affine.numpy()
