"""Windows that cover the lungs and little else: what the networks' time goes by."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

__all__ = ["ALIGNMENT", "Window", "lung_windows"]

ALIGNMENT = 16
"""Windows start and end at multiples of it, voxels: all see a network's strides (2 x 2 x 2 x 2) in one phase."""

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Window:
    """One run of the network.

    Attributes:
        seen: what the network is given, in voxels of the volume padded to multiples of `ALIGNMENT`.
        kept: the part of it whose result is kept; those of all windows do not overlap.
    """

    seen: Box
    kept: Box

    @property
    def kept_of_seen(self) -> Box:
        """`kept`, counted from the start of `seen`."""
        x, y, z = (
            slice(kept.start - seen.start, kept.stop - seen.start)
            for kept, seen in zip(self.kept, self.seen, strict=True)
        )
        return x, y, z


def lung_windows(lungs: torch.Tensor, largest: Sequence[int], halo: int) -> list[Window]:
    """Covers a mask by boxes of least cost.

    A box is drawn tight round the mask, and cut in two wherever the two tight boxes, each with its halo, hold fewer
    voxels than the one did. So no voxel is computed twice but in halos, and little is computed outside the lungs.

    Args:
        lungs: (X, Y, Z) bool.
        largest: most voxels kept of a window along each axis; at least one block of `ALIGNMENT` is.
        halo: rim seen round what is kept, voxels; rounded up to whole blocks, and cut at the volume's edge.

    Returns:
        Windows whose kept parts hold every voxel of the mask.

    Raises:
        ValueError: lungs is not (X, Y, Z), or halo is negative.
    """
    if lungs.ndim != 3 or halo < 0:
        raise ValueError(
            f"expected lungs (X, Y, Z) and a halo of at least 0, got {tuple(lungs.shape)} and {halo}"
        )
    blocks = _occupied_blocks(lungs)
    most = tuple(max(1, int(length) // ALIGNMENT) for length in largest)
    rim = -(-halo // ALIGNMENT)
    x, y, z = (slice(0, length) for length in blocks.shape)
    return [
        Window(seen=_in_voxels(_with_rim(box, rim, blocks.shape)), kept=_in_voxels(box))
        for box in _divide(blocks, (x, y, z), most, rim)
    ]


def _occupied_blocks(lungs: torch.Tensor) -> np.ndarray:
    """Tells which blocks of `ALIGNMENT` voxels along each axis hold any of the mask."""
    mask = lungs.detach().cpu().numpy() > 0
    for axis in range(3):
        mask = np.logical_or.reduceat(mask, np.arange(0, mask.shape[axis], ALIGNMENT), axis=axis)
    return mask


def _divide(blocks: np.ndarray, box: Box, most: Sequence[int], rim: int) -> Iterator[Box]:
    """Cuts a box of blocks while that saves, then while it is too long."""
    tight = _tight(blocks, box)
    if tight is None:
        return
    cuts = [
        (sum(_cost(half, rim, blocks.shape) for half in halves), axis, halves)
        for axis, side in enumerate(tight)
        for position in range(side.start + 1, side.stop)
        if (halves := _halves(blocks, tight, axis, position))
    ]
    saving = [cut for cut in cuts if cut[0] < _cost(tight, rim, blocks.shape)]
    needed = [cut for cut in cuts if _is_needed(tight[cut[1]], cut[2], cut[1], most[cut[1]])]
    if not (saving or needed):
        yield tight
        return
    for half in min(saving or needed, key=lambda cut: cut[0])[2]:
        yield from _divide(blocks, half, most, rim)


def _is_needed(side: slice, halves: Sequence[Box], axis: int, most: int) -> bool:
    """Tells whether a side is too long, and the cut leaves as few pieces as can be."""
    length = side.stop - side.start
    pieces = sum(-(-(half[axis].stop - half[axis].start) // most) for half in halves)
    return length > most and pieces <= -(-length // most)


def _halves(blocks: np.ndarray, box: Box, axis: int, position: int) -> list[Box]:
    """Cuts a box, and draws both parts tight."""
    sides = (slice(box[axis].start, position), slice(position, box[axis].stop))
    parts = [(*box[:axis], side, *box[axis + 1 :]) for side in sides]
    return [tight for part in parts if (tight := _tight(blocks, part)) is not None]  # type: ignore[arg-type]


def _tight(blocks: np.ndarray, box: Box) -> Box | None:
    """Draws a box tight round the blocks in it; None where it holds none."""
    sides = []
    for axis, side in enumerate(box):
        others = tuple(other for other in range(3) if other != axis)
        found = np.flatnonzero(blocks[box].any(axis=others))
        if not found.size:
            return None
        sides.append(slice(side.start + int(found[0]), side.start + int(found[-1]) + 1))
    return sides[0], sides[1], sides[2]


def _with_rim(box: Box, rim: int, shape: Sequence[int]) -> Box:
    """Widens a box of blocks, within the volume."""
    x, y, z = (
        slice(max(0, side.start - rim), min(length, side.stop + rim))
        for side, length in zip(box, shape, strict=True)
    )
    return x, y, z


def _cost(box: Box, rim: int, shape: Sequence[int]) -> int:
    """Counts the blocks that the network is given for a box."""
    return int(np.prod([side.stop - side.start for side in _with_rim(box, rim, shape)]))


def _in_voxels(box: Box) -> Box:
    x, y, z = (slice(side.start * ALIGNMENT, side.stop * ALIGNMENT) for side in box)
    return x, y, z
