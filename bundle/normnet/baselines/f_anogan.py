"""f-AnoGAN: a GAN of healthy slices, and an encoder that finds a slice's place in it (IV-C, [50]).

The paper names the 64 pixels after a centre crop. Of what `baselines/f_anogan.json` sets besides, Adam's betas 0 and
0.9 are those of Wasserstein GANs with a gradient penalty (Gulrajani et al., 2017), as [50] trains one; the crop's
width, the smaller median filter of the larger pixels, and half of the iterations for the GAN, half for the encoder, are
decisions.
"""

import torch
from monai.networks.nets import Critic, Generator, Regressor
from torch import nn
from torch.nn import functional

from normnet.baselines.autoencoder import LATENT_SIZE, brighter_than

__all__ = ["CRITIC_STEPS", "PENALTY_WEIGHT", "FAnoGAN"]

CRITIC_STEPS = 5
PENALTY_WEIGHT = 10.0
"""Of the critic's gradient penalty. Both as in Schlegl et al., 2019 [50], who train a Wasserstein GAN so."""

FEATURE_WEIGHT = 1.0
"""Of the critic's features in the encoder's loss: kappa of [50]."""

CHANNELS = (32, 64, 128, 128)


class FAnoGAN(nn.Module):
    """Learns in two parts: first generator against critic, then the encoder, with both held still.

    Called with slices it gives the loss of the part that its count of batches has reached. A loss leaves the
    parameters of the other networks without gradient, which Adam passes over; the trainer sets gradients to None.

    Args:
        gan_iterations: batches of the first part; in it every fifth one trains the generator too.
        image_size: edge of a slice, 64 (IV-C).
        latent_size: size of a code.
    """

    batches_seen: torch.Tensor

    def __init__(self, gan_iterations: int, image_size: int = 64, latent_size: int = LATENT_SIZE) -> None:
        super().__init__()
        self.gan_iterations, self.latent_size = gan_iterations, latent_size
        grid, strides = image_size // 2 ** len(CHANNELS), (2,) * len(CHANNELS)
        self.generator = Generator(
            latent_shape=(latent_size,),
            start_shape=(CHANNELS[-1], grid, grid),
            channels=(*CHANNELS[-2::-1], 1),
            strides=strides,
            num_res_units=0,
            norm="BATCH",
        )
        shape = (1, image_size, image_size)
        # No dropout, and no batch normalisation: the penalty is on the gradient of each slice by itself.
        self.critic = Critic(
            in_shape=shape, channels=CHANNELS, strides=strides, num_res_units=0, dropout=None
        )
        self.encoder = Regressor(
            in_shape=shape, out_shape=(latent_size,), channels=CHANNELS, strides=strides, num_res_units=0
        )
        self.register_buffer("batches_seen", torch.zeros((), dtype=torch.int64))

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """Computes the training loss of the next part and counts the batch."""
        seen = int(self.batches_seen)
        self.batches_seen += 1
        if seen >= self.gan_iterations:
            return self.encoder_loss(slices)
        codes = torch.randn(len(slices), self.latent_size, device=slices.device)
        drawn = self.generator(codes)
        loss = self.critic_loss(slices, drawn.detach())
        if seen % CRITIC_STEPS == CRITIC_STEPS - 1:
            loss = loss - self.held(self.critic, drawn).mean()
        return loss

    def critic_loss(self, slices: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        """Tells drawn slices from real ones, with a slope of 1 between them (Wasserstein distance)."""
        share = torch.rand(len(slices), 1, 1, 1, device=slices.device)
        between = (share * slices + (1 - share) * drawn).requires_grad_()
        (slope,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        return self.critic(drawn).mean() - self.critic(slices).mean() + PENALTY_WEIGHT * penalty

    def encoder_loss(self, slices: torch.Tensor) -> torch.Tensor:
        """Compares slices with what the generator makes of their codes: pixels and the critic's features (izi_f)."""
        rebuilt = self.held(self.generator.eval(), self.encoder(slices))
        with torch.no_grad():
            features = self.critic.net(slices)
        error = functional.mse_loss(self.held(self.critic.net, rebuilt), features)
        return functional.mse_loss(rebuilt, slices) + FEATURE_WEIGHT * error

    def reconstruct(self, slices: torch.Tensor) -> torch.Tensor:
        """Draws the healthy slices that lie nearest, through the encoder."""
        return self.generator(self.encoder(slices))

    def score(self, slices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Gives the anomaly and the reconstruction, as `SliceAutoencoder.score` does."""
        reconstruction = self.reconstruct(slices)
        return brighter_than(slices, reconstruction), reconstruction

    @staticmethod
    def held(network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        """Runs a network whose parameters get no gradient, while its input does."""
        still = {name: weight.detach() for name, weight in network.named_parameters()}
        return torch.func.functional_call(network, still, (inputs,))
