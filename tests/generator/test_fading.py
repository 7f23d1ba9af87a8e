"""Soft borders by hand, and against scipy's Gaussian over the whole volume."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from generator.fading import FAINTEST, WIDEST, fade
from generator.gaussian import Box
from generator.shapes import Lesion

SHAPE = (40, 36, 28)
WHOLE_LUNG = torch.ones(SHAPE, dtype=torch.bool)


def ball(radius: float) -> torch.Tensor:
    axes = (torch.arange(size) - size / 2 for size in SHAPE)
    return sum(part**2 for part in torch.meshgrid(*axes, indexing="ij")) <= radius**2


def cut(mask: torch.Tensor) -> Lesion:
    """A mask in its bounding box."""
    box: Box = ndimage.find_objects(mask.numpy().astype(int))[0]
    return Lesion(box, mask[box])


def literal(mask: np.ndarray, lung: np.ndarray, sigma: float) -> np.ndarray:
    ill, all_lung = (ndimage.gaussian_filter(part.astype(float), sigma, truncate=4) for part in (mask, lung))
    return np.where(mask, np.clip(2 * ill / np.maximum(all_lung, 1e-12) - 1, 0, 1), 0)


def test_without_a_sigma_the_border_is_sharp() -> None:
    lesion = cut(ball(9))
    share, mask = fade(lesion, WHOLE_LUNG, 0.0)
    assert torch.equal(share, lesion.mask.float()) and torch.equal(mask, lesion.mask)


def test_the_share_rises_from_a_flat_border_as_a_gaussian_step_does() -> None:
    half = torch.zeros(SHAPE, dtype=torch.bool)
    half[20:] = True
    share, mask = fade(cut(half), WHOLE_LUNG, 2.0)
    # The voxel n of the lesion lies n + 0.5 voxels from its border: 2 Phi(d / sigma) - 1 = erf(d / (sigma sqrt(2))).
    expected = [math.erf((depth + 0.5) / (2 * math.sqrt(2))) for depth in range(5)]
    np.testing.assert_allclose(share[:5, 18, 14], expected, atol=0.01)
    assert mask[:, 18, 14].tolist() == [value > FAINTEST for value in expected] + [True] * 15


def test_at_the_pleura_it_does_not_fade() -> None:
    lung = torch.zeros(SHAPE, dtype=torch.bool)
    lung[:20] = True
    share, mask = fade(cut(lung), lung, 2.0)
    assert share.min() > 0.999 and mask.all()


@pytest.mark.parametrize("sigma", [0.5, 1.3, 3.0])
def test_it_is_what_scipy_makes_of_the_whole_volume(sigma: float) -> None:
    random = np.random.default_rng(0).normal(size=SHAPE)
    blobs = torch.from_numpy(ndimage.gaussian_filter(random, 3) > 0)  # large enough for the widest sigma
    lung = ball(17)
    lesion = cut(blobs & lung)
    share, _ = fade(lesion, lung, sigma)
    expected = literal((blobs & lung).numpy(), lung.numpy(), sigma)[lesion.box]
    np.testing.assert_allclose(share, expected, atol=1e-4)


def test_a_small_lesion_keeps_a_core() -> None:
    small = ball(3)
    lesion = cut(small)
    share, mask = fade(lesion, WHOLE_LUNG, 100.0)
    radius = (float(small.sum()) * 3 / (4 * math.pi)) ** (1 / 3)
    expected = literal(small.numpy(), WHOLE_LUNG.numpy(), WIDEST * radius)[lesion.box]
    np.testing.assert_allclose(share, expected, atol=1e-4)
    assert share.max() > 0.6 and 0 < mask.sum() < lesion.mask.sum()
