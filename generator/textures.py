"""Lesion textures B_j (III-C2): salt whose probability varies smoothly, smoothed, scaled, clipped."""

from dataclasses import dataclass

import torch

from generator.gaussian import Box, smooth, smoothing_matrix
from generator.shapes import LARGEST_SEED, draw_uniform
from generator.spec import PAPER, SynthesisSpec

__all__ = ["Texture", "brightness_factor", "draw_texture", "fill"]


@dataclass(frozen=True)
class Texture:
    """One texture before it is drawn: all that is random about it."""

    probability_sigma: float
    """sigma_a, voxels."""

    probability: tuple[float, float]
    """a_L and a_U."""

    salt_sigma: float
    """sigma_b, voxels."""

    brightness: float
    """mu_0, scaled intensity."""

    seed: int
    """Seed of the noise."""


def draw_texture(*, rng: torch.Generator, spec: SynthesisSpec = PAPER) -> Texture:
    """Draws every parameter of a texture; `rng` is on the CPU."""
    # The sorted pair on a range shortened by the gap is uniform over all (a_L, a_U) that keep the gap.
    low, high = spec.probability
    shortened = (low, max(low, high - spec.probability_gap))
    ends = sorted(draw_uniform(shortened, rng) for _ in range(2))
    fine = draw_uniform((0.0, 1.0), rng) < spec.fine_probability
    return Texture(
        probability_sigma=draw_uniform(spec.probability_sigma, rng),
        probability=(ends[0], min(high, ends[1] + spec.probability_gap)),
        salt_sigma=draw_uniform(spec.fine_sigma if fine else spec.coarse_sigma, rng),
        brightness=draw_uniform(spec.brightness, rng),
        seed=int(torch.randint(LARGEST_SEED, (), generator=rng)),
    )


def fill(
    texture: Texture,
    box: Box,
    shape: tuple[int, int, int],
    *,
    spec: SynthesisSpec = PAPER,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """Draws a texture B over a box of a volume.

    The noise is that of the whole volume, mirrored at its borders; only what the box needs of it is drawn.
    The extremes of eq. 8 and the mean of eq. 6 are taken over the box.

    Args:
        texture: the parameters.
        box: where the texture is wanted.
        shape: of the volume, voxels.
        spec: for the floor of eq. 6.
        device: where to draw.

    Returns:
        B over the box, float32 in [0, 1].
    """
    generator = torch.Generator(device).manual_seed(texture.seed)
    pairs = [smoothing_matrix(side, size, texture.salt_sigma) for side, size in zip(box, shape, strict=True)]
    salted = (pairs[0][1], pairs[1][1], pairs[2][1])
    salt = _salt(texture, box, salted, shape, generator)
    smoothed = smooth(salt, [weights for weights, _ in pairs])
    return smoothed.mul_(brightness_factor(smoothed, texture.brightness, spec.brightness_floor)).clamp_(0, 1)


def _salt(
    texture: Texture, box: Box, salted: Box, shape: tuple[int, int, int], generator: torch.Generator
) -> torch.Tensor:
    """Draws the salt b1 (eq. 2) over `salted`, its probability scaled over `box` (eq. 7 and 8)."""
    matrices = [
        smoothing_matrix(side, size, texture.probability_sigma, spacing=texture.probability_sigma)[0]
        for side, size in zip(salted, shape, strict=True)
    ]
    cells = [matrix.shape[1] for matrix in matrices]
    probability = smooth(torch.randn(cells, generator=generator, device=generator.device), matrices)
    inner = tuple(
        slice(own.start - whole.start, own.stop - whole.start) for own, whole in zip(box, salted, strict=True)
    )
    least, most = torch.aminmax(probability[inner])
    low, high = texture.probability
    gain = (high - low) / (most - least).clamp_min(torch.finfo(torch.float32).tiny)  # one voxel: a = a_L
    probability.sub_(least).mul_(gain).add_(low)
    chance = torch.rand(probability.shape, generator=generator, device=generator.device)
    return chance.lt_(probability)


def brightness_factor(smoothed: torch.Tensor, brightness: float, floor: float) -> torch.Tensor:
    """Gives beta (eq. 6): the mean of what passes the floor becomes the brightness.

    Where nothing passes, the largest value takes the place of the mean (decision); without salt beta is 0.

    Args:
        smoothed: b2, any shape.
        brightness: mu_0, scaled intensity.
        floor: the threshold t of mean_t.

    Returns:
        A number, as a tensor on the same device.
    """
    passing = smoothed > floor
    count = passing.sum()
    # In float32 the sum's last bit depends on the number of threads.
    total = (smoothed * passing).sum(dtype=torch.float64)
    mean = torch.where(count > 0, total / count.clamp_min(1), smoothed.amax()).to(smoothed.dtype)
    return torch.where(mean > 0, brightness / mean, torch.zeros_like(mean))
