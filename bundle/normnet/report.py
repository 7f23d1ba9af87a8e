"""The lesion load of one study in numbers, as JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from normnet.boxes import boxes_round
from normnet.whole_file import written_whole

__all__ = ["MM3_PER_ML", "lesion_report", "write_report"]

MM3_PER_ML = 1000.0
DECIMALS = 3
"""Of volumes in mL (1 mm3) and of per cent; more would be noise."""

TOUCHING = np.ones((3, 3, 3), dtype=bool)
"""Lesion voxels that touch in any way (26 neighbours) are one lesion."""


def lesion_report(
    lesion: np.ndarray, lungs: np.ndarray, left: np.ndarray, right: np.ndarray, spacing: Sequence[float]
) -> dict[str, Any]:
    """Measures the lesions of one study.

    Args:
        lesion: (X, Y, Z) bool.
        lungs: (X, Y, Z) bool.
        left: (X, Y, Z) bool, the patient's left lung.
        right: (X, Y, Z) bool, the patient's right lung.
        spacing: voxel size along X, Y, Z in mm.

    Returns:
        lesion_ml, lung_ml, lesion_percent_of_lung (None without lung), the same under left and right, lesions
        (the number of pieces that touch nowhere) and largest_lesion_ml.

    Raises:
        ValueError: when the shapes differ.
    """
    if not lesion.shape == lungs.shape == left.shape == right.shape:
        shapes = ", ".join(str(mask.shape) for mask in (lesion, lungs, left, right))
        raise ValueError(f"expected masks of one shape (X, Y, Z), got {shapes}")
    lesion = lesion.astype(bool, copy=False)
    voxel_ml = float(np.prod(spacing)) / MM3_PER_ML
    sizes = _lesion_sizes(lesion)
    return {
        **_load(lesion, lungs, voxel_ml),
        "left": _load(lesion & (left != 0), left, voxel_ml),
        "right": _load(lesion & (right != 0), right, voxel_ml),
        "lesions": len(sizes),
        "largest_lesion_ml": round(float(sizes.max(initial=0)) * voxel_ml, DECIMALS),
    }


def write_report(
    path: str | Path, report: Mapping[str, Any], versions: Mapping[str, str], weights_hash: str
) -> None:
    """Writes a report as JSON, with what made it, whole or not at all.

    Args:
        path: the JSON file.
        report: as from `lesion_report`.
        versions: of the software, by package.
        weights_hash: names the network's weights.
    """
    content = {**report, "versions": dict(versions), "weights": weights_hash}
    with written_whole(path) as beside:
        beside.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _load(lesion: np.ndarray, lung: np.ndarray, voxel_ml: float) -> dict[str, float | None]:
    lesion_voxels, lung_voxels = np.count_nonzero(lesion), np.count_nonzero(lung)
    return {
        "lesion_ml": round(lesion_voxels * voxel_ml, DECIMALS),
        "lung_ml": round(lung_voxels * voxel_ml, DECIMALS),
        "lesion_percent_of_lung": round(100 * lesion_voxels / lung_voxels, DECIMALS) if lung_voxels else None,
    }


def _lesion_sizes(lesion: np.ndarray) -> np.ndarray:
    """Counts the voxels of each lesion; labels only the box that holds them all, which saves time."""
    if not lesion.any():
        return np.zeros(0, dtype=np.intp)
    (box,) = boxes_round(lesion)
    labels, _ = ndimage.label(lesion[box].T, structure=TOUCHING)  # in the order that they lie in memory
    return np.bincount(labels[labels > 0])[1:]
