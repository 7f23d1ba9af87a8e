"""What validation measures on unseen healthy lungs with synthetic lesions."""

from collections.abc import Sequence
from typing import Any

import torch
from monai.metrics import CumulativeIterationMetric

from normnet.intensity import TAU
from normnet.vote import HEALTHY_PROBABILITY

__all__ = ["ShareKeptOut", "bright_lesion", "healthy_target"]


class ShareKeptOut(CumulativeIterationMetric):
    """Share of a mask's voxels that are not called healthy: probability at most `threshold` (IV-B3).

    On lesions it is to be high, on healthy tissue low.

    Args:
        threshold: above it a voxel is healthy.
    """

    def __init__(self, threshold: float = HEALTHY_PROBABILITY) -> None:
        super().__init__()
        self.threshold = threshold

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        """Counts (B, 2): the mask's voxels kept out, and all of them."""
        assert y is not None
        mask = y > 0
        kept_out = ((y_pred <= self.threshold) & mask).flatten(1).sum(dim=1)
        return torch.stack([kept_out, mask.flatten(1).sum(dim=1)], dim=1).double()

    def aggregate(self) -> torch.Tensor:
        """Pools all samples; an empty mask gives NaN."""
        kept_out, total = self.get_buffer().sum(dim=0)
        return kept_out / total


def bright_lesion(output: Sequence[dict[str, Any]]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Pairs the healthy probability with the bright voxels of the synthetic lesions."""
    masks = [(sample["lesion"] > 0) & (sample["image"] >= TAU) for sample in output]
    return [sample["pred"] for sample in output], masks


def healthy_target(output: Sequence[dict[str, Any]]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Pairs the healthy probability with the healthy target."""
    return [sample["pred"] for sample in output], [sample["label"] for sample in output]
