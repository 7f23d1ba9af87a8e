"""Signed distances in mm (negative inside) to simple shapes, on a grid placed in the patient.

Coordinates: x to the patient's right, y to the front, z to the head, from the middle of the chest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from generator.vessels import Tubes, draw

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Grid:
    """Voxel positions in mm as three broadcastable axes.

    Attributes:
        shape: (X, Y, Z), voxels.
        spacing: mm.
        origin: (3,), mm, the middle of voxel (0, 0, 0).
        x: (X, 1, 1), mm.
        y: (1, Y, 1), mm.
        z: (1, 1, Z), mm.
        voxel: mm, edge of the cube as large as a voxel.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: Array
    x: Array
    y: Array
    z: Array
    voxel: float

    @classmethod
    def centred(cls, shape: tuple[int, int, int], spacing: tuple[float, float, float], middle: Array) -> Grid:
        """A grid with `middle` (3,), mm, in the middle of its field of view."""
        axes = [(np.arange(n) - (n - 1) / 2) * s + m for n, s, m in zip(shape, spacing, middle, strict=True)]
        x, y, z = (axis.astype(np.float32) for axis in axes)
        origin = np.array([x[0], y[0], z[0]], np.float32)
        voxel = float(np.prod(spacing) ** (1 / 3))
        return cls(shape, spacing, origin, x[:, None, None], y[None, :, None], z[None, None, :], voxel)

    def near(self, low: npt.ArrayLike, high: npt.ArrayLike) -> tuple[Grid, tuple[slice, slice, slice]]:
        """The part of the grid between two corners in mm, and its place in the whole."""
        place = []
        for axis, a, b in zip((self.x, self.y, self.z), np.asarray(low), np.asarray(high), strict=True):
            first, last = np.searchsorted(axis.ravel(), [a, b])
            place.append(slice(int(first), int(last)))
        i, j, k = place
        x, y, z = self.x[i], self.y[:, j], self.z[:, :, k]
        shape = (x.size, y.size, z.size)
        origin = np.array([x[0, 0, 0], y[0, 0, 0], z[0, 0, 0]], np.float32)
        return Grid(shape, self.spacing, origin, x, y, z, self.voxel), (i, j, k)

    def inside(self, distance: npt.NDArray[Any]) -> Array:
        """Share of each voxel inside a surface, from signed distances in mm."""
        return np.clip(0.5 - distance / self.voxel, 0, 1)

    def draw(self, tubes: Tubes) -> Array:
        """Share of each voxel that the tubes fill."""
        return draw(tubes, self.shape, self.spacing, self.origin)

    def smooth_noise(self, length: float, *, rng: np.random.Generator) -> Array:
        """(X, Y, Z) smooth noise with knots of unit variance `length` mm apart, whatever the spacing."""
        knots = [int(np.ceil(n * s / length)) + 1 for n, s in zip(self.shape, self.spacing, strict=True)]
        coarse = torch.from_numpy(rng.standard_normal(knots, dtype=np.float32))
        fine = torch.nn.functional.interpolate(
            coarse[None, None], size=self.shape, mode="trilinear", align_corners=False
        )
        return np.asarray(fine[0, 0].numpy(), np.float32)


def meet(*distances: npt.NDArray[Any], k: float = 8.0) -> Array:
    """The distance of an intersection with edges rounded over about `k` mm."""
    result: Array = distances[0]
    for other in distances[1:]:
        h = np.maximum(k - np.abs(result - other), 0) / k
        result = np.maximum(result, other) + h * h * (k / 4)
    return result


def ellipse(
    grid: Grid,
    width: Array | float,
    depth: Array | float,
    y: Array | float,
    *,
    x: float = 0.0,
    power: float = 2.0,
) -> Array:
    """Distance to an upright column with half axes `width` and `depth`, which may vary with z.

    Its cross-section is an ellipse at `power` 2 and nears a rectangle as the power grows.
    """
    u, v = np.abs(grid.x - x) / width, np.abs(grid.y - y) / depth
    q = (u**power + v**power + np.float32(1e-6)) ** (1 / power)
    slope = (u ** (power - 1) / width) ** 2 + (v ** (power - 1) / depth) ** 2
    return np.asarray((q - 1) * q ** (power - 1) / np.sqrt(slope + np.float32(1e-9)), np.float32)


def ellipsoid(
    grid: Grid, centre: npt.ArrayLike, radii: npt.ArrayLike, *, turn: float = 0.0, tilt: float = 0.0
) -> Array:
    """Distance to an ellipsoid, turned about z and then tilted about its own y axis, radians."""
    c, r = np.asarray(centre, np.float32), np.asarray(radii, np.float32)
    x, y, z = grid.x - c[0], grid.y - c[1], grid.z - c[2]
    a, b = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    a, z = np.cos(tilt) * a + np.sin(tilt) * z, np.cos(tilt) * z - np.sin(tilt) * a
    u, v, w = a / r[0], b / r[1], z / r[2]
    q = np.sqrt(u * u + v * v + w * w) + np.float32(1e-6)
    slope = (u / r[0]) ** 2 + (v / r[1]) ** 2 + (w / r[2]) ** 2
    return np.asarray(q * (q - 1) / np.sqrt(slope + np.float32(1e-12)), np.float32)
