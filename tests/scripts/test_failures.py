"""The failures made on purpose, on a block of lung that can be worked out by hand, and their scores."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from scripts.failure_cases import (
    BREATHED_OUT_HU,
    CYST_MM,
    FAINT,
    HONEYCOMB_DEPTH_MM,
    NOISE_HU,
    TINY,
    WALL_HU,
    WALL_MM,
    Scan,
    breathed_out,
    cyst_walls,
    fibrotic,
    noisy,
    padded,
    thick,
    with_lesions,
)
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


def test_breathing_out_makes_the_lungs_denser_at_the_back_most_and_nothing_else(scan: Scan) -> None:
    denser = breathed_out(scan).ct - scan.ct
    assert not denser[~scan.lungs].any()
    back, front = denser[20, 5, 0], denser[20, 34, 0]
    assert (back, front) == pytest.approx((1.6 * 0.85 * BREATHED_OUT_HU, 0.4 * 0.85 * BREATHED_OUT_HU))
    assert denser[scan.lungs].mean() == pytest.approx(0.85 * BREATHED_OUT_HU)
    vessel = Scan(np.full_like(scan.ct, 30), scan.lungs, scan.lesions, scan.spacing)
    np.testing.assert_array_equal(breathed_out(vessel).ct, vessel.ct)


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


def test_there_is_a_cyst_for_every_6_mm_and_walls_are_1_5_mm_thick() -> None:
    voxel = 0.25
    walls = cyst_walls(np.ones((120, 120, 120), dtype=bool), (voxel,) * 3, np.random.default_rng(0)) > 0
    cysts, _ = ndimage.label(~walls)
    large = np.bincount(cysts[cysts > 0]) * voxel**3 > 0.02 * CYST_MM**3  # the walls cut slivers off
    assert large.sum() == pytest.approx((120 * voxel / CYST_MM) ** 3, rel=0.3)
    half_thickness = ndimage.distance_transform_edt(walls, sampling=voxel)[walls].max()
    assert WALL_MM / 2 <= half_thickness < WALL_MM  # thickest where walls meet


def test_honeycombs_lie_under_the_pleura_in_the_lungs_and_hide_nothing() -> None:
    block = healthy_block()
    block.lungs[:10] = block.lungs[-10:] = block.lungs[:, :10] = block.lungs[:, -10:] = False
    block.ct[~block.lungs] = 40
    block.ct[40:50, 40:50] = 30  # a vessel
    changed = fibrotic(block)
    brighter = changed.ct != block.ct
    assert brighter.any() and not brighter[~block.lungs].any()
    deep = int(np.ceil(HONEYCOMB_DEPTH_MM / 0.8)) + 10
    assert not brighter[deep:-deep, deep:-deep].any()
    assert (changed.ct >= block.ct).all() and changed.ct[brighter].max() <= WALL_HU
    assert not changed.lesions.any()
    np.testing.assert_array_equal(changed.ct, fibrotic(block).ct)


def test_scores_by_hand(scan: Scan) -> None:
    half = scan.lesions.copy()
    half[:20] = False
    scores = score(np.zeros_like(half), half, scan.lesions, scan.lungs)
    assert scores.dice == pytest.approx(200 / 3)
    assert (scores.found, scores.false) == (100, 0)
    assert score(scan.lesions, np.zeros_like(half), scan.lesions, scan.lungs) == (0, 0, 50)
