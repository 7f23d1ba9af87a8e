"""Soft borders: a lesion's intensity fades out towards healthy lung, as ground glass does (beyond the paper)."""

import math

import torch

from generator.gaussian import smooth, smoothing_matrix
from generator.shapes import Lesion
from generator.spec import SMALLEST_SIGMA

__all__ = ["fade"]

WIDEST = 0.4
"""Most sigma of a border, as a share of the radius of a sphere of the lesion's volume: small lesions keep a core."""

FAINTEST = 0.2
"""Where less than this share of the intensity is left, the border ends: what it holds is healthy."""


def fade(lesion: Lesion, lung: torch.Tensor, sigma: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Gives the share of its intensity that a lesion has in each voxel.

    It falls from 1 inside to 0 at the border, twice the lesion's smoothed share of the lung less one. At the pleura it
    does not fall: there is no lung beyond.

    Args:
        lesion: one lesion.
        lung: (X, Y, Z) bool.
        sigma: of the Gaussian over the border, voxels.

    Returns:
        The share over the lesion's box, float32 in [0, 1], and the lesion without its faintest rim, bool.
    """
    radius = (int(lesion.mask.sum()) * 3 / (4 * math.pi)) ** (1 / 3)
    sigma = min(sigma, WIDEST * radius)
    if sigma < SMALLEST_SIGMA:
        return lesion.mask.float(), lesion.mask
    pairs = [smoothing_matrix(side, size, sigma) for side, size in zip(lesion.box, lung.shape, strict=True)]
    around = (pairs[0][1], pairs[1][1], pairs[2][1])
    inner = tuple(
        slice(own.start - whole.start, own.stop - whole.start)
        for own, whole in zip(lesion.box, around, strict=True)
    )
    within = lung[around].float()
    both = torch.stack([torch.zeros_like(within), within])
    both[0][inner] = lesion.mask.float()
    ill, all_lung = smooth(both, [weights for weights, _ in pairs])
    share = (2 * ill / all_lung.clamp_min(torch.finfo(torch.float32).tiny) - 1).clamp(0, 1) * lesion.mask
    return share, lesion.mask & (share > FAINTEST)
