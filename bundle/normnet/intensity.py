"""The paper's intensity window and the threshold of bright tissue (IV-B2, III-A)."""

import torch

__all__ = ["BRIGHT_HU", "HU_WINDOW", "TAU", "scale_window"]

HU_WINDOW = (-800.0, 100.0)
"""Window that is clipped and scaled to [0, 1], in HU (IV-B2)."""

BRIGHT_HU = -500.0
"""Threshold T: tissue at or above it is bright, in HU (III-A)."""

TAU = (BRIGHT_HU - HU_WINDOW[0]) / (HU_WINDOW[1] - HU_WINDOW[0])
"""The same threshold on the scaled image: 1/3 (III-A)."""


def scale_window(ct: torch.Tensor) -> torch.Tensor:
    """Clips a CT to the window and scales it to [0, 1].

    Args:
        ct: any shape, HU.

    Returns:
        Same shape, in [0, 1] (R' of section III-A).
    """
    low, high = HU_WINDOW
    return (ct.clamp(low, high) - low) / (high - low)
