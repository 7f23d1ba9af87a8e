"""Shapes by hand, and their distributions against the literal reading."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from generator import PAPER, SynthesisSpec, shapes
from generator.gaussian import Box
from generator.shapes import Ellipsoid, Lesion, lesion_shapes, merge_touching, render
from tests.generator import reference

# Two unlike lungs on a small grid, and the paper's spec at about a quarter of its lengths.
X, Y, Z = np.ogrid[:64, :64, :32]
LUNG = (((X - 18) / 13) ** 2 + ((Y - 32) / 26) ** 2 < 1) | (((X - 46) / 14) ** 2 + ((Y - 30) / 20) ** 2 < 1)
LUNG = LUNG & (Z > 1) & (Z < 30)
SPEC = replace(
    PAPER,
    small_count=(3, 5),
    small_radius=(1.5, 3.5),
    medium_count=(3, 5),
    medium_radius=(3.5, 8),
    large_probability=0.5,
    large_radius=(8, 14),
)
REFERENCE_DRAWS, DRAWS = 100, 150

# Statistic: two-sample Kolmogorov-Smirnov on each of the quantities below. Bound: p of each above 1e-3.
BOUND = 1e-3

Quantities = dict[str, list[float]]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def measure(samples: list[list[tuple[Box, np.ndarray]]], lung: np.ndarray) -> Quantities:
    """Measures merged blobs, given as boxes and what they fill of them."""
    depth = ndimage.distance_transform_edt(lung)
    lesions = [lesion for sample in samples for lesion in sample]
    return {
        "number in a volume": [len(sample) for sample in samples],
        "volume of all, voxels": [sum(mask.sum() for _, mask in sample) for sample in samples],
        "volume, voxels": [mask.sum() for _, mask in lesions],
        "extent in x, voxels": [mask.shape[0] for _, mask in lesions],
        "extent in y, voxels": [mask.shape[1] for _, mask in lesions],
        "extent in z, voxels": [mask.shape[2] for _, mask in lesions],
        "share of the bounding box": [mask.mean() for _, mask in lesions],
        "x of the centre, voxels": [box[0].start + np.argwhere(mask)[:, 0].mean() for box, mask in lesions],
        "mean depth in the lung, voxels": [depth[box][mask].mean() for box, mask in lesions],
    }


def fast_samples(spec: SynthesisSpec, lung: np.ndarray, draws: int) -> Quantities:
    mask = torch.from_numpy(lung)
    drawn = (lesion_shapes(mask, lung_fraction=1.0, rng=seeded(seed), spec=spec) for seed in range(draws))
    return measure([[(lesion.box, lesion.mask.numpy()) for lesion in sample] for sample in drawn], lung)


def literal_samples(spec: SynthesisSpec, lung: np.ndarray, draws: int) -> Quantities:
    samples = []
    for seed in range(draws):
        masks = reference.draw_lesions(lung, 1.0, np.random.default_rng(seed), spec)
        boxes = [ndimage.find_objects(mask.astype(np.uint8))[0] for mask in masks]
        samples.append([(box, mask[box]) for box, mask in zip(boxes, masks, strict=True)])
    return measure(samples, lung)


def p_values(one: Quantities, other: Quantities) -> dict[str, float]:
    return {name: float(stats.ks_2samp(one[name], other[name], method="asymp").pvalue) for name in one}


@pytest.fixture(scope="module")
def literal() -> Quantities:
    return literal_samples(SPEC, LUNG, REFERENCE_DRAWS)


def test_lesions_are_distributed_as_in_the_literal_reading(literal: Quantities) -> None:
    found = p_values(fast_samples(SPEC, LUNG, DRAWS), literal)
    assert min(found.values()) > BOUND, found


@pytest.mark.parametrize(
    "wrong",
    [
        {"small_count": (5, 8)},
        {"small_radius": (2, 4.5)},
        {"medium_count": (5, 8)},
        {"medium_radius": (4.2, 9.6)},
        {"large_probability": 0.0},
    ],
    ids=str,
)
def test_bound_fails_for_a_wrong_constant(
    literal: Quantities, wrong: dict[str, tuple[float, float] | float]
) -> None:
    found = p_values(fast_samples(replace(SPEC, **wrong), LUNG, DRAWS), literal)  # type: ignore[arg-type]
    assert min(found.values()) < BOUND, found


def anywhere(lung: torch.Tensor, count: int, rng: torch.Generator) -> list[tuple[int, int, int]]:
    """Draws centres from the whole volume instead of from the lung."""
    x, y, z = (torch.randint(size, (count,), generator=rng).tolist() for size in lung.shape)
    return list(zip(x, y, z, strict=True))


def by_slice(lung: torch.Tensor, count: int, rng: torch.Generator) -> list[tuple[int, int, int]]:
    """Draws each lung slice along x with the same probability, however little lung is in it."""
    slices = lung.flatten(1).any(1).nonzero().flatten().tolist()
    chosen = [slices[int(torch.randint(len(slices), (), generator=rng))] for _ in range(count)]
    places = [lung[x].nonzero() for x in chosen]
    return [
        (x, *place[int(torch.randint(len(place), (), generator=rng))].tolist())
        for x, place in zip(chosen, places, strict=True)
    ]


@pytest.mark.parametrize(
    ("step", "wrong"),
    [
        ("_draw_voxels", anywhere),
        ("merge_touching", lambda blobs: blobs),
    ],
    ids=["centres anywhere", "no merging"],
)
def test_bound_fails_for_a_wrong_step(
    literal: Quantities, monkeypatch: pytest.MonkeyPatch, step: str, wrong: Callable[..., object]
) -> None:
    monkeypatch.setattr(shapes, step, wrong)
    found = p_values(fast_samples(SPEC, LUNG, DRAWS), literal)
    assert min(found.values()) < BOUND, found


def centre_p_value(draw: Callable[..., list[tuple[int, int, int]]]) -> float:
    """Compares 3000 centres with all voxels of the lung: each coordinate, and the depth in the lung."""
    centres = np.array(draw(torch.from_numpy(LUNG), 3000, seeded(0)))
    depth = ndimage.distance_transform_edt(LUNG)
    drawn = [*centres.T, depth[tuple(centres.T)]]
    every = [*np.argwhere(LUNG).T, depth[LUNG]]
    pairs = zip(drawn, every, strict=True)
    return min(float(stats.ks_2samp(one, other, method="asymp").pvalue) for one, other in pairs)


def test_centres_are_spread_evenly_over_the_lung() -> None:
    assert centre_p_value(shapes._draw_voxels) > BOUND


@pytest.mark.parametrize("wrong", [anywhere, by_slice])
def test_bound_fails_for_centres_spread_in_another_way(wrong: Callable[..., object]) -> None:
    assert centre_p_value(wrong) < BOUND  # type: ignore[arg-type]


RADII = (3.0, 6.0, 12.0)
CENTRE = (20, 20, 18)
WHOLE = np.ones((40, 40, 32), bool)
BLOBS = 150


def fast_blobs(spec: SynthesisSpec, rotation: Callable[[torch.Generator], torch.Tensor]) -> Quantities:
    """Draws ellipsoids of three unlike half axes, each alone in a volume."""
    samples = []
    for seed in range(BLOBS):
        rng = seeded(seed)
        amplitude, smoothness = (
            6.0 * shapes.draw_uniform(bounds, rng)  # the mean radius is 6
            for bounds in (spec.deformation_amplitude, spec.deformation_smoothness)
        )
        ellipsoid = Ellipsoid(CENTRE, RADII, rotation(rng), amplitude, smoothness, seed)
        blob = render(ellipsoid, torch.from_numpy(WHOLE))
        assert blob is not None
        samples.append([(blob.box, blob.mask.numpy())])
    return measure(samples, WHOLE)


@pytest.fixture(scope="module")
def literal_blobs() -> Quantities:
    samples = []
    for seed in range(BLOBS):
        rng = np.random.default_rng(seed)
        blob = reference.draw_blob(WHOLE.shape, np.array(RADII), np.array(CENTRE), rng, SPEC)
        box = ndimage.find_objects(blob.astype(np.uint8))[0]
        samples.append([(box, blob[box])])
    return measure(samples, WHOLE)


def about_z(rng: torch.Generator) -> torch.Tensor:
    """Draws a rotation within the slices only."""
    angle = torch.rand((), generator=rng) * 2 * torch.pi
    turn = torch.eye(3)
    turn[0, 0] = turn[1, 1] = angle.cos()
    turn[0, 1], turn[1, 0] = -angle.sin(), angle.sin()
    return turn


def test_single_blob_is_distributed_as_in_the_literal_reading(literal_blobs: Quantities) -> None:
    found = p_values(fast_blobs(SPEC, shapes._draw_rotation), literal_blobs)
    assert min(found.values()) > BOUND, found


@pytest.mark.parametrize(
    ("wrong", "rotation"),
    [
        ({}, lambda rng: torch.eye(3)),
        ({}, about_z),
        ({"deformation_amplitude": (0.13, 0.39)}, shapes._draw_rotation),
        ({"deformation_smoothness": (0.5, 1.0)}, shapes._draw_rotation),
    ],
    ids=["no rotation", "rotation about z", "amplitude", "smoothness"],
)
def test_bound_fails_for_a_wrong_blob(
    literal_blobs: Quantities,
    wrong: dict[str, tuple[float, float]],
    rotation: Callable[[torch.Generator], torch.Tensor],
) -> None:
    found = p_values(fast_blobs(replace(SPEC, **wrong), rotation), literal_blobs)  # type: ignore[arg-type]
    assert min(found.values()) < BOUND, found


@pytest.mark.slow
def test_lesions_of_the_papers_own_lengths_are_distributed_as_in_the_literal_reading() -> None:
    lung = LUNG.repeat(3, axis=0).repeat(3, axis=1)
    found = p_values(fast_samples(PAPER, lung, 200), literal_samples(PAPER, lung, 60))
    assert min(found.values()) > BOUND, found


def test_undeformed_ellipsoid_is_the_set_of_voxels_within_its_half_axes() -> None:
    quarter_turn = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    ellipsoid = Ellipsoid((5, 6, 7), (4.0, 2.0, 1.0), quarter_turn, amplitude=0.0, smoothness=1.0, seed=0)
    blob = render(ellipsoid, torch.ones((12, 12, 12), dtype=torch.bool))
    assert blob is not None
    assert blob.box == (slice(3, 8), slice(2, 11), slice(6, 9))  # the half axis of 4 points along y
    x, y, z = np.ogrid[-2:3, -4:5, -1:2]
    np.testing.assert_array_equal(blob.mask, (x / 2) ** 2 + (y / 4) ** 2 + z**2 <= 1)


def test_blob_is_cut_to_the_lung_and_none_where_it_misses_the_lung() -> None:
    lung = torch.zeros((12, 12, 12), dtype=torch.bool)
    ball = Ellipsoid((6, 6, 6), (3.0, 3.0, 3.0), torch.eye(3), amplitude=0.0, smoothness=1.0, seed=0)
    assert render(ball, lung) is None
    lung[8, 6, 6] = True
    blob = render(ball, lung)
    assert blob is not None and blob.box == (slice(8, 9), slice(6, 7), slice(6, 7)) and bool(blob.mask.all())


def block(x: int, y: int, z: int, size: int = 2) -> Lesion:
    box = slice(x, x + size), slice(y, y + size), slice(z, z + size)
    return Lesion(box, torch.ones((size, size, size), dtype=torch.bool))


def test_blobs_that_meet_at_a_corner_merge_and_blobs_a_voxel_apart_do_not() -> None:
    assert len(merge_touching([block(0, 0, 0), block(2, 2, 2)])) == 1
    assert len(merge_touching([block(0, 0, 0), block(3, 0, 0)])) == 2
    assert len(merge_touching([block(0, 0, 0), block(1, 1, 1)])) == 1


def test_overlapping_boxes_of_blobs_that_do_not_touch_stay_apart() -> None:
    corner = torch.zeros((6, 6, 6), dtype=torch.bool)
    corner[:2, :, :] = corner[:, :2, :] = True
    hook = Lesion((slice(0, 6), slice(0, 6), slice(0, 6)), corner)
    assert len(merge_touching([hook, block(3, 3, 3)])) == 2
    assert len(merge_touching([hook, block(2, 2, 3)])) == 1


def test_blobs_merge_through_others_and_the_union_keeps_every_voxel() -> None:
    merged = merge_touching([block(0, 0, 0), block(20, 0, 0), block(4, 0, 0), block(2, 0, 0)])
    volumes = sorted(int(lesion.mask.sum()) for lesion in merged)
    assert volumes == [8, 24]
    chain = next(lesion for lesion in merged if lesion.mask.sum() == 24)
    assert chain.box == (slice(0, 6), slice(0, 2), slice(0, 2)) and bool(chain.mask.all())


def test_rotations_are_orthogonal_and_carry_an_axis_evenly_over_the_sphere() -> None:
    rotations = torch.stack([shapes._draw_rotation(seeded(seed)) for seed in range(2000)])
    assert torch.allclose(rotations @ rotations.mT, torch.eye(3).expand(2000, 3, 3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(rotations), torch.ones(2000), atol=1e-5)
    for heights in rotations[:, 2].T.numpy():  # evenly over the sphere: each coordinate is U[-1, 1]
        assert stats.kstest(heights, stats.uniform(-1, 2).cdf).pvalue > BOUND
