"""The network of one member: a 3D U-Net from MONAI (IV-B3)."""

from collections.abc import Callable

import torch
from monai.networks.nets import BasicUNet, DynUNet, UNet

from normnet.errors import InputError

__all__ = ["ARCHITECTURE", "ARCHITECTURES", "SubpixelUNet", "member_network", "to_blocks", "to_voxels"]


class SubpixelUNet(torch.nn.Module):
    """MONAI's U-Net on blocks of voxels: the eight voxels of a 2 x 2 x 2 block are eight channels, in and out.

    Most of a U-Net's time on a CPU goes into its finest level; this one has none. In the same time it learns twice as
    many batches, with nearly three times the weights (docs/networks.md). Sizes are multiples of 16.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unet = UNet(
            spatial_dims=3,
            in_channels=8,
            out_channels=8,
            channels=(32, 64, 128, 128),
            strides=(2, 2, 2),
            num_res_units=0,
            norm="BATCH",
            act="RELU",
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, 1, X, Y, Z) -> (B, 1, X, Y, Z)."""
        return to_voxels(self.unet(to_blocks(image)))


def to_blocks(image: torch.Tensor) -> torch.Tensor:
    """Makes channels of the voxels of each 2 x 2 x 2 block: (B, 1, 2X, 2Y, 2Z) -> (B, 8, X, Y, Z), channels last."""
    batch, _, x, y, z = image.shape
    blocks = image.reshape(batch, x // 2, 2, y // 2, 2, z // 2, 2).permute(0, 2, 4, 6, 1, 3, 5)
    return blocks.reshape(batch, 8, x // 2, y // 2, z // 2).contiguous(memory_format=torch.channels_last_3d)


def to_voxels(blocks: torch.Tensor) -> torch.Tensor:
    """Undoes `to_blocks`: (B, 8, X, Y, Z) -> (B, 1, 2X, 2Y, 2Z)."""
    batch, _, x, y, z = blocks.shape
    voxels = blocks.reshape(batch, 2, 2, 2, x, y, z).permute(0, 4, 1, 5, 2, 6, 3)
    return voxels.reshape(batch, 1, 2 * x, 2 * y, 2 * z)


def _unet() -> torch.nn.Module:
    # No residual units: with them MONAI's last block squeezes the output through one rectified channel, which learns
    # several times slower (docs/networks.md).
    return UNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        channels=(16, 32, 64, 128),
        strides=(2, 2, 2),
        num_res_units=0,
        norm="BATCH",
        act="RELU",
    )


def _basic_unet() -> torch.nn.Module:
    return BasicUNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        features=(8, 16, 32, 64, 128, 8),
        norm=("BATCH", {}),
        act="RELU",
    )


def _dyn_unet() -> torch.nn.Module:
    return DynUNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        kernel_size=(3, 3, 3, 3),
        strides=(1, 2, 2, 2),
        upsample_kernel_size=(2, 2, 2),
        filters=(8, 16, 32, 64),
        norm_name="BATCH",
        act_name="RELU",
    )


ARCHITECTURES: dict[str, Callable[[], torch.nn.Module]] = {
    "subpixel_unet": SubpixelUNet,
    "unet": _unet,
    "basic_unet": _basic_unet,
    "dyn_unet": _dyn_unet,
}
"""Networks that were compared at equal training time; `docs/networks.md` holds the table."""

ARCHITECTURE = "subpixel_unet"
"""The bundle's own. The paper says "3D U-Net [31] as backbone, implemented by MONAI" (IV-B3) and no more. `unet`,
MONAI's U-Net of its time, stands for it; widths, depth, norm and the lack of residual units are decisions."""


def member_network(architecture: str = ARCHITECTURE) -> torch.nn.Module:
    """Builds one untrained member, from (B, 1, X, Y, Z) in [0, 1] to (B, 1, X, Y, Z) logits of healthy tissue.

    Batch normalisation, so that a voxel's result does not depend on how large a window it is seen in. Weights lie
    channels-last, which halves the time on a CPU and changes no result.

    Args:
        architecture: a key of `ARCHITECTURES`.

    Raises:
        InputError: there is no such architecture.
    """
    if architecture not in ARCHITECTURES:
        raise InputError(
            f"architecture: expected one of {', '.join(sorted(ARCHITECTURES))}, got {architecture!r}."
        )
    network = ARCHITECTURES[architecture]()
    return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
