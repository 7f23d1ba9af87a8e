"""What is asked cell by cell is what the whole volume in one run would have given, wherever there is tissue."""

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


@pytest.mark.parametrize("tau", [0.0, 0.5])
@pytest.mark.parametrize("architecture", ["subpixel_unet", "unet"])
def test_tissue_is_called_what_a_run_over_the_box_round_it_calls_it(
    architecture: str, tau: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole_thorax, "CELLS_AT_ONCE", 100)
    ensemble, image = Ensemble(2, architecture).eval(), two_lungs()
    with torch.no_grad():
        found = probability_in_lungs(image, ensemble, tau=tau)
        # The box round the lungs starts at (3, 5, 9) and is 87 x 36 x 41 voxels; the second member's, 6 before it.
        box = image[..., 3:, 5:, 9:50]
        first = ensemble(torch.nn.functional.pad(box, (0, 7, 0, 12, 0, 9)))[0, 0, :87, :36, :41]
        second = ensemble(torch.nn.functional.pad(box, (6, 1, 6, 6, 6, 3)))[0, 1, 6:93, 6:42, 6:47]
    assert found.shape == (1, 2, 90, 41, 53)
    assert found.dtype == torch.float16
    tissue = box[0, 0] > tau
    for member, expected in enumerate((first, second)):
        in_box = found[0, member, 3:, 5:, 9:50].float()
        torch.testing.assert_close(in_box[tissue], expected[tissue], atol=6e-4, rtol=0)


def test_each_thorax_of_a_batch_has_its_own_answer() -> None:
    ensemble, image = (
        Ensemble(1).eval(),
        two_lungs()[..., 3:, 5:, 9:50],
    )  # one box is round it and its mirror image
    with torch.no_grad():
        together = probability_in_lungs(torch.cat((image, image.flip(2))), ensemble)
        alone = [probability_in_lungs(each, ensemble)[0] for each in (image, image.flip(2))]
    torch.testing.assert_close(together, torch.stack(alone), atol=6e-4, rtol=0)


def test_the_last_voxels_of_a_full_volume_are_asked_about() -> None:
    image = torch.zeros(1, 1, 32, 32, 32)
    image[..., 0, 0, 0] = image[..., 30:, 30:, 30:] = (
        1.0  # no fill beyond, so the last layers' neighbours lie outside
    )
    ensemble = Ensemble(1).eval()
    with torch.no_grad():
        found, whole = probability_in_lungs(image, ensemble), ensemble(image)
    torch.testing.assert_close(
        found[..., 28:, 28:, 28:].float(), whole[..., 28:, 28:, 28:], atol=6e-4, rtol=0
    )


def test_cells_without_tissue_are_not_asked_about() -> None:
    image = torch.zeros(1, 1, 32, 32, 32)
    image[..., 5, 9, 13] = 0.6
    image[..., 20, 20, 20] = 0.3
    with torch.no_grad():
        everything, bright = (probability_in_lungs(image, Ensemble(1).eval(), tau=tau) for tau in (0.0, 0.5))
    cell = torch.zeros(32, 32, 32, dtype=torch.bool)
    cell[5:9, 9:13, 13:17] = True  # cells are counted from the first tissue on
    assert torch.equal(bright[0, 0] > 0, cell)
    cell[17:21, 17:21, 17:21] = True
    assert torch.equal(everything[0, 0] > 0, cell)


def test_only_unets_that_end_in_one_convolution_run_whole() -> None:
    assert {name for name in ARCHITECTURES if runs_whole(Ensemble(1, name))} == {"subpixel_unet", "unet"}
    assert not runs_whole(ARCHITECTURES["unet"]())
