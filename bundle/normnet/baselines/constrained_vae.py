"""Constrained VAE: what is rebuilt must lie where the input lay among the codes (IV-C, [53])."""

from typing import Any

import torch
from torch.nn import functional

from normnet.baselines.vae import VAE

__all__ = ["CONSTRAINT_WEIGHT", "ConstrainedVAE"]

CONSTRAINT_WEIGHT = 1.0
"""Of the distance of the codes. The paper names none; 1 is that of Chen and Konukoglu, 2018 [53]."""


class ConstrainedVAE(VAE):
    """A VAE that maps its reconstruction to the point of the input.

    Args:
        constraint_weight: of the codes' mean squared distance.
        settings: of the `VAE`.
    """

    def __init__(self, constraint_weight: float = CONSTRAINT_WEIGHT, **settings: Any) -> None:
        super().__init__(**settings)
        self.constraint_weight = constraint_weight

    def further_loss(
        self, slices: torch.Tensor, mean: torch.Tensor, rebuilt: torch.Tensor
    ) -> torch.Tensor | float:
        """Computes the distance between the codes of the slices and of what was rebuilt from them."""
        return self.constraint_weight * functional.mse_loss(self.encode(rebuilt), mean)
