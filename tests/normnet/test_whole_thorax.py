"""What is asked box by box is what the whole volume in one run would have given, wherever there is lung."""

import pytest
import torch

from normnet import whole_thorax
from normnet.ensemble import Ensemble
from normnet.network import ARCHITECTURES
from normnet.whole_thorax import probability_in_lungs, runs_whole


def two_lungs() -> torch.Tensor:
    """A thorax area (1, 1, X, Y, Z) whose sizes fit no stride, bright in two lungs and 0 elsewhere."""
    torch.manual_seed(0)
    image = torch.zeros(1, 1, 90, 41, 53)
    for left, right in ((3, 30), (61, 90)):
        image[..., left:right, 5:41, 9:50] = 0.1 + 0.9 * torch.rand(1, right - left, 36, 41)
    return image


@pytest.mark.parametrize("cube", [32, 96])
@pytest.mark.parametrize("architecture", ["subpixel_unet", "unet"])
def test_boxes_change_nothing_in_the_lungs(
    architecture: str, cube: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole_thorax, "CUBE", cube)
    ensemble, image = Ensemble(2, architecture).eval(), two_lungs()
    with torch.no_grad():
        found = probability_in_lungs(image, ensemble)
        whole = ensemble(torch.nn.functional.pad(image, (0, 11, 0, 7, 0, 6)))[..., :90, :41, :53]
    assert found.shape == (1, 2, 90, 41, 53)
    assert found.dtype == torch.float16
    lung = image[0, 0] > 0
    torch.testing.assert_close(found[0, :, lung].float(), whole[0, :, lung], atol=6e-4, rtol=0)


def test_between_the_lungs_nothing_is_asked() -> None:
    with torch.no_grad():
        found = probability_in_lungs(two_lungs(), Ensemble(1).eval())
    assert float(found[:, :, 32:60].max()) > 0  # one cube of 96 voxels holds both lungs here
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(whole_thorax, "CUBE", 32)
        found = probability_in_lungs(two_lungs(), Ensemble(1).eval())
    assert float(found[:, :, 32:60].max()) == 0


def test_only_unets_that_end_in_one_convolution_run_whole() -> None:
    assert {name for name in ARCHITECTURES if runs_whole(Ensemble(1, name))} == {"subpixel_unet", "unet"}
    assert not runs_whole(ARCHITECTURES["unet"]())
