"""Lesions of the synthetic patients are where, and as dense as, their kind says."""

import numpy as np
import pytest
from scipy import ndimage

from generator.chest import Chest, make_chest
from generator.pathology import DEFAULT_PATHOLOGY, PathologySpec, add_pathology

NONE = {"ground_glass": 0, "consolidation": 0, "bands": 0}


@pytest.fixture(scope="module")
def chest() -> Chest:
    return make_chest(21, shape=(140, 120, 80), spacing=(2.5, 2.5, 3.0))


def diseased(chest: Chest, seed: int, **counts: int) -> tuple[np.ndarray, np.ndarray]:
    return add_pathology(chest, rng=np.random.default_rng(seed), spec=PathologySpec(**{**NONE, **counts}))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_lesions_stay_inside_the_lungs_and_are_no_trifle(chest: Chest, seed: int) -> None:
    ct, lesions = add_pathology(chest, rng=np.random.default_rng(seed))
    assert not (lesions & ~chest.lungs).any()
    assert 0.005 < lesions.sum() / chest.lungs.sum() < 0.4
    beyond = ~ndimage.binary_dilation(chest.lungs)
    np.testing.assert_array_equal(ct[beyond], chest.ct[beyond])


def test_mask_is_where_the_raise_is_visible(chest: Chest) -> None:
    ct, lesions = add_pathology(chest, rng=np.random.default_rng(3))
    rise = ct - chest.ct
    visible = DEFAULT_PATHOLOGY.visible_hu
    assert rise.min() >= 0
    assert rise[chest.lungs & ~lesions].max() < visible + 0.01
    aerated = lesions & (chest.ct < -870)
    assert rise[aerated].min() > 0.95 * visible


def test_ground_glass_is_hazy_and_vessels_show_through(chest: Chest) -> None:
    ct, lesions = diseased(chest, 4, ground_glass=12)
    core = ndimage.binary_erosion(lesions) & (chest.ct < -800)
    assert -720 < np.median(ct[core]) < -400
    assert np.percentile(ct[core], 99) < -300
    vessels = chest.vessels & lesions & (chest.ct > -50)
    assert vessels.sum() > 5
    assert np.abs(ct - chest.ct)[vessels].max() < 60


def test_ground_glass_has_soft_edges(chest: Chest) -> None:
    ct, lesions = diseased(chest, 4, ground_glass=5)
    rise = np.where(chest.ct < -800, ct - chest.ct, np.nan)
    edge = lesions & ~ndimage.binary_erosion(lesions) & ndimage.binary_erosion(chest.lungs)
    core = ndimage.binary_erosion(lesions, iterations=2)
    assert np.nanmedian(rise[edge]) < 0.75 * np.nanmedian(rise[core])


@pytest.mark.parametrize("seed", [5, 6, 7])
def test_consolidation_is_soft_tissue_with_open_bronchi(chest: Chest, seed: int) -> None:
    ct, lesions = diseased(chest, seed, consolidation=1)
    solid = (ct - chest.ct > 750) & lesions
    assert solid.sum() > 100
    assert -60 < np.median(ct[solid]) < 60
    within = ndimage.binary_closing(solid, iterations=3)
    bronchograms = within & chest.airways
    assert bronchograms.any()
    assert not (lesions & bronchograms).any()
    np.testing.assert_array_equal(ct[bronchograms], chest.ct[bronchograms])
    assert ct[bronchograms].mean() < np.median(ct[solid]) - 300


def test_bands_lie_along_the_pleura(chest: Chest) -> None:
    ct, lesions = diseased(chest, 8, bands=3)
    depth = ndimage.distance_transform_edt(chest.lungs, sampling=chest.spacing)
    assert lesions.any()
    assert depth[lesions].max() < 2 * DEFAULT_PATHOLOGY.band_mm[1]
    plain = lesions & (chest.ct < -800)
    assert -600 < np.median(ct[plain]) < -100


def test_disease_prefers_the_back_and_the_base(chest: Chest) -> None:
    lung = np.argwhere(chest.lungs).mean(axis=0)
    sick = [
        np.argwhere(add_pathology(chest, rng=np.random.default_rng(seed))[1]).mean(axis=0)
        for seed in range(3)
    ]
    assert np.mean(sick, axis=0)[1] < lung[1]
    assert np.mean(sick, axis=0)[2] < lung[2]


def test_same_rng_same_disease_and_the_healthy_chest_is_kept(chest: Chest) -> None:
    before = chest.ct.copy()
    first, again, other = (add_pathology(chest, rng=np.random.default_rng(seed))[0] for seed in (9, 9, 10))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_array_equal(chest.ct, before)


def test_no_disease_changes_nothing(chest: Chest) -> None:
    ct, lesions = diseased(chest, 0)
    np.testing.assert_array_equal(ct, chest.ct)
    assert not lesions.any()


def test_a_chest_without_lungs_is_refused(chest: Chest) -> None:
    empty = Chest(
        chest.ct, np.zeros_like(chest.lungs), chest.airways, chest.vessels, chest.spacing, chest.affine
    )
    with pytest.raises(ValueError, match="empty lung mask"):
        add_pathology(empty, rng=np.random.default_rng(0))
