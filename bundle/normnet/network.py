"""The network of one member: a 3D U-Net from MONAI (IV-B3)."""

from collections.abc import Callable

import torch
from monai.networks.nets import BasicUNet, DynUNet, UNet

__all__ = ["ARCHITECTURES", "member_network"]


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
    "unet": _unet,
    "basic_unet": _basic_unet,
    "dyn_unet": _dyn_unet,
}
"""Networks that were compared at equal training time; `docs/networks.md` holds the table."""


def member_network(architecture: str = "unet") -> torch.nn.Module:
    """Builds one untrained member, from (B, 1, X, Y, Z) in [0, 1] to (B, 1, X, Y, Z) logits of healthy tissue.

    Batch normalisation, so that a voxel's result does not depend on how large a window it is seen in. Weights lie
    channels-last, which halves the time on a CPU and changes no result.

    Args:
        architecture: a key of `ARCHITECTURES`.

    Raises:
        ValueError: there is no such architecture.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"architecture must be one of {sorted(ARCHITECTURES)}, got {architecture!r}")
    network = ARCHITECTURES[architecture]()
    return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
