"""Bright lung: no network at all; what every autoencoder has to beat."""

import torch
from torch import nn

__all__ = ["BrightLung"]


class BrightLung(nn.Module):
    """Takes a slice's own brightness for its anomaly: median filter and threshold are those of every method.

    Not in the paper. Lesions are brighter than lung, so that a network that has learnt nothing, and rebuilds an empty
    slice, scores just this.
    """

    def score(self, slices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Gives the slices (B, 1, S, S) as they are, and an empty reconstruction."""
        return slices, torch.zeros_like(slices)
