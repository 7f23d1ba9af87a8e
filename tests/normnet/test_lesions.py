from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose
from scipy import ndimage

from normnet.errors import InputError
from normnet.intensity import TAU
from normnet.lesions import (
    LesionRule,
    MeanProbabilityd,
    SegmentLesionsd,
    VoteHealthyd,
    lesion_stages,
    segment_lesions,
)

SHAPE = (40, 36, 30)


@pytest.fixture
def chest() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Thorax area, lungs and vote: a lung with vessels mostly voted healthy, and a soft-edged lesion."""
    rng = np.random.default_rng(0)
    lungs = np.zeros(SHAPE, dtype=bool)
    lungs[3:-3, 3:-3, 3:-3] = True
    grid = np.indices(SHAPE)
    distance = np.sqrt(sum((axis - centre) ** 2 for axis, centre in zip(grid, (14, 16, 12), strict=True)))
    vessels = ndimage.gaussian_filter(rng.random(SHAPE), 1) > 0.56
    image = np.where(vessels, 0.8, 0.05)
    image = np.maximum(image, np.clip(1 - distance / 14, 0, 0.7)) * lungs
    healthy = vessels & lungs & (distance > 7)
    return torch.from_numpy(image.astype(np.float32)), torch.from_numpy(lungs), torch.from_numpy(healthy)


def literal_reading(image, lungs, healthy, steps):
    """Fig. 4 step by step in scipy, float64."""
    a = np.where(lungs, image, 0).astype(np.float64)
    d = np.where((a >= 1 / 3 - 1e-7) & ~healthy, a, 0)
    e = (ndimage.uniform_filter(d, 9, mode="constant") > 0.2) & lungs
    f = np.where(~healthy, a, 0)
    g = (ndimage.uniform_filter(f, 7, mode="constant") > 0.15) & lungs
    grown = ndimage.binary_dilation(e, np.ones((3, 3, 3)), iterations=steps, mask=g)
    return e, g, grown & g


def test_fig_4_is_its_literal_reading(chest):
    image, lungs, healthy = chest
    stages = lesion_stages(image, lungs, healthy, LesionRule(growing_steps=2))
    expected = literal_reading(*(volume.numpy() for volume in chest), steps=2)
    assert 0 < expected[0].sum() < expected[2].sum() < expected[1].sum()
    for found, wanted in zip((stages.seed, stages.support, stages.lesion), expected, strict=True):
        assert np.array_equal(found.numpy(), wanted)
    assert torch.equal(segment_lesions(*chest, rule=LesionRule(growing_steps=2)), stages.lesion)


def test_the_maps_carry_intensities_of_what_is_not_healthy():
    image = torch.tensor([0.9, 0.9, 0.2, 0.2, 0.9]).reshape(5, 1, 1)
    healthy = torch.tensor([True, False, True, False, False]).reshape(5, 1, 1)
    lungs = torch.tensor([True, True, True, True, False]).reshape(5, 1, 1)
    stages = lesion_stages(image, lungs, healthy)
    assert stages.bright.flatten().tolist() == pytest.approx([0, 0.9, 0, 0, 0])
    assert stages.full.flatten().tolist() == pytest.approx([0, 0.9, 0, 0.2, 0])


def test_tissue_at_tau_is_bright():
    image = torch.tensor([300 / 900, 299 / 900]).reshape(2, 1, 1)
    everything = torch.ones(2, 1, 1, dtype=torch.bool)
    assert (lesion_stages(image, everything, ~everything).bright > 0).flatten().tolist() == [True, False]


def test_a_block_that_nobody_calls_healthy_is_a_lesion_and_a_lone_voxel_is_not():
    image = torch.zeros(40, 20, 20)
    image[4:16, 4:16, 4:16] = 1
    image[30, 10, 10] = 1
    lungs = torch.ones(40, 20, 20, dtype=torch.bool)
    lesion = segment_lesions(image, lungs, torch.zeros_like(lungs))
    assert lesion[5:15, 5:15, 5:15].all() and not lesion[24:].any()
    assert not segment_lesions(image, lungs, image > 0).any()


def test_the_lesion_stays_inside_the_lungs(chest):
    image, lungs, healthy = chest
    half = lungs.clone()
    half[:16] = False
    lesion = segment_lesions(image, half, healthy)
    assert lesion.any() and not (lesion & ~half).any()


def test_a_thin_lesion_on_the_edge_of_the_lungs_goes_where_asked_and_a_thick_one_stays():
    lungs = torch.zeros(40, 30, 30, dtype=torch.bool)
    lungs[2:-2, 2:-2, 2:-2] = True
    image = torch.zeros(lungs.shape)
    image[4:34, 2:5, 4:24] = 1  # a rim, three voxels of it in the lungs
    rim = LesionRule(bright_kernel=3, full_kernel=3)
    assert segment_lesions(image, lungs, ~lungs, rule=rim)[10:30, 3, 10:20].all()
    for depth, kept in ((0, True), (1, True), (2, False), (3, False)):
        found = segment_lesions(image, lungs, ~lungs, rule=replace(rim, edge_depth=depth))
        assert bool(found.any()) == kept, depth
    image[4:34, 2:16, 4:24] = 1  # a lesion at the pleura
    assert segment_lesions(image, lungs, ~lungs, rule=replace(rim, edge_depth=3))[10:30, 3:15, 10:20].all()


@pytest.mark.parametrize(
    ("density", "border_kernel", "beyond"),
    [
        (
            1.0,
            0,
            2,
        ),  # of the cube of 7 round a voxel so far outside, 2/7 are lesion; of that of 3 round the next, 1/3
        (1.0, 3, 1),
        (0.4, 0, 1),  # 0.4 x 3/7 is above 0.15, 0.4 x 1/3 below
        (0.4, 3, 0),
    ],
)
def test_the_border_kernel_keeps_a_lesion_from_reaching_beyond_what_is_dense(density, border_kernel, beyond):
    lungs = torch.ones(32, 32, 32, dtype=torch.bool)
    image = torch.zeros(lungs.shape)
    image[8:24, 8:24, 8:24] = density
    rule = LesionRule(bright_threshold=0.1, border_kernel=border_kernel)
    row = segment_lesions(image, lungs, ~lungs, rule=rule)[:, 16, 16]
    assert torch.equal(row.nonzero()[:, 0], torch.arange(8 - beyond, 24 + beyond))


def test_volumes_of_two_shapes_are_refused(chest):
    image, lungs, healthy = chest
    with pytest.raises(ValueError, match="one shape"):
        segment_lesions(image, lungs[:5], healthy)


def test_every_parameter_has_its_name_in_the_transform(chest):
    values = {
        "tau": 0.5,
        "bright_kernel": 3,
        "bright_threshold": 0.3,
        "full_kernel": 5,
        "full_threshold": 0.2,
        "border_kernel": 3,
        "edge_depth": 2,
    }
    transform = SegmentLesionsd(**values, growing_steps=None)
    assert transform.rule == LesionRule(**values, growing_steps=None)
    assert {*values, "growing_steps"} == {field.name for field in fields(LesionRule)}
    with pytest.raises(TypeError, match="kernel"):
        SegmentLesionsd(kernel=3)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("growing_steps", "null"),
        ("growing_steps", -1),
        ("bright_kernel", 8),
        ("full_kernel", 7.0),
        ("border_kernel", 2),
        ("border_kernel", None),
        ("edge_depth", -1),
        ("edge_depth", None),
        ("bright_threshold", -1),
        ("full_threshold", "x"),
        ("tau", 5),
    ],
)
def test_a_field_that_cannot_be_is_named_before_any_study_is_read(field, value):
    with pytest.raises(InputError, match=rf"^{field}: expected .+, found {value!r}\.$"):
        SegmentLesionsd(**{field: value})


def members_of(healthy: torch.Tensor) -> torch.Tensor:
    """Five members, of which three vote as `healthy` says, one for all and one for nothing."""
    votes = [healthy, healthy, healthy, torch.ones_like(healthy), torch.zeros_like(healthy)]
    return torch.stack([vote.float() for vote in votes])


def test_the_transforms_give_what_the_functions_give(chest):
    image, lungs, healthy = chest
    data = {
        "image": MetaTensor(image[None]),
        "lungs": MetaTensor(lungs[None].to(torch.uint8)),
        "pred": MetaTensor(members_of(healthy)),
    }
    result = Compose([VoteHealthyd(), SegmentLesionsd(growing_steps=2), MeanProbabilityd()])(data)
    bright = (image >= TAU) & lungs
    assert torch.equal(result["vote"][0].bool(), healthy)
    assert torch.equal(result["healthy"][0].bool(), healthy & bright)
    assert torch.equal(result["disagreement"][0] > 0, bright)
    expected = segment_lesions(image, lungs, healthy, rule=LesionRule(growing_steps=2))
    assert torch.equal(result["lesion"][0].bool(), expected)
    assert torch.allclose(result["probability"][0], 0.2 + 0.6 * healthy.float())
    types = {key: result[key].dtype for key in ("healthy", "lesion", "disagreement", "probability")}
    assert types == {
        "healthy": torch.uint8,
        "lesion": torch.uint8,
        "disagreement": torch.float32,
        "probability": torch.float32,
    }
    assert set(data) == {"image", "lungs", "pred"}


def test_what_the_vote_says_of_dark_lung_is_not_subtracted(chest):
    image, lungs, healthy = chest
    everything_dark = healthy | (lungs & (image < TAU))
    data = {"image": MetaTensor(image[None]), "lungs": MetaTensor(lungs[None].to(torch.uint8))}
    data["pred"] = MetaTensor(members_of(everything_dark))
    found = Compose([VoteHealthyd(), SegmentLesionsd()])(data)["lesion"][0].bool()
    bright = healthy & (image >= TAU)
    assert torch.equal(found, segment_lesions(image, lungs, bright))
    assert not torch.equal(found, segment_lesions(image, lungs, everything_dark))


@pytest.mark.gpu
def test_cuda_gives_the_same(chest):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    assert torch.equal(segment_lesions(*(volume.cuda() for volume in chest)).cpu(), segment_lesions(*chest))


def test_votes_that_the_members_cannot_give_are_refused_before_any_study():
    VoteHealthyd(votes=3, members=3)
    with pytest.raises(InputError, match="between 1 and 3 votes of 3 members, got 4"):
        VoteHealthyd(votes=4, members=3)


@pytest.mark.parametrize("threshold", [99, -0.1, 0.9999, "sure"])
def test_a_probability_that_no_member_can_exceed_is_refused_before_any_study(threshold):
    with pytest.raises(
        InputError, match=r"^healthy_probability: expected a number from 0 to below 0\.9995, found"
    ):
        VoteHealthyd(threshold=threshold)
