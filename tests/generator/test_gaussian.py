"""The smoothing matrices against scipy, and the coarse lattice against the fine one, by their covariances."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from generator.gaussian import smooth, smoothing_matrix

SIZE = 40


@pytest.mark.parametrize("sigma", [0.8, 2.0, 5.0, 20.0])
@pytest.mark.parametrize("window", [slice(0, SIZE), slice(13, 22), slice(30, SIZE)])
def test_matrix_on_voxels_is_scipys_filter(sigma: float, window: slice) -> None:
    signal = np.random.default_rng(0).random(SIZE)
    weights, used = smoothing_matrix(window, SIZE, sigma)
    expected = ndimage.gaussian_filter1d(signal, sigma, mode="reflect")[window]
    np.testing.assert_allclose(weights.numpy() @ signal[used], expected, rtol=1e-5)


def test_matrix_takes_only_the_cells_in_reach() -> None:
    weights, used = smoothing_matrix(slice(100, 110), 512, 1.0)
    assert used == slice(96, 114)
    assert weights.shape == (10, 18)


def test_smooth_is_scipys_filter_in_a_box_of_the_volume() -> None:
    volume = np.random.default_rng(0).random((150, 20, 9)).astype(np.float32)
    box = (slice(3, 140), slice(5, 20), slice(2, 7))
    pairs = [smoothing_matrix(side, size, 1.3) for side, size in zip(box, volume.shape, strict=True)]
    used = tuple(cells for _, cells in pairs)
    smoothed = smooth(torch.from_numpy(volume[used]), [weights for weights, _ in pairs])
    np.testing.assert_allclose(smoothed.numpy(), ndimage.gaussian_filter(volume, 1.3)[box], rtol=1e-5)


def covariance(sigma: float, size: int, spacing: float) -> torch.Tensor:
    """Covariance along one axis of white noise on a lattice, smoothed; per voxel's worth of noise."""
    weights, _ = smoothing_matrix(slice(0, size), size, sigma, spacing=spacing)
    return weights @ weights.T * (weights.shape[1] / size)


# Statistic: largest difference of covariances, relative to the variance. Bound: 2e-3 (theory 1e-4; that the
# Gaussian is cut off at 4 sigma adds the rest).
COVARIANCE_BOUND = 2e-3


@pytest.mark.parametrize(("sigma", "size"), [(2.0, 32), (2.0, 101), (7.3, 90), (20.0, 32), (20.0, 200)])
def test_coarse_lattice_has_the_covariance_of_noise_on_voxels(sigma: float, size: int) -> None:
    coarse, fine = covariance(sigma, size, spacing=sigma), covariance(sigma, size, spacing=1.0)
    assert (coarse - fine).abs().max() / fine.max() < COVARIANCE_BOUND


@pytest.mark.parametrize("sigma", [2.0, 7.3, 20.0])
def test_covariance_bound_fails_for_a_wrong_sigma_and_for_a_lattice_too_coarse(sigma: float) -> None:
    fine = covariance(sigma, 100, spacing=1.0)
    for wrong in (covariance(1.05 * sigma, 100, spacing=sigma), covariance(sigma, 100, spacing=2.5 * sigma)):
        assert (wrong - fine).abs().max() / fine.max() > COVARIANCE_BOUND
