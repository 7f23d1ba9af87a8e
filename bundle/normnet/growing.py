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
    result = torch.zeros_like(support, dtype=torch.bool)
    if not (bool(seed.any()) and bool(support.any())):
        return result
    frame = _reach(seed, support, steps)
    inside = support[frame]
    # The first step starts from the whole seed, later ones from what the support let through.
    front, grown = seed[frame], seed[frame] & inside
    for step in count():
        if step == steps:
            break
        wider = dilate(front).logical_and_(inside)
        if torch.equal(wider, grown):
            break
        front = grown = wider
    result[frame] = grown
    return result


def dilate(mask: torch.Tensor) -> torch.Tensor:
    """Adds the 26 neighbours of every voxel of a mask: (X, Y, Z) bool in and out."""
    for axis, length in enumerate(mask.shape):
        wider = mask.clone()
        wider.narrow(axis, 1, length - 1).logical_or_(mask.narrow(axis, 0, length - 1))
        wider.narrow(axis, 0, length - 1).logical_or_(mask.narrow(axis, 1, length - 1))
        mask = wider
    return mask


def _reach(seed: torch.Tensor, support: torch.Tensor, steps: int | None) -> tuple[slice, ...]:
    """Returns the smallest box that holds all that growth can touch: no other voxel costs time."""
    box = []
    for axis, length in enumerate(seed.shape):
        start, stop = _extent(seed, axis)
        if steps is None:
            low, high = _extent(support, axis)
            start, stop = min(start, low), max(stop, high)
        else:
            start, stop = max(start - steps, 0), min(stop + steps, length)
        box.append(slice(start, stop))
    return tuple(box)


def _extent(mask: torch.Tensor, axis: int) -> tuple[int, int]:
    """Returns the first index of a mask along an axis, and the one after the last."""
    others = [other for other in range(mask.ndim) if other != axis]
    indices = mask.any(dim=others).nonzero()
    return int(indices[0]), int(indices[-1]) + 1
