"""What validation measures on unseen healthy lungs with synthetic lesions."""

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.metrics import CumulativeIterationMetric
from monai.transforms import MapTransform

from normnet.intensity import TAU
from normnet.vote import HEALTHY_PROBABILITY

__all__ = ["BrightLesiond", "ShareKeptOut"]


class ShareKeptOut(CumulativeIterationMetric):
    """Share of a mask's voxels that are not called healthy: probability at most `threshold` (IV-B3).

    On lesions it is to be high, on healthy tissue low.

    Args:
        threshold: above it a voxel is healthy.
    """

    def __init__(self, threshold: float = HEALTHY_PROBABILITY) -> None:
        super().__init__()
        self.threshold = threshold

    def _compute_tensor(
        self, y_pred: torch.Tensor, y: torch.Tensor | None = None, **kwargs: Any
    ) -> torch.Tensor:
        """Counts (B, 2): the mask's voxels kept out, and all of them."""
        assert y is not None
        mask = y > 0
        kept_out = ((y_pred <= self.threshold) & mask).flatten(1).sum(dim=1)
        return torch.stack([kept_out, mask.flatten(1).sum(dim=1)], dim=1).double()

    def aggregate(self) -> torch.Tensor:
        """Pools all samples; an empty mask gives NaN."""
        kept_out, total = self.get_buffer().sum(dim=0)
        return kept_out / total


class BrightLesiond(MapTransform):
    """Marks the bright voxels of synthetic lesions: those that a network could take for healthy tissue.

    Args:
        keys: the lesion mask, (1, X, Y, Z).
        image_key: the image with the lesions, (1, X, Y, Z) in [0, 1].
        bright_key: where the mask goes.
        tau: tissue at or above it is bright, as in the training's target.
    """

    def __init__(
        self,
        keys: KeysCollection = "lesion",
        image_key: str = "image",
        bright_key: str = "bright_lesion",
        tau: float = TAU,
    ) -> None:
        super().__init__(keys)
        self.image_key, self.bright_key, self.tau = image_key, bright_key, tau

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        for key in self.keys:
            image = data[self.image_key]
            data[self.bright_key] = (data[key].to(image.device) > 0) & (image >= self.tau)
        return data
