"""VAE, VAE Spatial and VAE Original: the same network, on other bottlenecks or images (IV-C)."""

from typing import Any

import torch
from torch.nn import functional

from normnet.baselines.autoencoder import SliceAutoencoder

__all__ = ["KL_WEIGHT", "VAE", "kl_to_standard_normal", "sample"]

KL_WEIGHT = 1e-6
"""Of the KL divergence beside the mean absolute error of a pixel (IV-C; the error's form: Baur et al., 2021)."""


class VAE(SliceAutoencoder):
    """Codes are drawn from a normal distribution that is held near the standard one.

    Args:
        *settings: of the `SliceAutoencoder`; `spatial` is VAE Spatial's 8 x 8 x 128.
        kl_weight: alpha of IV-C.
        **more_settings: of the `SliceAutoencoder`, by name.
    """

    def __init__(self, *settings: Any, kl_weight: float = KL_WEIGHT, **more_settings: Any) -> None:
        super().__init__(*settings, **more_settings)
        self.kl_weight = kl_weight
        self.to_log_variance = self.head(self.latent_size)

    def distribution(self, slices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Maps slices to the mean and the log variance of their codes; `encode` gives the mean alone."""
        features = self.layers.encode(slices)
        return self.to_code(features), self.to_log_variance(features)

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """Computes the training loss: reconstruction, KL divergence, and what a method adds."""
        mean, log_variance = self.distribution(slices)
        rebuilt = self.decode(sample(mean, log_variance))
        divergence = kl_to_standard_normal(mean, log_variance).mean()
        error = functional.l1_loss(rebuilt, slices)
        return error + self.kl_weight * divergence + self.further_loss(slices, mean, rebuilt)

    def further_loss(
        self, slices: torch.Tensor, mean: torch.Tensor, rebuilt: torch.Tensor
    ) -> torch.Tensor | float:
        """Computes what a method adds to the loss of a VAE, from slices, the means of their codes, and what became
        of them; nothing here.
        """
        return 0.0


def sample(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Draws codes; the trainer numbers the draws (`normnet.baselines.training.NumberedDraws`)."""
    return mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)


def kl_to_standard_normal(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Computes KL(N(mean, variance) || N(0, 1)) of each code, summed over its numbers: (B,)."""
    terms = mean.square() + log_variance.exp() - log_variance - 1
    return 0.5 * terms.flatten(1).sum(dim=1)
