"""The mean filter that removes lone voxels from the lesion maps (III-D)."""

import torch

__all__ = ["mean_filter"]


def mean_filter(volume: torch.Tensor, kernel: int) -> torch.Tensor:
    """Replaces each voxel by the mean of the cube around it; outside the volume is 0.

    One axis at a time, by adding shifted copies: of the ways that also run on CUDA the quickest on one core.

    Args:
        volume: (X, Y, Z), any numeric or bool dtype, on any device.
        kernel: edge of the cube in voxels, odd.

    Returns:
        (X, Y, Z) float32.

    Raises:
        ValueError: when volume is not (X, Y, Z), or kernel is not odd and positive.
    """
    if volume.ndim != 3:
        raise ValueError(f"expected a volume of shape (X, Y, Z), got {tuple(volume.shape)}")
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"expected an odd, positive kernel, got {kernel}")
    mean = volume.to(torch.float32)
    for axis, length in enumerate(volume.shape):
        total = mean.clone()
        for shift in range(1, min(kernel // 2, length - 1) + 1):
            kept = length - shift
            total.narrow(axis, shift, kept).add_(mean.narrow(axis, 0, kept))
            total.narrow(axis, 0, kept).add_(mean.narrow(axis, shift, kept))
        mean = total.div_(kernel)
    return mean
