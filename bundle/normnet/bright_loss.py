"""The loss where it matters: on bright voxels, the only ones that could be taken for healthy bright tissue.

The paper's loss counts every voxel. But the target is (H >= tau) and not G, so a voxel of the input below tau can only
be "no", which needs no network; most of the loss, and of what the network learns, then goes into telling bright from
dark. Here voxels below tau are left out, and what is healthy is the vote among the bright (docs/accuracy.md).

`train.json` draws tau at -600 HU, below the T of -500 that inference keeps: so the networks also learn the rims of
vessels and lesions, and are better at what lies above T (docs/networks.md).
"""

from collections.abc import Mapping
from typing import Any, cast

import torch
from monai.engines import PrepareBatch, default_prepare_batch
from monai.losses import DiceCELoss

from normnet.intensity import TAU

__all__ = ["BrightBatch", "BrightDiceCELoss"]

SURELY_NOT = -30.0
"""Logit given to voxels that are left out: a probability of 0, without a gradient."""


class BrightBatch(PrepareBatch):
    """Takes image and label from a batch, and puts the bright voxels of the image behind the label as a channel.

    Args:
        tau: tissue at or above it is bright, on the image scaled to [0, 1].
    """

    def __init__(self, tau: float = TAU) -> None:
        self.tau = tau

    def __call__(
        self,
        batchdata: Mapping[str, Any],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        batch = default_prepare_batch(dict(batchdata), device, non_blocking, **kwargs)
        image, label = cast(tuple[torch.Tensor, torch.Tensor], batch[:2])
        return image, torch.cat([label, (image >= self.tau).to(label.dtype)], dim=1)


class BrightDiceCELoss(torch.nn.Module):
    """Dice plus cross-entropy (III-A, Fig. 2) over the bright voxels of a batch, taken as one."""

    def __init__(self) -> None:
        super().__init__()
        self.loss = DiceCELoss(sigmoid=True, batch=True)

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Computes the loss.

        Args:
            logits: (B, 1, X, Y, Z).
            target: (B, 2, X, Y, Z): healthy tissue, and the voxels that count (`BrightBatch`).
        """
        healthy, bright = target.chunk(2, dim=1)
        kept = torch.where(bright > 0, logits, torch.full_like(logits, SURELY_NOT))
        return self.loss(kept, (healthy * bright).to(logits.dtype))
