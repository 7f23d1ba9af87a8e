"""Synthesis of one training sample (III-C): shapes filled with textures, injected into the thorax area."""

import torch

from generator.shapes import lesion_shapes
from generator.spec import PAPER, SynthesisSpec
from generator.textures import draw_texture, fill

__all__ = ["healthy_target", "inject", "synthesize"]

INTENSITY_TOLERANCE = 1e-3
"""How far a scaled image may leave [0, 1] by rounding."""


def synthesize(
    image: torch.Tensor,
    lung: torch.Tensor,
    *,
    lung_fraction: float,
    rng: torch.Generator,
    spec: SynthesisSpec = PAPER,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Injects synthetic lesions into the thorax area of a healthy CT (III-C).

    Every parameter is drawn from `rng`. The noise is drawn on the image's device by generators whose seeds
    come from `rng`: the result is fixed by seed and device, and no global random state is read or changed.

    Args:
        image: the thorax area H, (X, Y, Z) float32 in [0, 1], on the 0.8 x 0.8 x 1.0 mm grid.
        lung: the lung mask M, (X, Y, Z) bool, on the image's device.
        lung_fraction: lambda, the lung's volume over the largest of the training set, in (0, 1].
        rng: on the CPU.
        spec: what to draw from.

    Returns:
        The image with lesions, A = max(H, B_1, B_2, ...) inside the lesions and H elsewhere, and the lesion
        mask G, bool, inside the lung; both new tensors. An empty lung gives a copy and an empty mask.

    Raises:
        ValueError: a shape, type, device, intensity or lung_fraction is not as stated.
    """
    _check(image, lung, lung_fraction, rng)
    result = image.clone()
    lesion_mask = torch.zeros_like(lung)
    for lesion in lesion_shapes(lung, lung_fraction=lung_fraction, rng=rng, spec=spec):
        texture = draw_texture(rng=rng, spec=spec)
        shape = (image.shape[0], image.shape[1], image.shape[2])
        intensity = fill(texture, lesion.box, shape, spec=spec, device=image.device)
        result[lesion.box] = inject(result[lesion.box], lesion.mask, intensity)
        lesion_mask[lesion.box] |= lesion.mask
    return result, lesion_mask


def inject(image: torch.Tensor, lesion: torch.Tensor, intensity: torch.Tensor) -> torch.Tensor:
    """Gives max(H, B) inside the lesion and H elsewhere; three tensors of one shape, `lesion` bool."""
    return torch.where(lesion, torch.maximum(image, intensity), image)


def healthy_target(image: torch.Tensor, lesion: torch.Tensor, tau: float) -> torch.Tensor:
    """Marks the bright healthy tissue that the network learns: (H >= tau) and not G (III-A, eq. 1).

    Args:
        image: the thorax area H before injection, any shape, in [0, 1].
        lesion: G, the same shape, bool.
        tau: threshold on the scaled image.

    Returns:
        The same shape, bool.
    """
    return (image >= tau) & ~lesion


def _check(image: torch.Tensor, lung: torch.Tensor, lung_fraction: float, rng: torch.Generator) -> None:
    if image.ndim != 3 or image.numel() == 0 or image.dtype != torch.float32:
        raise ValueError(f"image: expected (X, Y, Z) float32, got {tuple(image.shape)} {image.dtype}")
    if lung.shape != image.shape or lung.dtype != torch.bool or lung.device != image.device:
        raise ValueError(
            f"lung: expected {tuple(image.shape)} torch.bool on {image.device}, "
            f"got {tuple(lung.shape)} {lung.dtype} on {lung.device}"
        )
    if not 0 < lung_fraction <= 1:
        raise ValueError(f"lung_fraction: expected a number in (0, 1], got {lung_fraction}")
    if rng.device.type != "cpu":
        raise ValueError(f"rng: expected a generator on the CPU, got one on {rng.device}")
    low, high = (float(value) for value in torch.aminmax(image))
    if not (low >= -INTENSITY_TOLERANCE and high <= 1 + INTENSITY_TOLERANCE):
        raise ValueError(f"image: expected intensities scaled to [0, 1], got {low:g} to {high:g}")
