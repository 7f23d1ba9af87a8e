"""A dome that shows twice: in a few slices the tissue round the lungs is mixed into them, and nowhere else."""

import pytest
import torch

from normnet.breathing import TISSUE, RandBreathingd, with_ghost


@pytest.fixture
def lungs() -> torch.Tensor:
    """A dome: the lungs start at slice 4 at the border of the field, and at slice 10 in its middle."""
    mask = torch.zeros(9, 9, 30, dtype=torch.bool)
    mask[..., 4:] = True
    mask[3:6, 3:6, :10] = False
    return mask


def test_the_dome_shows_at_the_other_phase_in_the_moving_slices_alone(lungs: torch.Tensor) -> None:
    image = 0.1 * lungs.float()
    ghost = with_ghost(image, lungs, shift=5, slices=slice(11, 14), share=0.5)
    assert ghost[4, 4, 11:14].tolist() == pytest.approx([0.5 * 0.1 + 0.5 * TISSUE] * 3)
    changed = (ghost != image).nonzero()
    assert len(changed) == 9 * 3  # the dome's nine columns, three slices; its foot would move below slice 11
    assert changed[:, :2].min() == 3 and changed[:, :2].max() == 5


def test_a_diaphragm_that_was_lower_brings_no_tissue_into_the_lungs(lungs: torch.Tensor) -> None:
    image = 0.1 * lungs.float()
    assert torch.equal(with_ghost(image, lungs, shift=-5, slices=slice(4, 20), share=0.5), image)


def test_no_time_in_the_other_phase_changes_nothing(lungs: torch.Tensor) -> None:
    image = torch.rand(lungs.shape, generator=torch.Generator().manual_seed(0)) * lungs
    assert torch.equal(with_ghost(image, lungs, shift=5, slices=slice(0, 30), share=0.0), image)


def test_the_transform_moves_as_often_as_asked_and_leaves_its_input(lungs: torch.Tensor) -> None:
    item = {"image": 0.1 * lungs[None].float(), "lungs": lungs[None].to(torch.uint8)}
    before = item["image"].clone()
    move = RandBreathingd(prob=1.0).set_random_state(seed=0)
    moved = [move(item)["image"] for _ in range(30)]
    assert any(not torch.equal(image, before) for image in moved)
    assert torch.equal(item["image"], before)
    assert all(image.min() >= 0 and image.max() <= 1 for image in moved)
    still = RandBreathingd(prob=0.0)(item)["image"]
    assert torch.equal(still, before)


def test_all_that_is_drawn_is_drawn_in_randomize(
    lungs: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = {"image": 0.1 * lungs[None].float(), "lungs": lungs[None].to(torch.uint8)}
    move = RandBreathingd(prob=1.0, shift=(5, 5), slices=(3, 15)).set_random_state(seed=2)
    moved = move(item)["image"]
    monkeypatch.setattr(move, "randomize", lambda data: None)
    assert all(torch.equal(move(item)["image"], moved) for _ in range(10))
    assert torch.equal(with_ghost(item["image"][0], lungs, **move.drawn)[None], moved)
