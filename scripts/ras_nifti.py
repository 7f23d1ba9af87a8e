"""NIfTI files turned to RAS, as plain arrays."""

from pathlib import Path

import nibabel as nib
import numpy as np

__all__ = ["read"]


def read(path: Path) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Reads a NIfTI turned to RAS: voxels, affine, spacing in mm."""
    image = nib.as_closest_canonical(nib.load(path))
    return np.asarray(image.dataobj), image.affine, tuple(float(mm) for mm in image.header.get_zooms()[:3])
