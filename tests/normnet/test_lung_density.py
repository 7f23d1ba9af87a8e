"""Lungs that hold little air become as dark as full ones; soft tissue, full lungs and ill lungs keep what they are."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from normnet.errors import InputError
from normnet.lung_density import (
    EMPTY_LUNG_HU,
    FULL_LUNG_HU,
    SOFT_TISSUE_HU,
    InflateLungsd,
    clear_lung,
    inflate,
)

SPACING = (0.8, 0.8, 1.0)
DENSER_AT_THE_BACK = np.linspace(-720, -820, 50, dtype=np.float32)
"""Of each of the chest's 50 rows of voxels, HU: 2.04 more at each row than at the next."""


def chest(lung_hu: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A cube of lung in soft tissue, and its mask; HU of the whole lung, or of each row from back to front."""
    ct = np.full((50, 50, 40), 40.0, dtype=np.float32)
    lungs = np.zeros(ct.shape, dtype=bool)
    lungs[5:45, 5:45, 4:36] = True
    return np.where(lungs, np.broadcast_to(lung_hu, 50)[:, None], ct).astype(np.float32), lungs


def test_clear_lung_is_what_the_lungs_are_where_they_are_clear() -> None:
    ct, lungs = chest(-780)
    np.testing.assert_allclose(clear_lung(ct, lungs, SPACING), np.full(50, -780), atol=0.01)
    ct[5:45, 5:45, 8:36] = -300  # a lesion of seven eighths
    np.testing.assert_allclose(clear_lung(ct, lungs, SPACING), np.full(50, -780), atol=0.01)


def test_clear_lung_rises_from_front_to_back() -> None:
    """Within 4 HU: the clearest tenth of a band lies at its front."""
    ct, lungs = chest(DENSER_AT_THE_BACK)
    np.testing.assert_allclose(clear_lung(ct, lungs, SPACING)[8:42], DENSER_AT_THE_BACK[8:42], atol=4)


def test_a_back_that_is_ill_through_and_through_does_not_move_the_line() -> None:
    ct, lungs = chest(-780)
    ct[5:45, 5:20, 4:36] = -300
    np.testing.assert_allclose(clear_lung(ct, lungs, SPACING), np.full(50, -780), atol=0.01)


def test_noise_does_not_make_lungs_look_clearer() -> None:
    ct, lungs = chest(-780)
    noisy = ct + np.random.default_rng(0).normal(0, 60, ct.shape).astype(np.float32)
    np.testing.assert_allclose(clear_lung(noisy, lungs, SPACING), np.full(50, -780), atol=15)


def test_lungs_without_a_whole_block_are_left_alone() -> None:
    ct, lungs = chest(-700)
    lungs[:] = False
    lungs[10, 10, 10] = True
    clear_hu = clear_lung(ct, lungs, SPACING)
    assert np.isnan(clear_hu).all()
    image = torch.from_numpy(ct)
    assert torch.equal(inflate(image, torch.from_numpy(clear_hu)[:, None]), image)


def test_a_single_block_of_lung_has_one_density() -> None:
    ct, lungs = chest(-760)
    lungs[:] = False
    lungs[10:15, 10:15, 8:12] = True
    np.testing.assert_allclose(clear_lung(ct, lungs, SPACING), np.full(50, -760), atol=0.01)


@pytest.mark.parametrize(
    ("hu", "inflated"),
    [(-750, FULL_LUNG_HU), (SOFT_TISSUE_HU, SOFT_TISSUE_HU), (-350, -400), (200, 50 + 150 * 9 / 8)],
)
def test_clear_lung_becomes_full_soft_tissue_stays_and_what_is_between_is_stretched(
    hu: float, inflated: float
) -> None:
    """From 800 HU between clear lung and soft tissue to 900: an eighth more."""
    assert inflate(torch.tensor(float(hu)), torch.tensor(-750.0)).item() == pytest.approx(inflated)


def test_full_lungs_keep_every_voxel() -> None:
    image = torch.linspace(-1000, 300, 100)
    for clear_hu in (FULL_LUNG_HU, -900.0):
        assert inflate(image, torch.tensor(clear_hu)) is image


def test_lungs_that_are_ill_all_over_are_stretched_no_further_than_empty_ones() -> None:
    image = torch.linspace(-1000, 300, 100)
    assert torch.equal(inflate(image, torch.tensor(-400.0)), inflate(image, torch.tensor(EMPTY_LUNG_HU)))


@pytest.mark.parametrize("full_hu", [50, -1100, float("nan"), "null", None])
def test_no_density_of_full_lungs_is_refused(full_hu: object) -> None:
    with pytest.raises(InputError, match="full_lung_hu: expected HU from -1024 to 0, found "):
        InflateLungsd(full_hu=full_hu)  # type: ignore[arg-type]


def test_the_transform_measures_each_ct_and_0_leaves_it_as_the_paper_does() -> None:
    ct, lungs = chest(DENSER_AT_THE_BACK)
    affine = torch.diag(torch.tensor([*SPACING, 1.0], dtype=torch.float64))
    item = {
        "image": MetaTensor(torch.from_numpy(ct)[None], affine=affine),
        "lungs": torch.from_numpy(lungs)[None],
    }
    image = InflateLungsd()(item)["image"]
    assert isinstance(image, MetaTensor) and torch.equal(image.affine, affine)
    np.testing.assert_allclose(image[0].numpy()[lungs], FULL_LUNG_HU, atol=5)
    np.testing.assert_array_equal(item["image"][0].numpy(), ct)
    assert InflateLungsd(full_hu=0)(item)["image"] is item["image"]
