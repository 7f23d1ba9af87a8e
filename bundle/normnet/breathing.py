"""Breathing during the scan: the dome of the diaphragm shows twice, paler, in a few slices. Beyond the paper."""

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform

from normnet.intensity import scale_window

__all__ = ["TISSUE", "RandBreathingd", "with_ghost"]

TISSUE = scale_window(torch.tensor(40.0)).item()
"""Soft tissue, 40 HU, on the scaled image."""


def with_ghost(
    image: torch.Tensor, lungs: torch.Tensor, *, shift: int, slices: slice, share: float
) -> torch.Tensor:
    """Shows what lies round the lungs at another phase of breathing, for a share of the time.

    Args:
        image: thorax area, (X, Y, Z) in [0, 1], Z upwards.
        lungs: (X, Y, Z) bool.
        shift: voxels along Z between the phases: positive has the diaphragm higher, negative lower.
        slices: of the volume that were taken while it moved.
        share: of the time in the other phase, in [0, 1].

    Returns:
        (X, Y, Z): in these slices, lung voxels that are tissue in the other phase are mixed with it; the rest is
        `image`.
    """
    source = torch.arange(*slices.indices(lungs.shape[-1]))
    other = lungs[..., (source - shift).clamp(0, lungs.shape[-1] - 1)]
    moving = lungs[..., source] & ~other
    mixed = image.clone()
    here = mixed[..., source]
    mixed[..., source] = torch.where(moving, (1 - share) * here + share * TISSUE, here)
    return mixed


class RandBreathingd(RandomizableTransform, MapTransform):
    """Lets the diaphragm and the heart move in a few neighbouring slices; what shows of them there is healthy tissue.

    Args:
        keys: thorax area, (1, X, Y, Z) in [0, 1].
        lungs_key: lung mask, (1, X, Y, Z).
        prob: how often anything moves.
        shift: least and most distance between the two phases, voxels along Z (1 mm); the diaphragm is the higher one in
            the other phase three times of four.
        slices: fewest and most slices that show both.
        share: least and most share of the time in the other phase.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        lungs_key: str = "lungs",
        prob: float = 0.3,
        shift: tuple[int, int] = (4, 12),
        slices: tuple[int, int] = (3, 15),
        share: tuple[float, float] = (0.2, 0.9),
    ) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)
        self.lungs_key, self.shift, self.slices, self.share = lungs_key, shift, slices, share
        self.drawn: dict[str, Any] = {}

    def randomize(self, data: torch.Tensor) -> None:
        """Draws whether anything moves in a lung mask, and how; nothing else is drawn in this class."""
        super().randomize(None)
        if not self._do_transform:
            return
        shift = self._between(self.shift) * int(self.R.choice([1, 1, 1, -1]))
        first = int(self.R.randint(data.shape[-1]))
        slices = slice(first, first + self._between(self.slices))
        self.drawn = {"shift": shift, "slices": slices, "share": float(self.R.uniform(*self.share))}

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        lungs = data[self.lungs_key][0] > 0
        self.randomize(lungs)
        if not self._do_transform:
            return data
        for key in self.keys:
            data[key] = with_ghost(data[key][0], lungs, **self.drawn)[None]
        return data

    def _between(self, bounds: tuple[int, int]) -> int:
        return int(self.R.randint(bounds[0], bounds[1] + 1))
