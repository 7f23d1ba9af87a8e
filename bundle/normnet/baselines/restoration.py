"""VAE Restoration: the slice is changed until the VAE finds it likely; the change is the anomaly (IV-C, [54])."""

from typing import Any

import torch

from normnet.baselines.vae import VAE, kl_to_standard_normal

__all__ = ["RESTORATION_RATE", "RESTORATION_STEPS", "TV_WEIGHT", "Restoration"]

RESTORATION_STEPS = 150
RESTORATION_RATE = 1e-3
TV_WEIGHT = 1.8
"""Of the change's total variation. The paper names none of the three; they are those that Baur et al., 2021, publish
for You et al., 2019 [54]."""

TV_SMOOTHNESS = 0.01
"""Changes between neighbours far below it count by their square: without, the variation's slope jumps at 0, and the
descent with so few steps dances round it instead of going down (decision)."""


class Restoration(VAE):
    """A trained VAE that restores slices by gradient descent on the negative ELBO.

    Args:
        steps: of the descent.
        rate: of a step.
        tv_weight: of the change's total variation, which keeps the change in few places.
        settings: of the `VAE`.
    """

    def __init__(
        self,
        steps: int = RESTORATION_STEPS,
        rate: float = RESTORATION_RATE,
        tv_weight: float = TV_WEIGHT,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.steps, self.rate, self.tv_weight = steps, rate, tv_weight

    def objective(self, restored: torch.Tensor, slices: torch.Tensor) -> torch.Tensor:
        """Computes what the restoration lowers: negative ELBO of (B, 1, S, S), and the change's total variation.

        The ELBO is that of the training, in which the error is a mean over pixels, times the pixels of a slice.

        Returns:
            A scalar: summed over pixels and slices, so that slices do not change each other's gradient.
        """
        mean, log_variance = self.distribution(restored)
        error = (self.decode(mean) - restored).abs().sum()
        weight = self.kl_weight * slices[0].numel()
        divergence = weight * kl_to_standard_normal(mean, log_variance).sum()
        change = restored - slices
        variation = sum(_smooth_size(change.diff(dim=axis)).sum() for axis in (-1, -2))
        return error + divergence + self.tv_weight * variation

    def reconstruct(self, slices: torch.Tensor) -> torch.Tensor:
        """Restores slices to healthy ones."""
        restored = slices.detach().clone()
        with torch.enable_grad():
            for _ in range(self.steps):
                restored.requires_grad_()
                (gradient,) = torch.autograd.grad(self.objective(restored, slices), restored)
                restored = (restored - self.rate * gradient).detach()
        return restored


def _smooth_size(difference: torch.Tensor) -> torch.Tensor:
    """Computes |difference|, rounded off at 0."""
    return (difference.square() + TV_SMOOTHNESS**2).sqrt() - TV_SMOOTHNESS
