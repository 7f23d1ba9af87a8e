"""VAE Restoration: the slice is changed until the VAE finds it likely; the change is the anomaly (IV-C, [54])."""

from collections.abc import Callable
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
        rate: of a step; more than about 0.001 makes the descent dance on the total variation, and then run away.
        tv_weight: of the change's total variation, which keeps the change in few places.
        renewal: the network's gradient is taken anew each `renewal` steps, the total variation's, which is steep and
            costs little, at every step. 1 is plain gradient descent; 5 asks the network a fifth as often.
        settings: of the `VAE`.
    """

    def __init__(
        self,
        steps: int = RESTORATION_STEPS,
        rate: float = RESTORATION_RATE,
        tv_weight: float = TV_WEIGHT,
        renewal: int = 1,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.steps, self.rate, self.tv_weight, self.renewal = steps, rate, tv_weight, renewal

    def objective(self, restored: torch.Tensor, slices: torch.Tensor) -> torch.Tensor:
        """Computes what the restoration lowers, a scalar: negative ELBO of (B, 1, S, S), and the change's total
        variation.
        """
        return self.negative_elbo(restored) + self.tv_weight * total_variation(restored - slices)

    def negative_elbo(self, slices: torch.Tensor) -> torch.Tensor:
        """Computes the negative ELBO of slices (B, 1, S, S), a scalar.

        It is that of the training, in which the error is a mean over pixels, times the pixels of a slice; summed over
        slices, so that they do not change each other's gradient.
        """
        mean, log_variance = self.distribution(slices)
        error = (self.decode(mean) - slices).abs().sum()
        return error + self.kl_weight * slices[0].numel() * kl_to_standard_normal(mean, log_variance).sum()

    def reconstruct(self, slices: torch.Tensor) -> torch.Tensor:
        """Restores slices to healthy ones."""
        restored, unlikely = slices.detach().clone(), torch.zeros_like(slices)
        for step in range(self.steps):
            if step % self.renewal == 0:
                unlikely = _gradient(self.negative_elbo, restored)
            uneven = _gradient(total_variation, restored - slices)
            restored = restored - self.rate * (unlikely + self.tv_weight * uneven)
        return restored


def total_variation(change: torch.Tensor) -> torch.Tensor:
    """Sums |difference| of neighbours in (B, 1, S, S), rounded off at 0; a scalar."""
    along_rows, along_columns = (
        (change.diff(dim=axis).square() + TV_SMOOTHNESS**2).sqrt() - TV_SMOOTHNESS for axis in (-1, -2)
    )
    return along_rows.sum() + along_columns.sum()


def _gradient(function: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """Computes the gradient of a scalar function at images."""
    with torch.enable_grad():
        images = images.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(function(images), images)
    return gradient
