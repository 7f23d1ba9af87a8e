"""What real_ct.md counts, on volumes of a few voxels."""

from pathlib import Path

import nibabel as nib
import numpy as np

from scripts.real_ct import false_percent


def test_a_marked_nodule_is_no_false_lesion(tmp_path: Path) -> None:
    lungs = np.ones((10, 10, 1), dtype=np.uint8)
    lesion, nodule = np.zeros_like(lungs), np.zeros_like(lungs)
    lesion[:3], nodule[:2] = 1, 1
    for name, mask in {"lungs": lungs, "lesion": lesion, "nodule": nodule}.items():
        nib.save(nib.Nifti1Image(mask, np.eye(4)), tmp_path / f"{name}.nii.gz")
    assert false_percent(tmp_path / "none.nii.gz", tmp_path) == 30
    assert false_percent(tmp_path / "nodule.nii.gz", tmp_path) == 100 * 10 / 80
