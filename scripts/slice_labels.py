"""How well a lesion mask ranks the slices of a scan, against those that an expert marked; pure functions, no files."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from normnet.lung_sides import split_sides
from normnet.metrics import slice_auc

__all__ = ["SIDES", "SMALLEST_SLICE", "scores"]

SMALLEST_SLICE = 0.01
"""Slices with less lung than this share of the largest slice's are not scored."""

RIVAL_HU = (-600.0, -170.0)
"""The plain window of HU that a lesion's density falls in."""

SIDES = {"left lung": ("LUL", "LLL"), "right lung": ("RUL", "RML", "RLL")}
"""The lobes of each lung, as the labels name them."""


def scores(
    ct: np.ndarray, lungs: np.ndarray, lesion: np.ndarray, spacing: Sequence[float], labels: Mapping[str, Any]
) -> dict[str, float]:
    """Ranks the slices by lesion share, in both lungs and in each, by a plain HU window and by lung area.

    Args:
        ct: (X, Y, Z), HU, RAS.
        lungs: (X, Y, Z) bool.
        lesion: (X, Y, Z) bool.
        spacing: voxel size along X, Y, Z in mm.
        labels: `infected_z`, the marked slices, and `lobes`, these for each lobe by its short name (LLL).

    Returns:
        How many slices were scored and marked, and the AUC of each score, in [0, 1]; NaN where none or all are marked.
    """
    area = np.count_nonzero(lungs, axis=(0, 1))
    scored = area >= SMALLEST_SLICE * area.max()

    def auc(score: np.ndarray, marked: Iterable[int]) -> float:
        return slice_auc(score[scored], np.isin(np.arange(area.size), list(marked))[scored])

    def share(mask: np.ndarray, lung: np.ndarray) -> np.ndarray:
        return np.count_nonzero(mask & lung, axis=(0, 1)) / np.maximum(np.count_nonzero(lung, axis=(0, 1)), 1)

    infected = labels["infected_z"]
    low, high = RIVAL_HU
    return {
        "slices": int(scored.sum()),
        "labelled": int(np.isin(np.flatnonzero(scored), infected).sum()),
        "lesion share": auc(share(lesion, lungs), infected),
        **{
            side: auc(share(lesion, lung), [z for lobe in SIDES[side] for z in labels["lobes"][lobe]])
            for side, lung in zip(SIDES, split_sides(lungs, spacing), strict=True)
        },
        "HU window": auc(share((ct >= low) & (ct <= high), lungs), infected),
        "lung area": auc(area, infected),
    }
