import numpy as np
import pytest
import torch
from scipy import ndimage

from normnet.smoothing import mean_filter


def test_one_voxel_is_spread_over_the_cube_around_it():
    volume = torch.zeros(7, 7, 7)
    volume[3, 3, 3] = 27
    expected = torch.zeros(7, 7, 7)
    expected[2:5, 2:5, 2:5] = 1
    torch.testing.assert_close(mean_filter(volume, 3), expected)


def test_outside_the_volume_is_zero():
    assert mean_filter(torch.ones(3, 3, 3), 3)[0, 0, 0].item() == pytest.approx(8 / 27)


@pytest.mark.parametrize("kernel", [1, 3, 7, 9])
@pytest.mark.parametrize("shape", [(20, 17, 23), (5, 3, 1)])
def test_it_is_scipys_uniform_filter(kernel, shape):
    volume = np.random.default_rng(0).random(shape, dtype=np.float32)
    expected = ndimage.uniform_filter(volume.astype(np.float64), kernel, mode="constant")
    filtered = mean_filter(torch.from_numpy(volume), kernel)
    assert filtered.dtype == torch.float32
    assert np.abs(filtered.numpy() - expected).max() < 1e-6


def test_the_input_stays_as_it_was():
    volume = torch.ones(4, 4, 4)
    mean_filter(volume, 1).mul_(2)
    assert (volume == 1).all()


@pytest.mark.parametrize("kernel", [0, -3, 8])
def test_a_kernel_without_a_middle_is_refused(kernel):
    with pytest.raises(ValueError, match=f"odd, positive kernel, got {kernel}"):
        mean_filter(torch.zeros(3, 3, 3), kernel)


def test_a_volume_with_a_channel_is_refused():
    with pytest.raises(ValueError, match=r"\(X, Y, Z\), got \(1, 3, 3, 3\)"):
        mean_filter(torch.zeros(1, 3, 3, 3), 3)


@pytest.mark.gpu
def test_cuda_gives_the_same():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    volume = torch.rand(20, 20, 20, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(mean_filter(volume.cuda(), 9).cpu(), mean_filter(volume, 9))
