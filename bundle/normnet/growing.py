"""Region growing of the lesion seeds inside their support (III-D)."""

from itertools import count

import torch

__all__ = ["GROWING_STEPS", "dilate", "grow"]

GROWING_STEPS = 10
"""Steps of growth in voxels of the 0.8 x 0.8 x 1.0 mm grid: a decision, the paper names no number (III-D).

That of `paper_rule.json`. `inference.json` takes 100, as far as it goes: ten leave squares of large, faint lesions.
"""


def grow(seed: torch.Tensor, support: torch.Tensor, steps: int | None = GROWING_STEPS) -> torch.Tensor:
    """Expands the seed step by step, keeping only what lies in the support (III-D, Fig. 4).

    A geodesic dilation: every step takes in the 26 neighbours of each voxel, then drops those out of the
    support, so that growth goes around a gap in the support and never across a gap of one voxel or more. A
    seed voxel out of the support may still grow into it in the first step.

    Args:
        seed: (X, Y, Z) bool, the smoothed bright lesions (e).
        support: (X, Y, Z) bool, the smoothed lesions of all brightness (g).
        steps: number of steps, at least 0; None grows until nothing changes.

    Returns:
        (X, Y, Z) bool, inside the support.

    Raises:
        ValueError: when the shapes differ or steps is negative.
    """
    if seed.ndim != 3 or seed.shape != support.shape:
        raise ValueError(
            f"expected seed and support of one shape (X, Y, Z), "
            f"got {tuple(seed.shape)} and {tuple(support.shape)}"
        )
    if steps is not None and steps < 0:
        raise ValueError(f"expected at least 0 steps of growth, got {steps}")
    grown = seed & support
    # Only what was added last grows on, and only the box round it costs time.
    front, box = seed, tuple(slice(0, length) for length in seed.shape)
    for _ in count() if steps is None else range(steps):
        extents = _extents(front)
        if not extents:
            break
        front, box = _with_rim(front, extents, box, seed.shape)
        front = dilate(front).logical_and_(support[box] & ~grown[box])
        grown[box] |= front
    return grown


def dilate(mask: torch.Tensor) -> torch.Tensor:
    """Adds the 26 neighbours of every voxel of a mask: (X, Y, Z) bool in and out."""
    for axis, length in enumerate(mask.shape):
        wider = mask.clone()
        wider.narrow(axis, 1, length - 1).logical_or_(mask.narrow(axis, 0, length - 1))
        wider.narrow(axis, 0, length - 1).logical_or_(mask.narrow(axis, 1, length - 1))
        mask = wider
    return mask


def _extents(mask: torch.Tensor) -> list[tuple[int, int]]:
    """Along each axis, the first index of a mask and the one after the last; none of an empty mask."""
    by_z = mask.any(dim=0)
    touched = [along.nonzero() for along in (mask.any(dim=2).any(dim=1), by_z.any(dim=1), by_z.any(dim=0))]
    return [(int(indices[0]), int(indices[-1]) + 1) for indices in touched if len(indices)]


def _with_rim(
    mask: torch.Tensor, extents: list[tuple[int, int]], box: tuple[slice, ...], shape: tuple[int, ...]
) -> tuple[torch.Tensor, tuple[slice, ...]]:
    """Cuts a mask, which fills a box of a field of `shape`, to its extents and a rim of one voxel, and says where."""
    held = tuple(slice(first, last) for first, last in extents)
    outer = tuple(
        slice(max(whole.start + part.start - 1, 0), min(whole.start + part.stop + 1, length))
        for whole, part, length in zip(box, held, shape, strict=True)
    )
    cut = mask.new_zeros([rim.stop - rim.start for rim in outer])
    place = tuple(
        slice(whole.start + part.start - rim.start, whole.start + part.stop - rim.start)
        for whole, part, rim in zip(box, held, outer, strict=True)
    )
    cut[place] = mask[held]
    return cut, outer
