"""Thick slices: what each thin slice shows is a mean over the scanner's, lesions and domes included."""

import pytest
import torch

from generator import healthy_target
from normnet.intensity import SOFT_TISSUE, TAU
from normnet.thick_slices import RandThickSlicesd, slice_profiles


def test_repeated_slices_show_the_mean_of_each_group() -> None:
    volume = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0, 8.0])
    shown = slice_profiles(6, thickness=2, padded=True) @ volume
    assert shown.tolist() == [0.5, 0.5, 2.5, 2.5, 6.0, 6.0]


def test_interpolated_slices_lie_between_the_centres_of_the_groups() -> None:
    volume = torch.tensor([0.0, 0.0, 0.0, 3.0, 3.0, 3.0])
    shown = slice_profiles(6, thickness=3) @ volume
    assert shown.tolist() == pytest.approx([0.0, 0.0, 1.0, 2.0, 3.0, 3.0])


def test_the_first_thick_slice_may_begin_before_the_volume() -> None:
    volume = torch.tensor([5.0, 1.0, 3.0, 7.0])
    assert (slice_profiles(4, thickness=2, offset=1, padded=True) @ volume).tolist() == [5.0, 2.0, 2.0, 7.0]


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("thickness", [1.0, 2.0, 3.7, 5.0, 60.0])
@pytest.mark.parametrize("offset", [0.0, 0.4, 0.99])
def test_a_constant_stays_and_nothing_leaves_its_range(thickness: float, offset: float, padded: bool) -> None:
    profiles = slice_profiles(32, thickness=thickness, offset=offset * thickness, padded=padded)
    assert profiles.shape == (32, 32)
    assert profiles.min() >= 0
    assert torch.allclose(profiles.sum(dim=1), torch.ones(32))


def test_slices_of_one_millimetre_are_the_volume() -> None:
    assert torch.allclose(slice_profiles(7, thickness=1), torch.eye(7))


@pytest.fixture
def pair() -> dict[str, torch.Tensor]:
    """Lungs over a flat diaphragm (below slice 4), a vessel at x = 1, a lesion at x = 5 in slices 7 to 10."""
    lungs = torch.zeros(1, 8, 3, 16, dtype=torch.uint8)
    lungs[..., 4:] = 1
    healthy = 0.1 * lungs.float()
    healthy[:, 1, :, 4:] = 0.8
    lesion = torch.zeros_like(lungs)
    lesion[:, 5, :, 7:11] = 1
    image = torch.where(lesion > 0, 0.7, healthy)
    return {
        "image": image,
        "healthy": healthy,
        "lungs": lungs,
        "lesion": lesion,
        "label": torch.zeros_like(lungs),
    }


def thick(pair: dict[str, torch.Tensor], **options: float) -> dict[str, torch.Tensor]:
    return RandThickSlicesd(prob=1.0, **options).set_random_state(seed=3)(dict(pair))  # type: ignore[arg-type]


def test_the_target_is_healthy_tissue_as_the_slices_show_it(pair: dict[str, torch.Tensor]) -> None:
    for seed in range(20):
        made = RandThickSlicesd(prob=1.0).set_random_state(seed=seed)(dict(pair))
        lesion = made["lesion"] > 0
        assert torch.equal(made["label"] > 0, healthy_target(made["healthy"], lesion, TAU))
        assert not (lesion & (made["lungs"] == 0)).any()
        assert (made["image"][made["lungs"] == 0] == 0).all()
        assert made["image"].min() >= 0 and made["image"].max() <= 1
        assert (made["label"][:, 1, :, 6:] == 1).all()  # the vessel runs along the slices' axis


def test_a_lesion_fades_into_its_neighbour_slices_and_is_not_healthy_there(
    pair: dict[str, torch.Tensor],
) -> None:
    made = thick(pair, thickness=(4.0, 4.0), padded=0.0)
    column = made["image"][0, 5, 0]
    faded = (column > 0.11) & (made["lesion"][0, 5, 0] == 0)
    assert faded[6:].any()
    assert (made["label"][0, 5, 0, 6:] == 0).all()


def test_the_diaphragm_blurs_into_the_lungs_and_is_healthy_there(pair: dict[str, torch.Tensor]) -> None:
    made = thick(pair, thickness=(5.0, 5.0), padded=0.0)
    column = made["image"][0, 3, 0]
    inside = made["lungs"][0, 3, 0] > 0
    first = int(inside.int().argmax())
    assert 0.1 < column[first] < SOFT_TISSUE
    assert torch.equal(made["label"][0, 3, 0] > 0, column >= TAU)


def test_slices_are_thick_as_often_as_asked_and_the_input_stays(pair: dict[str, torch.Tensor]) -> None:
    before = {key: value.clone() for key, value in pair.items()}
    never = RandThickSlicesd(prob=0.0)(pair)
    assert all(torch.equal(never[key], value) for key, value in before.items())
    thick(pair)
    assert all(torch.equal(pair[key], value) for key, value in before.items())
