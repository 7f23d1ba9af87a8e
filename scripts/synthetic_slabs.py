"""A whole healthy volume with synthetic lesions: some in every slab of as many slices as a training sample has."""

import torch

from generator import SynthesisSpec, synthesize
from normnet.healthy_volumes import SLAB_SLICES

__all__ = ["synthesize_in_slabs"]


def synthesize_in_slabs(
    image: torch.Tensor, lungs: torch.Tensor, *, rng: torch.Generator, spec: SynthesisSpec
) -> tuple[torch.Tensor, torch.Tensor]:
    """Puts synthetic lesions into every slab that holds lung; lambda is its lung over that of the fullest slab.

    Args:
        image: thorax area, (X, Y, Z) float32 in [0, 1].
        lungs: (X, Y, Z) bool.
        rng: on the CPU.
        spec: what to draw from.

    Returns:
        The image with lesions, and the lesion mask, bool, inside the lungs; both new tensors.
    """
    image, lesions = image.clone(), torch.zeros_like(lungs)
    largest = max(int(slab.sum()) for slab in lungs.split(SLAB_SLICES, dim=2))
    for start in range(0, lungs.shape[2], SLAB_SLICES):
        slab = (..., slice(start, start + SLAB_SLICES))
        share = int(lungs[slab].sum()) / max(largest, 1)
        if share:
            image[slab], lesions[slab] = synthesize(
                image[slab].contiguous(), lungs[slab].contiguous(), lung_fraction=share, rng=rng, spec=spec
            )
    return image, lesions
