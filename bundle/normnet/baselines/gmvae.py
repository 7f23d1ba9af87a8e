"""GMVAE: codes follow a mixture of Gaussians, not one (IV-C, [54])."""

from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from normnet.baselines.vae import VAE, kl_to_standard_normal, sample

__all__ = ["COMPONENTS", "GMVAE", "Mixture"]

COMPONENTS = 9
NOISE_SIZE = 1
"""Size of w, which shapes the components. The paper names neither; both are Baur et al.'s, 2021, who follow [54]."""

LEAST_DIVERGENCE = 1.0
"""Below it the components' divergence is not lowered, so that the mixture does not fall back to all of them at once
(You et al., 2019 [54])."""


class Mixture(NamedTuple):
    """Components p(z | w, c): means and log variances, (B, components, latent_size)."""

    mean: torch.Tensor
    log_variance: torch.Tensor

    def posterior(self, codes: torch.Tensor) -> torch.Tensor:
        """Computes p(c | z, w) for codes (B, latent_size) under equal components: (B, components)."""
        distance = (codes[:, None] - self.mean).square() / self.log_variance.exp()
        return torch.softmax(-0.5 * (distance + self.log_variance).sum(dim=2), dim=1)

    def divergence(self, mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
        """Computes KL(N(mean, variance) || component) for (B, latent_size) and each component: (B, components)."""
        mean, log_variance = mean[:, None], log_variance[:, None]
        scaled = (log_variance.exp() + (mean - self.mean).square()) / self.log_variance.exp()
        return 0.5 * (scaled + self.log_variance - log_variance - 1).sum(dim=2)


class GMVAE(VAE):
    """A VAE whose prior is a mixture: a code z belongs to a component c, whose place is drawn through w.

    Args:
        components: of the mixture.
        settings: of the `VAE`, dense.
    """

    def __init__(self, components: int = COMPONENTS, **settings: Any) -> None:
        super().__init__(**settings)
        self.components = components
        self.to_noise = self.head(2 * NOISE_SIZE)
        self.places = nn.Sequential(
            nn.Linear(NOISE_SIZE, self.latent_size),
            nn.Tanh(),
            nn.Linear(self.latent_size, 2 * components * self.latent_size),
        )

    def mixture(self, noise: torch.Tensor) -> Mixture:
        """Maps w (B, 1) to the components."""
        mean, log_variance = self.places(noise).view(len(noise), 2, self.components, -1).unbind(dim=1)
        return Mixture(mean, log_variance)

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """Computes reconstruction error and the three divergences: of z to its components, of w, of c."""
        features = self.layers.encode(slices)
        mean, log_variance = self.to_code(features), self.to_log_variance(features)
        noise_mean, noise_log_variance = self.to_noise(features).chunk(2, dim=1)
        codes = sample(mean, log_variance)
        mixture = self.mixture(sample(noise_mean, noise_log_variance))
        belonging = mixture.posterior(codes)
        to_components = (belonging * mixture.divergence(mean, log_variance)).sum(dim=1)
        of_components = (belonging * torch.log(belonging * self.components + 1e-8)).sum(dim=1)
        divergence = (
            to_components
            + kl_to_standard_normal(noise_mean, noise_log_variance)
            + of_components.clamp(min=LEAST_DIVERGENCE)
        )
        return functional.l1_loss(self.decode(codes), slices) + self.kl_weight * divergence.mean()
