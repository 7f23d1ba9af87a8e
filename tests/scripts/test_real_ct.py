"""What real_ct.md counts, on volumes of a few voxels, and what is not segmented again."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from normnet.checkpoints import weights_hash
from normnet.errors import InputError
from scripts.real_ct import false_percent, segment


def test_a_marked_nodule_is_no_false_lesion(tmp_path: Path) -> None:
    lungs = np.ones((10, 10, 1), dtype=np.uint8)
    lesion, nodule = np.zeros_like(lungs), np.zeros_like(lungs)
    lesion[:3], nodule[:2] = 1, 1
    for name, mask in {"lungs": lungs, "lesion": lesion, "nodule": nodule}.items():
        nib.save(nib.Nifti1Image(mask, np.eye(4)), tmp_path / f"{name}.nii.gz")
    assert false_percent(tmp_path / "none.nii.gz", tmp_path) == 30
    assert false_percent(tmp_path / "nodule.nii.gz", tmp_path) == 100 * 10 / 80


def test_a_study_of_other_settings_or_another_file_is_segmented_again(tmp_path: Path, weights: Path) -> None:
    ct, out = tmp_path / "ct.nii.gz", tmp_path / "out"
    (out / "ct").mkdir(parents=True)
    (out / "ct" / "report.json").write_text(json.dumps({"weights": weights_hash(weights)}))
    settings = {"ct": str(ct), "members": 2, "lungs_backend": "file"}
    (out / "ct.run.json").write_text(json.dumps({"minutes": 1.0, "settings": settings}))
    assert segment(ct, out, weights, 2, lungs_backend="file")["minutes"] == 1.0
    with pytest.raises(InputError, match="was not segmented"):  # tried again: there is no such file
        segment(ct, out, weights, 2, lungs_backend="classical")
    with pytest.raises(InputError, match="was not segmented"):
        segment(tmp_path / "other" / "ct.nii.gz", out, weights, 2, lungs_backend="file")
