"""Thick slices: each slice of the scanner averages several millimetres, lesions and all. Beyond the paper."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform

from generator import healthy_target
from normnet.intensity import SOFT_TISSUE, TAU

__all__ = ["RandThickSlicesd", "slice_profiles"]


def slice_profiles(
    slices: int, *, thickness: float, offset: float = 0.0, padded: bool = False
) -> torch.Tensor:
    """Says what a thin slice shows once a scan has been taken in thick slices and resampled.

    Args:
        slices: number of thin slices, at least 1.
        thickness: of a thick slice, in thin ones, at least 1.
        offset: how far the volume's first slice lies inside a thick one, in thin ones, in [0, thickness).
        padded: thick slices are repeated, in the place of linear interpolation between their centres.

    Returns:
        (slices, slices) float32, rows that sum to 1: the share of each thin slice (column) in what each shows (row).
    """
    place = np.arange(slices) + offset
    group = np.floor(place / thickness).astype(int)
    count = int(group[-1]) + 1
    mean = (group == np.arange(count)[:, None]).astype(np.float64)
    mean /= mean.sum(axis=1, keepdims=True)
    if padded:
        return torch.from_numpy(mean[group]).float()
    between = np.clip((place + 0.5) / thickness - 0.5, 0, count - 1)
    below = np.floor(between).astype(int)
    above = np.minimum(below + 1, count - 1)
    share = (between - below)[:, None]
    return torch.from_numpy((1 - share) * mean[below] + share * mean[above]).float()


class RandThickSlicesd(RandomizableTransform, MapTransform):
    """Takes a training pair in thick slices: the image is averaged along Z, masks follow the majority.

    What lies round the lungs is soft tissue, so domes and fissures blur into them as in a patient; all that is healthy
    before is healthy after. The target is drawn anew, from healthy tissue as such slices show it.

    Args:
        keys: thorax area with lesions (A), (1, X, Y, Z) in [0, 1], slices of 1 mm.
        healthy_key: the same without lesions (H).
        lungs_key: lung mask (M), (1, X, Y, Z).
        lesion_key: lesion mask (G), (1, X, Y, Z).
        target_key: healthy tissue to be segmented, written.
        tau: threshold of bright tissue on the scaled image.
        prob: how often slices are thick.
        thickness: least and most, mm.
        padded: how often thick slices are repeated and not interpolated.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        healthy_key: str = "healthy",
        lungs_key: str = "lungs",
        lesion_key: str = "lesion",
        target_key: str = "label",
        tau: float = TAU,
        prob: float = 0.5,
        thickness: tuple[float, float] = (2.0, 6.0),
        padded: float = 0.25,
    ) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)
        self.healthy_key, self.lungs_key = healthy_key, lungs_key
        self.lesion_key, self.target_key = lesion_key, target_key
        self.tau, self.thickness, self.padded = tau, thickness, padded

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        self.randomize(None)
        if not self._do_transform:
            return data
        lungs = data[self.lungs_key] > 0
        thickness = float(self.R.uniform(*self.thickness))
        profiles = slice_profiles(
            lungs.shape[-1],
            thickness=thickness,
            offset=float(self.R.uniform(0, thickness)),
            padded=bool(self.R.rand() < self.padded),
        )

        def shown(volume: torch.Tensor) -> torch.Tensor:
            return volume.float() @ profiles.T

        def majority(mask: torch.Tensor) -> torch.Tensor:
            return shown(mask) > 0.5

        inside = majority(lungs)
        for key in (*self.keys, self.healthy_key):
            data[key] = torch.where(inside, shown(torch.where(lungs, data[key], SOFT_TISSUE)), 0.0)
        lesion = majority(data[self.lesion_key] > 0) & inside
        target = healthy_target(data[self.healthy_key], lesion, self.tau)
        for key, mask in ((self.lungs_key, inside), (self.lesion_key, lesion), (self.target_key, target)):
            data[key] = mask.to(torch.uint8)
        return data
