"""Real nodules put into healthy lungs, and how many of them a lesion mask finds; pure functions, no files."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

__all__ = [
    "GROUND_GLASS_BELOW_HU",
    "SIZES_MM3",
    "Nodule",
    "by_class",
    "choose_spread",
    "found",
    "place",
    "resample",
]

SIZES_MM3 = ((500.0, 1000.0), (1000.0, 4000.0), (4000.0, np.inf))
GROUND_GLASS_BELOW_HU = -300.0
"""Mean HU of a nodule below which it counts as ground glass."""

GAP_MM = 20.0
"""At least so far apart are the nearest voxels of two nodules."""

TRIES = 5000
"""Places drawn for one nodule before it is given up."""

FOUND_SHARE = 0.1
"""Of a nodule's voxels, in the lesion mask, for it to count as found."""


@dataclass(frozen=True)
class Nodule:
    """A nodule cut out of its CT.

    Attributes:
        hu: (X, Y, Z) float, the patch around it.
        mask: (X, Y, Z) bool, the nodule in it.
    """

    hu: np.ndarray
    mask: np.ndarray


def choose_spread(
    volumes: np.ndarray, mean_hu: np.ndarray, count: int, generator: np.random.Generator
) -> list[int]:
    """Draws nodules in turn from every class of size and of density, until there are `count`.

    Args:
        volumes: (nodules,) mm3.
        mean_hu: (nodules,) HU.
        count: how many, at most.
        generator: of the draws.

    Returns:
        Their indices, largest first: the largest are the hardest to place.
    """
    glass = mean_hu < GROUND_GLASS_BELOW_HU
    classes = [
        list(generator.permutation(np.flatnonzero((volumes >= low) & (volumes < high) & (glass == density))))
        for low, high in SIZES_MM3
        for density in (True, False)
    ]
    rounds = max(len(members) for members in classes)
    drawn = [int(members[turn]) for turn in range(rounds) for members in classes if turn < len(members)]
    return sorted(drawn[:count], key=lambda index: -volumes[index])


def resample(nodule: Nodule, spacing: Sequence[float], target: Sequence[float]) -> Nodule:
    """Brings a nodule to another voxel size: HU by linear interpolation, the mask where its interpolation is half.

    Args:
        nodule: on a grid of `spacing`.
        spacing: mm along X, Y, Z.
        target: mm along X, Y, Z.

    Returns:
        The nodule, cut to the box of its mask.
    """
    factors = [old / new for old, new in zip(spacing, target, strict=True)]
    hu, mask = (
        ndimage.zoom(volume.astype(np.float32), factors, order=1, mode="nearest", grid_mode=True)
        for volume in (nodule.hu, nodule.mask)
    )
    inside = mask >= 0.5
    (box,) = ndimage.find_objects(inside.astype(np.uint8)) or [(slice(0, 0),) * 3]
    return Nodule(hu[box], inside[box])


def place(
    ct: np.ndarray,
    lungs: np.ndarray,
    nodules: Sequence[Nodule],
    spacing: Sequence[float],
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Replaces lung by nodules at random places, each whole inside the lungs and away from the others.

    Inside its mask the nodule's own HU stand instead of the CT's; there is no soft edge.

    Args:
        ct: (X, Y, Z) HU.
        lungs: (X, Y, Z) bool.
        nodules: on the CT's grid.
        spacing: mm along X, Y, Z.
        generator: of the places.

    Returns:
        The new CT, and the truth, (X, Y, Z) uint8: k where nodule k - 1 lies. One that finds no place is left out.
    """
    ct, truth = ct.copy(), np.zeros(ct.shape, dtype=np.uint8)
    anchors = np.argwhere(lungs)
    taken = np.zeros((0, 3))
    for label, nodule in enumerate(nodules, start=1):
        voxels = np.argwhere(nodule.mask)
        middle = np.rint(voxels.mean(axis=0)).astype(int)
        for anchor in anchors[generator.integers(len(anchors), size=TRIES)]:
            there = voxels - middle + anchor
            if (there < 0).any() or (there >= ct.shape).any() or not lungs[tuple(there.T)].all():
                continue
            if len(taken) and KDTree(taken).query(there * spacing)[0].min() < GAP_MM:
                continue
            ct[tuple(there.T)] = nodule.hu[tuple(voxels.T)]
            truth[tuple(there.T)] = label
            taken = np.concatenate([taken, there * spacing])
            break
    return ct, truth


def found(lesion: np.ndarray, truth: np.ndarray, labels: Sequence[int]) -> list[bool]:
    """Tells of each nodule whether at least `FOUND_SHARE` of its voxels are in the lesion mask.

    Args:
        lesion: (X, Y, Z) bool.
        truth: (X, Y, Z), nodules by label.
        labels: the nodules asked for.
    """
    size = max(labels, default=0) + 1
    present = np.bincount(truth[truth > 0], minlength=size)
    hit = np.bincount(truth[lesion & (truth > 0)], minlength=size)
    return [bool(hit[label] >= FOUND_SHARE * present[label] > 0) for label in labels]


def by_class(mm3: Sequence[float], mean_hu: Sequence[float]) -> dict[str, list[bool]]:
    """Groups nodules by size, by density, and all of them: of each group by name, which nodules belong to it.

    Args:
        mm3: (nodules,) volumes.
        mean_hu: (nodules,) mean HU.
    """
    glass = [hu < GROUND_GLASS_BELOW_HU for hu in mean_hu]
    return {
        **{_size(low, high): [low <= volume < high for volume in mm3] for low, high in SIZES_MM3},
        f"ground glass (mean below {GROUND_GLASS_BELOW_HU:.0f} HU)": glass,
        "solid": [not is_glass for is_glass in glass],
        "all": [True] * len(glass),
    }


def _size(low: float, high: float) -> str:
    return f"{low:.0f} to {high:.0f} mm3" if np.isfinite(high) else f"{low:.0f} mm3 and more"
