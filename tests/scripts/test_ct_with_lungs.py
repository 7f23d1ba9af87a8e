"""A CT that lies otherwise in its file comes out in RAS, with its lungs and what is asked for on top."""

from pathlib import Path

import nibabel as nib
import numpy as np

from normnet.thorax import ThoraxAread
from scripts.ct_with_lungs import ct_with_lungs, reads_with_lungs


def test_a_ct_comes_out_in_ras_with_its_lungs(cohort: Path, tmp_path: Path) -> None:
    upright = nib.load(cohort / "healthy" / "healthy_0.nii.gz")
    turned = tmp_path / "turned.nii.gz"
    nib.save(upright.as_reoriented(np.array([[0, -1], [1, -1], [2, 1]])), turned)
    item = reads_with_lungs("classical", ThoraxAread())({"image": str(turned)})
    np.testing.assert_allclose(item["image"].affine, upright.affine)
    lungs, hu = item["lungs"][0].numpy() > 0, np.asarray(upright.dataobj)
    assert lungs.any() and np.median(hu[lungs]) < -700
    assert float(item["image"].max()) <= 1 and not item["image"][0].numpy()[~lungs].any()

    ct, coarse, affine = ct_with_lungs(turned, (7.2, 7.2, 10.0))
    np.testing.assert_allclose(np.diag(affine)[:3], (7.2, 7.2, 10.0))
    assert ct.shape == coarse.shape and np.median(ct[coarse]) < -700
