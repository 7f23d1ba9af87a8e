"""The classical lungs on real CT."""

import functools
from pathlib import Path

import numpy as np
import pytest
from monai.transforms import Orientation

from normnet.classical_lungs import segment
from normnet.masks import read_mask
from normnet.reading import read_ct
from scripts.altered_scans import ALTERED, LungScan
from tests.normnet.test_classical_lungs import dice


def read(path: Path) -> tuple[np.ndarray, tuple[float, ...]]:
    ct = Orientation(axcodes="RAS", labels=None)(read_ct(path))
    return ct[0].numpy(), tuple(ct.pixdim.tolist())


@functools.lru_cache(maxsize=1)
def segmented(path: Path) -> LungScan:
    """A CT in HU and its lungs; tests of one CT in a row find its lungs once."""
    ct, spacing = read(path)
    return LungScan(ct, segment(ct, spacing), spacing)


@pytest.mark.real_ct
@pytest.mark.parametrize(
    ("name", "low_ml", "high_ml", "bright", "trachea", "heart"),
    [
        ("normal001.nii.gz", 3300, 3600, 0.04, (247, 257, 121), (240, 330, 76)),  # healthy
        ("lidc0001.nii.gz", 3500, 3900, 0.1, (280, 266, 106), (230, 300, 65)),
        ("dicom_chest/series", 4000, 4400, 0.1, (262, 289, 65), (240, 300, 26)),
        ("covid_p001.nii.gz", 5800, 6300, 0.1, (273, 271, 116), (235, 320, 60)),
        ("cap001.nii.gz", 5600, 6200, 0.1, (276, 294, 132), (240, 300, 76)),
    ],
)
def test_real_lungs_have_their_volume_without_trachea_and_heart(
    real_ct, name, low_ml, high_ml, bright, trachea, heart
):
    ct, mask, spacing = segmented(real_ct / name)
    assert ct[trachea] < -900
    assert ct[heart] > -100

    assert low_ml < mask.sum() * np.prod(spacing) / 1000 < high_ml
    assert not mask[trachea]
    assert not mask[heart]
    assert (ct[mask] > -500).mean() < bright  # vessels and disease, but little of chest wall and hilum


@pytest.mark.real_ct
def test_colon_under_a_thin_diaphragm_is_left_out(real_ct):
    ct, mask, _ = segmented(real_ct / "cap001.nii.gz")
    colon = (slice(120, 140), slice(250, 300), slice(17, 24))
    gas = ct[colon] < -960
    assert gas.any()

    assert not mask[colon][gas].any()


@pytest.mark.real_ct
@pytest.mark.parametrize("name", ALTERED)
def test_the_same_lungs_come_back_from_an_altered_scan(real_ct, name):
    scan = ALTERED[name](segmented(real_ct / "normal001.nii.gz"))

    assert dice(segment(scan.ct, scan.spacing), scan.lungs) > 0.98


@pytest.mark.real_ct
@pytest.mark.parametrize("labels", ["lm-64.nrrd", "wholeLung-64.nrrd"])
def test_small_real_ct_agrees_with_its_published_labels(real_ct, labels):
    ct = Orientation(axcodes="RAS", labels=None)(read_ct(real_ct / "cip64" / "ct-64.nrrd"))

    mask = segment(ct[0].numpy(), tuple(ct.pixdim.tolist()))

    assert dice(mask, read_mask(real_ct / "cip64" / labels, like=ct)[0].numpy() > 0) > 0.97
