"""Scoring a volume slice by slice into an anomaly map."""

from typing import Any

import numpy as np
import torch
from monai.inferers import Inferer
from monai.utils import convert_to_dst_type
from scipy import ndimage

from normnet.baselines.slices import Frame

__all__ = ["MEDIAN_SIZE", "AnomalyInferer"]

MEDIAN_SIZE = 5
"""Edge of the median filter over the anomaly, pixels and slices: Baur et al., 2021, for all methods. The paper names
none; with it the methods miss less of their best, and the filters of NormNet (III-D) have a counterpart."""


class AnomalyInferer(Inferer):
    """Scores every slice of a volume that is not empty.

    Takes (1, 1, X, Y, Z) in [0, 1] and a method; gives (1, 2, X, Y, Z): the anomaly in [0, 1], and what the volume
    would look like if it were healthy.

    Args:
        frame: where the slices are seen.
        batch_size: slices at a time.
        median_size: see `MEDIAN_SIZE`; 1 filters nothing.
        percentile: a map in no unit, such as a gradient, is divided by this percentile of its positive values;
            null keeps it.
        seed: of methods that draw; every volume is scored with the same draws.
    """

    def __init__(
        self,
        frame: Frame,
        batch_size: int = 16,
        median_size: int = MEDIAN_SIZE,
        percentile: float | None = None,
        seed: int = 0,
    ) -> None:
        self.frame, self.batch_size, self.median_size = frame, batch_size, median_size
        self.percentile, self.seed = percentile, seed

    def __call__(self, inputs: torch.Tensor, network: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        volume = torch.as_tensor(inputs[0].detach()).as_subclass(torch.Tensor)
        slices = self.frame.slices(volume)
        scored = torch.zeros((len(slices), 2, *slices.shape[2:]), device=slices.device)
        shown = torch.nonzero(slices.flatten(1).any(dim=1))[:, 0]
        devices = [slices.device] if slices.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(self.seed)
            for chosen in shown.split(self.batch_size):
                scored[chosen] = torch.cat(network.score(slices[chosen]), dim=1).detach()
        scored[:, 0] = self._filtered(scored[:, 0])
        both: torch.Tensor = convert_to_dst_type(self.frame.volume(scored, volume.shape[1:3])[None], inputs)[
            0
        ]
        return both

    def _filtered(self, anomaly: torch.Tensor) -> torch.Tensor:
        """Filters and scales a map (Z, S, S)."""
        values = ndimage.median_filter(anomaly.cpu().numpy(), size=self.median_size)
        positive = values[values > 0]
        if self.percentile is not None and positive.size:
            values = values / np.percentile(positive, self.percentile)
        return torch.from_numpy(np.clip(values, 0.0, 1.0)).to(anomaly)
