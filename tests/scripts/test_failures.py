"""The failures made on purpose, on a block of lung that can be worked out by hand, and their scores."""

import numpy as np
import pytest
import torch

from scripts.failure_cases import FAINT, NOISE_HU, TINY, Scan, noisy, padded, thick, with_lesions
from scripts.failures import score


@pytest.fixture
def scan() -> Scan:
    """Lung of -850 HU in a wall of 40 HU; the lesions are the upper half of the ten slices."""
    ct = np.full((40, 40, 10), 40.0, dtype=np.float32)
    lungs = np.zeros(ct.shape, dtype=bool)
    lungs[5:35, 5:35] = True
    ct[lungs] = -850
    lesions = lungs.copy()
    lesions[:, :, :5] = False
    return Scan(ct, lungs, lesions, (0.8, 0.8, 1.0))


def test_a_thick_slice_is_the_mean_of_five(scan: Scan) -> None:
    scan.ct[:] = np.arange(10)
    coarse = thick(scan)
    np.testing.assert_array_equal(coarse.ct[0, 0], [2, 7])
    assert coarse.spacing == (0.8, 0.8, 5.0)
    assert not coarse.lesions[:, :, 0].any() and (coarse.lesions[:, :, 1] == scan.lungs[:, :, 0]).all()


def test_padded_slices_are_thick_ones_five_times(scan: Scan) -> None:
    scan.ct[:] = np.arange(10)
    np.testing.assert_array_equal(padded(scan).ct[0, 0], [2] * 5 + [7] * 5)
    assert padded(scan).spacing == scan.spacing and padded(scan).lungs.shape == scan.lungs.shape


def test_noise_has_its_standard_deviation_and_leaves_the_masks(scan: Scan) -> None:
    noise = noisy(scan).ct - scan.ct
    assert noise.std() == pytest.approx(NOISE_HU, rel=0.05)
    assert noisy(scan).lesions is scan.lesions


def healthy_block() -> Scan:
    ct = np.full((96, 96, 64), -850, dtype=np.float32)
    lungs = np.ones(ct.shape, dtype=bool)
    return Scan(ct, lungs, np.zeros_like(lungs), (0.8, 0.8, 1.0))


def test_lesions_lie_in_the_lungs_alone_and_are_the_same_each_time() -> None:
    block = healthy_block()
    block.lungs[:48] = False
    ill = with_lesions(block, TINY)
    assert ill.lesions.any() and not ill.lesions[:48].any()
    np.testing.assert_array_equal(ill.ct[~ill.lesions], block.ct[~ill.lesions])
    np.testing.assert_array_equal(ill.ct, with_lesions(block, TINY).ct)


def test_faint_lesions_are_about_the_threshold_of_bright_tissue() -> None:
    ill = with_lesions(healthy_block(), FAINT)
    bright_part = torch.from_numpy(ill.ct[ill.lesions]).quantile(0.8)
    assert -650 < bright_part < -400


def test_scores_by_hand(scan: Scan) -> None:
    half = scan.lesions.copy()
    half[:20] = False
    scores = score(np.zeros_like(half), half, scan.lesions, scan.lungs)
    assert scores.dice == pytest.approx(200 / 3)
    assert (scores.found, scores.false) == (100, 0)
    assert score(scan.lesions, np.zeros_like(half), scan.lesions, scan.lungs) == (0, 0, 50)
