"""KL Grad: the pixels that push a slice's code away from healthy ones (IV-C, [43])."""

import torch

from normnet.baselines.vae import VAE, kl_to_standard_normal

__all__ = ["KLGradient"]


class KLGradient(VAE):
    """A trained VAE, scored by |d KL / d pixel| instead of by its reconstruction (Zimmerer et al., 2019 [43])."""

    def score(self, slices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Gives the gradient's size, in no unit, and the reconstruction."""
        with torch.enable_grad():
            pixels = slices.detach().clone().requires_grad_()
            divergence = kl_to_standard_normal(*self.distribution(pixels)).sum()
            (gradient,) = torch.autograd.grad(divergence, pixels)
        return gradient.abs(), self.reconstruct(slices)
