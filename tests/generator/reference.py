"""Section III-C read literally, step by step, in numpy and scipy: every blob and noise on the whole grid.

The fast generator is held to this one by its distributions. Slow on purpose, but not made slow: float32, one
filter a step. It reads its constants from the same SynthesisSpec and shares nothing else with the package.
What the paper leaves open (the decisions named in generator/) is decided alike.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from generator.spec import PAPER, SynthesisSpec

Mask = npt.NDArray[np.bool_]
Volume = npt.NDArray[np.float32]
TOUCHING = np.ones((3, 3, 3))  # 26 neighbours


@dataclass(frozen=True)
class Texture:
    """The parameters of one texture."""

    sigma_a: float
    a_low: float
    a_high: float
    sigma_b: float
    mu_0: float


def synthesize(
    image: Volume, lung: Mask, lung_fraction: float, rng: np.random.Generator, spec: SynthesisSpec = PAPER
) -> tuple[Volume, Mask]:
    """Gives the image with lesions A, and G."""
    result = image.copy()
    lesion_mask = np.zeros_like(lung)
    for lesion in draw_lesions(lung, lung_fraction, rng, spec):
        intensity = draw_patch(lesion, draw_texture(rng, spec), rng, spec)
        result = np.where(lesion, np.maximum(result, intensity), result)
        lesion_mask |= lesion
    return result, lesion_mask


def draw_lesions(
    lung: Mask, lung_fraction: float, rng: np.random.Generator, spec: SynthesisSpec = PAPER
) -> list[Mask]:
    """Draws G_1, G_2, ... (III-C1)."""
    scale = lung_fraction if spec.counts_follow_lung else 1.0
    small = round(rng.uniform(scale * spec.small_count[0], scale * spec.small_count[1]))
    medium = round(rng.uniform(scale * spec.medium_count[0], scale * spec.medium_count[1]))
    large = int(rng.uniform() < scale * spec.large_probability)
    bounds = [spec.small_radius] * small + [spec.medium_radius] * medium + [spec.large_radius] * large
    places = np.argwhere(lung)
    blobs = []
    for low, high in bounds:
        blob = draw_blob(lung.shape, rng.uniform(low, high, 3), places[rng.integers(len(places))], rng, spec)
        blobs.append(blob & lung)
    return merge(blobs)


def draw_blob(
    shape: tuple[int, ...],
    radii: npt.NDArray[np.float64],
    centre: npt.NDArray[np.int64],
    rng: np.random.Generator,
    spec: SynthesisSpec = PAPER,
) -> Mask:
    """Draws one ellipsoid, elastically deformed, rotated and placed, on the whole grid."""
    mean_radius = float(np.prod(radii)) ** (1 / 3)
    amplitude = mean_radius * rng.uniform(*spec.deformation_amplitude)
    smoothness = mean_radius * rng.uniform(*spec.deformation_smoothness)
    rotation, upper = np.linalg.qr(rng.standard_normal((3, 3)))
    rotation *= np.sign(np.diag(upper))  # uniform, with mirrored ones: the same for an ellipsoid
    axes = np.meshgrid(*(np.arange(size, dtype=np.float32) for size in shape), indexing="ij", sparse=True)
    moved = [
        position - middle + amplitude * elastic_noise(shape, smoothness, rng)
        for position, middle in zip(axes, centre.tolist(), strict=True)
    ]
    squared = np.zeros(shape, np.float32)
    for direction, radius in zip(rotation.T.astype(np.float32), radii.astype(np.float32), strict=True):
        along = direction[0] * moved[0] + direction[1] * moved[1] + direction[2] * moved[2]
        squared += (along / radius) ** 2
    return squared <= 1


def elastic_noise(shape: tuple[int, ...], sigma: float, rng: np.random.Generator) -> Volume:
    """Draws a random field smoothed by a Gaussian (Simard 2003), of variance 1 at every voxel."""
    field = ndimage.gaussian_filter(rng.uniform(-1, 1, shape).astype(np.float32), sigma)
    field *= np.sqrt(3)  # U[-1, 1] has the variance 1/3
    for axis, size in enumerate(shape):
        deviation = np.linalg.norm(ndimage.gaussian_filter1d(np.eye(size), sigma, axis=0), axis=1)
        field /= np.expand_dims(deviation, [other for other in range(3) if other != axis]).astype(np.float32)
    return field


def merge(blobs: list[Mask]) -> list[Mask]:
    """Joins blobs that have a connected area of their union in common, directly or through others."""
    if not blobs:
        return []
    areas, _ = ndimage.label(np.any(blobs, axis=0), TOUCHING)
    groups: list[tuple[set[int], Mask]] = []
    for blob in blobs:
        labels, union = set(np.unique(areas[blob]).tolist()), blob
        if not labels:
            continue
        for other_labels, other in [group for group in groups if group[0] & labels]:
            labels, union = labels | other_labels, union | other
        groups = [group for group in groups if not group[0] & labels] + [(labels, union)]
    return [union for _, union in groups]


def draw_texture(rng: np.random.Generator, spec: SynthesisSpec = PAPER) -> Texture:
    """Draws the parameters of a texture (III-C2)."""
    sigma_a = rng.uniform(*spec.probability_sigma)
    a_low, a_high = rng.uniform(*spec.probability, 2)
    while a_high - a_low < spec.probability_gap:
        a_low, a_high = rng.uniform(*spec.probability, 2)
    sigma_b = rng.uniform(*(spec.fine_sigma if rng.uniform() < spec.fine_probability else spec.coarse_sigma))
    return Texture(sigma_a, a_low, a_high, sigma_b, rng.uniform(*spec.brightness))


def draw_patch(
    lesion: Mask, texture: Texture, rng: np.random.Generator, spec: SynthesisSpec = PAPER
) -> Volume:
    """Draws a texture B on the whole grid; extremes and mean are those of the lesion's box (III-C2)."""
    box = ndimage.find_objects(lesion.astype(np.uint8))[0]
    a_1 = rng.random(lesion.shape, dtype=np.float32)
    a_2 = ndimage.gaussian_filter(a_1, texture.sigma_a)
    least, most = a_2[box].min(), a_2[box].max()
    a = (texture.a_high - texture.a_low) * (a_2 - least) / max(most - least, 1e-30) + texture.a_low
    b_1 = (rng.random(lesion.shape, dtype=np.float32) < a).astype(np.float32)
    b_2 = ndimage.gaussian_filter(b_1, texture.sigma_b)
    return np.clip(beta(b_2[box], texture.mu_0, spec.brightness_floor) * b_2, 0, 1)


def beta(b_2: Volume, mu_0: float, floor: float) -> float:
    """Eq. 6."""
    passing = b_2[b_2 > floor]
    mean = passing.mean() if passing.size else b_2.max()
    return mu_0 / mean if mean > 0 else 0.0
