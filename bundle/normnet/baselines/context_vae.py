"""Context VAE: must also fill in a square that was cut out of the slice (IV-C, [52])."""

from typing import Any

import torch
from torch.nn import functional

from normnet.baselines.vae import VAE

__all__ = ["CROP_SIZE", "ContextVAE", "cut_squares"]

CROP_SIZE = 32
"""Edge of the square, pixels (IV-C)."""


class ContextVAE(VAE):
    """A VAE whose encoder also sees slices with a hole, and must encode what is missing.

    As in Zimmerer et al., 2018 [52], the slice with the hole goes through the mean of the code, and its error counts
    as much as that of the whole slice.

    Args:
        crop_size: edge of the square, pixels.
        settings: of the `VAE`.
    """

    def __init__(self, crop_size: int = CROP_SIZE, **settings: Any) -> None:
        super().__init__(**settings)
        self.crop_size = crop_size

    def further_loss(
        self, slices: torch.Tensor, mean: torch.Tensor, rebuilt: torch.Tensor
    ) -> torch.Tensor | float:
        """Computes the error of slices that are rebuilt from what surrounds the square."""
        return functional.l1_loss(self.reconstruct(cut_squares(slices, self.crop_size)), slices)


def cut_squares(slices: torch.Tensor, size: int) -> torch.Tensor:
    """Blanks one square in each slice (B, 1, H, W), anywhere inside it."""
    batch, _, height, width = slices.shape
    top = torch.randint(height - size + 1, (batch, 1, 1, 1), device=slices.device)
    left = torch.randint(width - size + 1, (batch, 1, 1, 1), device=slices.device)
    row = torch.arange(height, device=slices.device).view(1, 1, -1, 1)
    column = torch.arange(width, device=slices.device).view(1, 1, 1, -1)
    inside = (row >= top) & (row < top + size) & (column >= left) & (column < left + size)
    return slices.masked_fill(inside, 0.0)
