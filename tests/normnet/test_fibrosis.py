"""Fibrosis: bright walls between cells of lung, in patches, in the lungs alone; and healthy."""

import math

import pytest
import torch

from normnet.fibrosis import RandFibrosisd, smooth_noise, with_fibrosis

SHAPE = (120, 120, 64)
UNIT = (1.0, 1.0, 1.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fibrotic(lungs: torch.Tensor, **changed: float) -> torch.Tensor:
    walls = {"cell_mm": 6.0, "wall_share": 0.3, "brightness": 0.8, **changed}
    return with_fibrosis(0.1 * lungs.float(), lungs, rng=generator(), **walls)


def test_noise_has_mean_0_and_variance_1_on_whatever_grid() -> None:
    for sigma, spacing in ((0.6, UNIT), (3.0, UNIT), (3.0, (0.8, 0.8, 1.0)), (3.0, (2.0, 2.0, 5.0))):
        noise = torch.stack(
            [smooth_noise(SHAPE, sigma, rng=generator(seed), spacing=spacing) for seed in range(8)]
        )
        assert noise.mean().item() == pytest.approx(0, abs=0.1)
        assert noise.std().item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("cell", [5.0, 8.0])
def test_walls_lie_as_far_apart_as_asked(cell: float) -> None:
    """Counted as a person would: sign changes of the noise along every line."""
    noise = smooth_noise(SHAPE, cell / (math.pi * math.sqrt(2)), rng=generator(), spacing=(0.5, 0.5, 0.5))
    for axis in range(3):
        walls = noise.sign().diff(dim=axis) != 0
        length = 0.5 * walls.numel()
        assert length / walls.sum().item() == pytest.approx(cell, rel=0.1)


def test_walls_are_only_in_the_lungs_and_never_darken() -> None:
    lungs = torch.zeros(SHAPE, dtype=torch.bool)
    lungs[20:100, 20:100] = True
    image = fibrotic(lungs)
    assert torch.equal(image[~lungs], torch.zeros(int((~lungs).sum())))
    assert image[lungs].min() >= 0.1 and image.max() <= 0.8
    assert (image[lungs] > 0.5).any()


def test_twice_the_share_of_walls_brightens_twice_as_much_lung() -> None:
    lungs = torch.ones(SHAPE, dtype=torch.bool)
    few, many = ((fibrotic(lungs, wall_share=share) > 0.3).float().mean().item() for share in (0.2, 0.4))
    assert many / few == pytest.approx(2, rel=0.1)


def test_about_half_of_the_lungs_stays_as_it_was() -> None:
    lungs = torch.ones(160, 160, 160, dtype=torch.bool)
    whole = fibrotic(lungs, wall_share=0.95, brightness=1.0)
    assert (whole == 0.1).float().mean().item() == pytest.approx(0.5, abs=0.15)


def test_the_transform_draws_as_often_as_asked_and_the_same_from_one_seed() -> None:
    lungs = torch.ones(1, *SHAPE, dtype=torch.uint8)
    item = {"image": 0.1 * lungs.float(), "lungs": lungs}
    first, again = (RandFibrosisd(prob=1.0).set_random_state(seed=3)(item)["image"] for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, item["image"])
    assert torch.equal(item["image"], 0.1 * lungs.float())
    assert torch.equal(RandFibrosisd(prob=0.0)(item)["image"], item["image"])
    drawing = RandFibrosisd().set_random_state(seed=0)
    drawn = [not torch.equal(drawing(item)["image"], item["image"]) for _ in range(100)]
    assert 15 <= sum(drawn) <= 45  # three of ten


def test_all_that_is_drawn_is_drawn_in_randomize_and_walls_are_as_far_apart_on_any_grid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lungs = torch.ones(1, *SHAPE, dtype=torch.uint8)
    item = {"image": 0.1 * lungs.float(), "lungs": lungs}
    drawing = RandFibrosisd(prob=1.0, spacing=(1.6, 1.6, 2.0)).set_random_state(seed=3)
    drawn = drawing(item)["image"]
    monkeypatch.setattr(drawing, "randomize", lambda data=None: None)
    assert torch.equal(drawing(item)["image"], drawn)
    expected = with_fibrosis(
        item["image"][0], lungs[0] > 0, **drawing.drawn, rng=generator(drawing.seed), spacing=(1.6, 1.6, 2.0)
    )
    assert torch.equal(expected[None], drawn)
