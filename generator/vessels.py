"""Branching trees of the lung: vessels and airways as tubes in mm, and their anti-aliased drawing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

# A branch runs this share of the way to the middle of what it supplies; the rest is left to its children
# (volume-filling growth, Tawhai et al., J Appl Physiol 2004).
REACH = 0.42
# A split lies this many standard deviations from the middle at most: children of unequal size look natural.
SPLIT_JITTER = 0.6
# A radius falls with the number of tips supplied to the power 1 / MURRAY.
MURRAY = 3.0
# Voxels drawn at once: bounds the memory of one pass.
CHUNK = 2_000_000


@dataclass(frozen=True)
class Tubes:
    """Straight tubes with round ends.

    Attributes:
        start: (N, 3), mm.
        end: (N, 3), mm.
        radius: (N,), mm.
    """

    start: Array
    end: Array
    radius: Array

    def select(self, keep: npt.NDArray[np.bool_]) -> Tubes:
        """The tubes where `keep` (N,) is true."""
        return Tubes(self.start[keep], self.end[keep], self.radius[keep])

    def widen(self, by: Array | float) -> Tubes:
        """The same tubes with `by` mm added to each radius."""
        return Tubes(self.start, self.end, np.asarray(self.radius + by, np.float32))


@dataclass(frozen=True)
class Tree:
    """A grown tree: tubes without a calibre yet, and how much of the tree hangs on each.

    Attributes:
        start: (N, 3), mm.
        end: (N, 3), mm.
        share: (N,), in (0, 1]: tips supplied by the tube over tips of the tree.
        parent_share: (N,), the share of the tube before it; 1 at the root.
    """

    start: Array
    end: Array
    share: Array
    parent_share: Array

    def tubes(self, root_radius: float, *, smallest: float = 0.0, beside: Array | None = None) -> Tubes:
        """Tubes whose calibre follows what they supply.

        Args:
            root_radius: mm, where the whole tree is supplied.
            smallest: mm; thinner tubes are left out.
            beside: (3,) vector in radii: the tree is drawn this far beside its course, so that an artery can
                run along its airway.
        """
        radius = (root_radius * self.share ** (1 / MURRAY)).astype(np.float32)
        start, end = self.start, self.end
        if beside is not None:
            before = root_radius * self.parent_share ** (1 / MURRAY)
            start = (start + before[:, None] * beside).astype(np.float32)
            end = (end + radius[:, None] * beside).astype(np.float32)
        return Tubes(start, end, radius).select(radius >= smallest)


def polyline(points: npt.ArrayLike, radius: float | npt.ArrayLike) -> Tubes:
    """Tubes through `points` (N, 3) in mm, of one radius or of one for each of the N - 1 pieces, mm."""
    nodes = np.asarray(points, np.float32)
    radii = np.broadcast_to(np.asarray(radius, np.float32), (len(nodes) - 1,))
    return Tubes(nodes[:-1], nodes[1:], np.array(radii))


def join(*parts: Tubes) -> Tubes:
    """All tubes of `parts` as one set."""
    return Tubes(
        np.concatenate([part.start for part in parts]),
        np.concatenate([part.end for part in parts]),
        np.concatenate([part.radius for part in parts]),
    )


def grow_tree(
    root: npt.ArrayLike, tips: Array, lobes: npt.NDArray[np.int64], *, rng: np.random.Generator
) -> Tree:
    """Grow a tree from `root` until each tip has a branch of its own.

    Each generation cuts every group of tips in two across its longest axis and runs a branch to the middle
    of each part. The first generation goes to the lobes: no branch crosses a fissure far from the root.

    Args:
        root: (3,), mm.
        tips: (N, 3), mm, the points to supply.
        lobes: (N,), 0..L-1, every value used: the lobe of each tip.
        rng: the only source of randomness.
    """
    total = len(tips)
    if total == 0:
        raise ValueError("expected at least one tip to supply, got none")
    starts, ends, shares, parent_shares = [], [], [], []
    active = tips.astype(np.float64)
    group = lobes
    node = np.repeat(np.asarray(root, np.float64)[None], int(lobes.max()) + 1, axis=0)
    before = np.ones(len(node))
    while len(active):
        count = np.bincount(group, minlength=len(node))
        middle = _sums(group, active, len(node)) / count[:, None]
        single = count == 1
        stop = np.where(single[:, None], middle, node + REACH * (middle - node))
        starts.append(node)
        ends.append(stop)
        shares.append(count / total)
        parent_shares.append(before)

        alive = ~single[group]
        active, group = active[alive], group[alive]
        offset = active - middle[group]
        outer = _sums(group, (offset[:, :, None] * offset[:, None, :]).reshape(-1, 9), len(node))
        spread, axes = np.linalg.eigh(outer.reshape(-1, 3, 3) / count[:, None, None])
        along = np.einsum("nk,nk->n", offset, axes[group, :, 2])
        cut = rng.uniform(-SPLIT_JITTER, SPLIT_JITTER, len(node)) * np.sqrt(np.maximum(spread[:, 2], 0))
        child = 2 * group + (along > cut[group])
        used, group = np.unique(child, return_inverse=True)
        node, before = stop[used // 2], (count / total)[used // 2]
    return Tree(
        np.concatenate(starts).astype(np.float32),
        np.concatenate(ends).astype(np.float32),
        np.concatenate(shares).astype(np.float32),
        np.concatenate(parent_shares).astype(np.float32),
    )


def draw(tubes: Tubes, shape: tuple[int, int, int], spacing: npt.ArrayLike, origin: npt.ArrayLike) -> Array:
    """Draw tubes as the share of each voxel that they fill.

    A tube thinner than a voxel keeps its cross-section: it is drawn a voxel wide and accordingly faint.

    Args:
        tubes: what to draw, mm.
        shape: (X, Y, Z).
        spacing: (3,), mm.
        origin: (3,), mm, the middle of voxel (0, 0, 0).

    Returns:
        (X, Y, Z) float32 in [0, 1].
    """
    step, first = np.asarray(spacing, np.float32), np.asarray(origin, np.float32)
    width = float(np.prod(step) ** (1 / 3))
    covered = np.zeros(shape, np.float32)
    solid = np.maximum(tubes.radius, width / 2)
    full = np.minimum(1.0, np.pi * tubes.radius**2 / width**2)
    stride = np.maximum(width, solid / 2)
    sizes = np.ceil(np.log2(solid))
    for size in np.unique(sizes):
        member = np.flatnonzero(sizes == size)
        reach = solid[member].max() + (width + stride[member].max()) / 2
        half = np.floor(reach / step + 0.5).astype(int)
        box = np.stack(np.meshgrid(*(np.arange(-h, h + 1) for h in half), indexing="ij"), -1).reshape(-1, 3)
        length = np.linalg.norm(tubes.end[member] - tubes.start[member], axis=1)
        pieces = np.ceil(length / stride[member]).astype(int) + 1
        which = np.repeat(member, pieces)
        part = np.arange(len(which)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        share = (part / np.maximum(np.repeat(pieces, pieces) - 1, 1)).astype(np.float32)
        point = tubes.start[which] + share[:, None] * (tubes.end[which] - tubes.start[which])
        centre = np.rint((point - first) / step).astype(int)
        rows = max(1, CHUNK // len(box))
        for low in range(0, len(which), rows):
            tube = which[low : low + rows, None]
            voxel = centre[low : low + rows, None] + box
            distance = _distance(voxel.astype(np.float32) * step + first, tubes, tube)
            value = np.clip((solid[tube] - distance) / width + 0.5, 0, 1)
            keep = ((voxel >= 0) & (voxel < shape)).all(-1) & (value > 0)
            i, j, k = voxel[keep].T
            np.maximum.at(covered, (i, j, k), (value * full[tube])[keep])
    return covered


def _sums(
    group: npt.NDArray[np.int64], values: npt.NDArray[np.float64], groups: int
) -> npt.NDArray[np.float64]:
    """The sum of `values` (N, K) over each group, (groups, K)."""
    columns = [np.bincount(group, weights=column, minlength=groups) for column in values.T]
    return np.stack(columns, axis=1)


def _distance(point: Array, tubes: Tubes, tube: npt.NDArray[np.int64]) -> Array:
    """The distance in mm of `point` (..., 3) to the middle line of tube number `tube` (...)."""
    start, run = tubes.start[tube], tubes.end[tube] - tubes.start[tube]
    from_start = point.astype(np.float32) - start
    length = np.maximum((run * run).sum(-1), np.float32(1e-6))
    along = np.clip((from_start * run).sum(-1) / length, 0, 1)
    gap = from_start - along[..., None] * run
    return np.asarray(np.sqrt((gap * gap).sum(-1)), np.float32)
