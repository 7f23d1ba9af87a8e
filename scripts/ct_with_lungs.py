"""A CT turned to RAS, with its lungs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.transforms import Compose, Orientationd, Spacingd

from normnet.lungs import SegmentLungsd
from normnet.reading import LoadCTd

__all__ = ["ct_with_lungs", "reads_with_lungs"]


def reads_with_lungs(lungs_backend: str = "classical", *then: Any) -> Compose:
    """Makes the transform that reads `image`, turns it to RAS and finds its `lungs`.

    Args:
        lungs_backend: as of `inference.json`.
        *then: further transforms, of both.
    """
    turn = Orientationd(keys="image", axcodes="RAS", labels=None)
    return Compose([LoadCTd(keys="image"), turn, SegmentLungsd(backend=lungs_backend), *then])


def ct_with_lungs(path: str | Path, spacing: Sequence[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reads a healthy CT that lesions are put into, finds its lungs by thresholds, and resamples both.

    Args:
        path: the CT.
        spacing: voxel size of the new grid, mm.

    Returns:
        (X, Y, Z) float32, HU, RAS; the lungs, bool; the affine, (4, 4).
    """
    resample = Spacingd(keys=["image", "lungs"], pixdim=spacing, mode=["bilinear", "nearest"])
    item: Any = reads_with_lungs("classical", resample)({"image": str(path)})
    return item["image"][0].numpy(), item["lungs"][0].numpy() > 0, item["image"].affine.numpy()
