"""Bayesian VAE: the consensus of many reconstructions under dropout (IV-C, [55])."""

from typing import Any

import torch
from torch import nn

from normnet.baselines.vae import VAE

__all__ = ["DROPOUT", "SAMPLES", "BayesianVAE"]

DROPOUT = 0.2
"""Rate (IV-C)."""

SAMPLES = 10
"""Reconstructions of a slice. The paper names none; so many keep a volume in minutes on a CPU (decision)."""


class BayesianVAE(VAE):
    """A VAE with dropout that stays on when slices are scored; the mean reconstruction is the healthy slice.

    Args:
        dropout: rate.
        samples: reconstructions of a slice.
        settings: of the `VAE`.
    """

    def __init__(self, dropout: float = DROPOUT, samples: int = SAMPLES, **settings: Any) -> None:
        super().__init__(dropout=dropout, **settings)
        self.samples = samples

    def reconstruct(self, slices: torch.Tensor) -> torch.Tensor:
        """Averages `samples` reconstructions, each with other features dropped."""
        layers = [module for module in self.modules() if isinstance(module, nn.Dropout)]
        modes = [layer.training for layer in layers]
        for layer in layers:
            layer.train()
        try:
            rebuilt = [self.decode(self.encode(slices)) for _ in range(self.samples)]
        finally:
            for layer, mode in zip(layers, modes, strict=True):
                layer.train(mode)
        return torch.stack(rebuilt).mean(dim=0)
