"""AE: the autoencoder that the others are built on (IV-C)."""

import torch
from monai.networks.nets import AutoEncoder
from torch import nn
from torch.nn import functional

__all__ = ["CHANNELS", "LATENT_SIZE", "SliceAutoencoder", "brighter_than"]

LATENT_SIZE = 128
"""Numbers in the dense bottleneck, or channels of the spatial one (IV-C)."""

CHANNELS = (32, 64, 128, 128)
"""Of the encoder's levels, each half as wide as the one before: from 128 x 128 to the 8 x 8 of IV-C. The paper names
no more; kernel 5, batch normalisation and leaky ReLU are those of Baur et al., 2021, whose comparison it follows."""

KERNEL = 5


class SliceAutoencoder(nn.Module):
    """Learns to rebuild healthy slices through a narrow bottleneck; what it cannot rebuild is the anomaly.

    Called with slices (B, 1, S, S) in [0, 1] it gives its training loss, so that one trainer trains every method.

    Args:
        image_size: S, a multiple of 16.
        latent_size: size of the bottleneck.
        spatial: the bottleneck is a map of S / 16 x S / 16 with `latent_size` channels, not a vector.
        dropout: rate, after every layer but the last.

    Raises:
        ValueError: when image_size is no multiple of 16.
    """

    def __init__(
        self,
        image_size: int = 128,
        latent_size: int = LATENT_SIZE,
        spatial: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if image_size % 2 ** len(CHANNELS):
            raise ValueError(f"expected an image_size that {2 ** len(CHANNELS)} divides, got {image_size}")
        self.spatial, self.latent_size = spatial, latent_size
        self.grid = image_size // 2 ** len(CHANNELS)
        self.layers = AutoEncoder(
            spatial_dims=2,
            in_channels=1,
            out_channels=1,
            channels=CHANNELS,
            strides=(2,) * len(CHANNELS),
            kernel_size=KERNEL,
            up_kernel_size=KERNEL,
            act=("LEAKYRELU", {"negative_slope": 0.2}),
            norm="BATCH",
            dropout=dropout or None,
        )
        self.to_code = self.head(latent_size)
        grid = (CHANNELS[-1], self.grid, self.grid)
        self.from_code: nn.Module = (
            nn.Conv2d(latent_size, CHANNELS[-1], 1)
            if spatial
            else nn.Sequential(
                nn.Linear(latent_size, CHANNELS[-1] * self.grid**2),
                nn.Unflatten(dim=1, unflattened_size=grid),
            )
        )

    def head(self, size: int) -> nn.Module:
        """Builds a layer from the encoder's last feature map to a code of this size."""
        if self.spatial:
            return nn.Conv2d(CHANNELS[-1], size, 1)
        return nn.Sequential(nn.Flatten(), nn.Linear(CHANNELS[-1] * self.grid**2, size))

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """Computes the training loss, a scalar."""
        return functional.l1_loss(self.reconstruct(slices), slices)

    def encode(self, slices: torch.Tensor) -> torch.Tensor:
        """Maps slices (B, 1, S, S) to codes: (B, latent_size), or (B, latent_size, S / 16, S / 16)."""
        return self.to_code(self.layers.encode(slices))

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Maps codes to slices (B, 1, S, S)."""
        return self.layers.decode(self.from_code(codes))

    def reconstruct(self, slices: torch.Tensor) -> torch.Tensor:
        """Rebuilds slices (B, 1, S, S) as they would look if they were healthy."""
        return self.decode(self.encode(slices))

    def score(self, slices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Gives the anomaly of slices, and what they would look like if they were healthy.

        Args:
            slices: (B, 1, S, S) in [0, 1].

        Returns:
            Two tensors (B, 1, S, S); the anomaly is 0 or more.
        """
        reconstruction = self.reconstruct(slices)
        return brighter_than(slices, reconstruction), reconstruction


def brighter_than(slices: torch.Tensor, healthy: torch.Tensor) -> torch.Tensor:
    """Measures how much brighter slices are than they should be, in [0, 1]: lesions are brighter than lung.

    Baur et al., 2021, keep positive residuals alone; the paper does not say.
    """
    return (slices - healthy).clamp(0.0, 1.0)
