"""What holds for every sample: determinism, no side effects, lesions inside the lung, never darker."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from generator import FIXED_SHAPES, PAPER, SPECS, SynthesisSpec, healthy_target, synthesize
from generator.inject import inject
from generator.shapes import draw_ellipsoids, lesion_shapes

SHAPE = (96, 80, 24)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def lung() -> torch.Tensor:
    mask = torch.zeros(SHAPE, dtype=torch.bool)
    mask[8:40, 10:70, 2:22] = True
    mask[56:90, 15:75, :] = True
    return mask


@pytest.fixture
def image(lung: torch.Tensor) -> torch.Tensor:
    return torch.rand(SHAPE, generator=seeded(99)) * lung


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_lesions_brighten_the_lung_inside_the_mask_and_change_nothing_else(
    image: torch.Tensor, lung: torch.Tensor, spec: SynthesisSpec
) -> None:
    result, lesion = synthesize(image, lung, lung_fraction=1.0, rng=seeded(0), spec=spec)
    assert (result.shape, result.dtype, lesion.dtype) == (image.shape, torch.float32, torch.bool)
    assert 0 < lesion.sum() < lung.sum()
    assert not (lesion & ~lung).any()
    assert torch.equal(result[~lesion], image[~lesion])
    assert (result >= image).all()
    assert (result > image).sum() > 0.1 * lesion.sum()
    assert result.max() <= 1


def test_same_seed_gives_the_same_sample_and_another_seed_another(
    image: torch.Tensor, lung: torch.Tensor
) -> None:
    first, again, other = (synthesize(image, lung, lung_fraction=1.0, rng=seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])


def test_one_generator_gives_a_new_sample_at_each_call(image: torch.Tensor, lung: torch.Tensor) -> None:
    rng = seeded(0)
    _, first = synthesize(image, lung, lung_fraction=1.0, rng=rng)
    _, second = synthesize(image, lung, lung_fraction=1.0, rng=rng)
    assert not torch.equal(first, second)


def test_inputs_and_global_random_states_stay_as_they_were(image: torch.Tensor, lung: torch.Tensor) -> None:
    image_before, lung_before = image.clone(), lung.clone()
    torch_before, numpy_before = torch.get_rng_state(), pickle.dumps(np.random.get_state())  # noqa: NPY002
    synthesize(image, lung, lung_fraction=1.0, rng=seeded(0))
    assert torch.equal(image, image_before) and torch.equal(lung, lung_before)
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert pickle.dumps(np.random.get_state()) == numpy_before  # noqa: NPY002


def test_lung_fraction_scales_the_number_of_ellipsoids(lung: torch.Tensor) -> None:
    # Two counts from round(U[5 lambda, 10 lambda]), each with the mean 7.5 lambda, and 0.2 lambda large ones.
    for fraction, low, high in ((1.0, 10, 21), (0.5, 4, 11), (0.2, 2, 5)):
        numbers = [
            len(draw_ellipsoids(lung, lung_fraction=fraction, rng=seeded(seed))) for seed in range(100)
        ]
        assert low <= min(numbers) and max(numbers) <= high
        assert np.mean(numbers) == pytest.approx(15.2 * fraction, rel=0.1)


def test_fixed_shapes_are_five_balls_of_radius_12_whatever_the_lung() -> None:
    lung = torch.ones((128, 128, 64), dtype=torch.bool)
    for fraction in (0.1, 1.0):
        balls = draw_ellipsoids(lung, lung_fraction=fraction, rng=seeded(1), spec=FIXED_SHAPES)
        assert [(ball.radii, ball.amplitude) for ball in balls] == [((12, 12, 12), 0)] * 5


def test_empty_lung_gives_a_copy_and_an_empty_mask(image: torch.Tensor) -> None:
    result, lesion = synthesize(image, torch.zeros(SHAPE, dtype=torch.bool), lung_fraction=1.0, rng=seeded(0))
    assert torch.equal(result, image) and result.data_ptr() != image.data_ptr()
    assert not lesion.any()


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 1), (5, 40, 4), (7, 7, 7)])
def test_volumes_smaller_than_the_blobs_work(shape: tuple[int, int, int]) -> None:
    image, lung = torch.zeros(shape), torch.ones(shape, dtype=torch.bool)
    for seed in range(5):
        result, lesion = synthesize(image, lung, lung_fraction=1.0, rng=seeded(seed))
        assert bool(torch.isfinite(result).all()) and bool((result[~lesion] == 0).all())


def test_a_lung_of_one_voxel_takes_a_lesion_of_that_voxel() -> None:
    lung = torch.zeros((20, 20, 20), dtype=torch.bool)
    lung[4, 5, 6] = True
    spec = replace(PAPER, deformation_amplitude=(0, 0))
    _, lesion = synthesize(torch.zeros((20, 20, 20)), lung, lung_fraction=1.0, rng=seeded(0), spec=spec)
    assert torch.equal(lesion, lung)


def test_views_that_are_not_contiguous_give_the_same_sample(image: torch.Tensor, lung: torch.Tensor) -> None:
    flipped = image.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    result, _ = synthesize(flipped, lung, lung_fraction=1.0, rng=seeded(0))
    expected, _ = synthesize(image, lung, lung_fraction=1.0, rng=seeded(0))
    assert torch.equal(result, expected)


def test_lesions_of_one_sample_do_not_touch_each_other(lung: torch.Tensor) -> None:
    spec = replace(PAPER, medium_radius=(3, 8), large_probability=0)
    lesions = lesion_shapes(lung, lung_fraction=1.0, rng=seeded(5), spec=spec)
    assert 5 < len(lesions) < len(draw_ellipsoids(lung, lung_fraction=1.0, rng=seeded(5), spec=spec))
    owners = torch.zeros(SHAPE)
    for lesion in lesions:
        whole = torch.zeros(SHAPE)
        whole[lesion.box] = lesion.mask.float()
        owners += torch.nn.functional.max_pool3d(whole[None], 3, 1, 1)[0] * (1 - whole) * 0.5 + whole
        assert lesion.mask.any(2).any(1)[[0, -1]].all()  # the box is tight
    covered = torch.zeros(SHAPE, dtype=torch.bool)
    for lesion in lesions:
        covered[lesion.box] |= lesion.mask
    assert (owners[covered] == 1).all()  # no voxel of a lesion is another's, or another's neighbour


def test_injection_keeps_the_brighter_value_and_only_inside_the_lesion() -> None:
    image = torch.tensor([[[0.2, 0.9, 0.2]]])
    lesion = torch.tensor([[[True, True, False]]])
    injected = inject(image, lesion, torch.tensor([[[0.5, 0.5, 0.5]]]))
    assert torch.equal(injected, torch.tensor([[[0.5, 0.9, 0.2]]]))


def test_target_is_bright_healthy_tissue_outside_the_lesions() -> None:
    image = torch.tensor([[[0.5, 0.5, 0.2, 1 / 3]]])
    lesion = torch.tensor([[[True, False, False, False]]])
    expected = torch.tensor([[[False, True, False, True]]])
    assert torch.equal(healthy_target(image, lesion, 1 / 3), expected)


def test_wrong_input_is_refused_with_what_arrived(image: torch.Tensor, lung: torch.Tensor) -> None:
    def call(image: torch.Tensor, lung: torch.Tensor, fraction: float = 1.0) -> None:
        synthesize(image, lung, lung_fraction=fraction, rng=seeded(0))

    with pytest.raises(ValueError, match=r"image: .*\(1, 96, 80, 24\)"):
        call(image[None], lung)
    with pytest.raises(ValueError, match=r"image: .*float64"):
        call(image.double(), lung)
    with pytest.raises(ValueError, match=r"lung: .*\(96, 80, 23\)"):
        call(image, lung[..., 1:])
    with pytest.raises(ValueError, match=r"lung: .*torch.uint8"):
        call(image, lung.byte())
    with pytest.raises(ValueError, match=r"image: .*-800 to 100"):
        call(image * 900 - 800 + 900 * (image == image.max()) * (1 - image), lung)
    with pytest.raises(ValueError, match=r"image: .*nan"):
        call(torch.full(SHAPE, torch.nan), lung)
    for fraction in (0.0, 1.2, float("nan")):
        with pytest.raises(ValueError, match=f"lung_fraction: .*{fraction}"):
            call(image, lung, fraction)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_cuda_a_seed_gives_the_same_sample_each_time(image: torch.Tensor, lung: torch.Tensor) -> None:
    thorax, mask = image.cuda(), lung.cuda()
    first, again = (synthesize(thorax, mask, lung_fraction=1.0, rng=seeded(0)) for _ in range(2))
    assert first[0].device == thorax.device and first[1].device == thorax.device
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not (first[1] & ~mask).any() and (first[0] >= thorax).all()
    assert torch.equal(first[0][~first[1]], thorax[~first[1]])
