"""How well a lesion mask ranks the slices of a scan, against those that an expert marked; pure functions, no files."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from normnet.lung_sides import split_sides
from normnet.metrics import slice_auc

__all__ = ["SIDES", "scored_slices", "scores", "share_auc"]

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
    scored = scored_slices(lungs)
    infected = labels["infected_z"]
    low, high = RIVAL_HU
    return {
        "slices": int(scored.sum()),
        "labelled": int(np.isin(np.flatnonzero(scored), infected).sum()),
        "lesion share": share_auc(lesion, lungs, scored, infected),
        **{
            side: share_auc(lesion, lung, scored, [z for lobe in SIDES[side] for z in labels["lobes"][lobe]])
            for side, lung in zip(SIDES, split_sides(lungs, spacing), strict=True)
        },
        "HU window": share_auc((ct >= low) & (ct <= high), lungs, scored, infected),
        "lung area": share_auc(lungs, np.ones_like(lungs), scored, infected),
    }


def scored_slices(lungs: np.ndarray) -> np.ndarray:
    """Marks the slices that hold enough lung to be scored: (Z,) bool."""
    area = np.count_nonzero(lungs, axis=(0, 1))
    return area >= SMALLEST_SLICE * area.max()


def share_auc(mask: np.ndarray, lung: np.ndarray, scored: np.ndarray, marked: Sequence[int]) -> float:
    """Ranks the scored slices by a mask's share of the lung, against the marked ones; AUC in [0, 1].

    Args:
        mask: (X, Y, Z) bool.
        lung: (X, Y, Z) bool.
        scored: (Z,) bool.
        marked: z of the slices that an expert marked.
    """
    area = np.maximum(np.count_nonzero(lung, axis=(0, 1)), 1)
    share = np.count_nonzero(mask & lung, axis=(0, 1)) / area
    return slice_auc(share[scored], np.isin(np.flatnonzero(scored), marked))
