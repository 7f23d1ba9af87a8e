"""Lesion shapes G (III-C1): ellipsoids, deformed, rotated, placed in the lung, merged where they touch."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from generator.gaussian import Box, smooth, smoothing_matrix
from generator.spec import PAPER, Range, SynthesisSpec

__all__ = [
    "LARGEST_SEED",
    "Ellipsoid",
    "Lesion",
    "draw_ellipsoids",
    "draw_uniform",
    "lesion_shapes",
    "merge_touching",
    "render",
]

DISPLACEMENT_REACH = 4.0
"""Displacements beyond this do not enlarge the box in which a blob is drawn, standard deviations."""

LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Ellipsoid:
    """One blob before it is drawn: all that is random about it."""

    centre: tuple[int, int, int]
    """Voxel of the lung."""

    radii: tuple[float, float, float]
    """Half axes, voxels."""

    rotation: torch.Tensor
    """(3, 3), columns are the directions of the half axes."""

    amplitude: float
    """Standard deviation of the displacement, voxels."""

    smoothness: float
    """Standard deviation of the Gaussian over the displacement, voxels."""

    seed: int
    """Seed of the displacement's noise."""


@dataclass(frozen=True)
class Lesion:
    """A set of voxels inside the lung: blob C cut to the lung, or merged blobs G_j."""

    box: Box
    """The bounding box in the volume."""

    mask: torch.Tensor
    """Which voxels of the box belong to it, bool."""


def draw_uniform(bounds: Range, rng: torch.Generator) -> float:
    """Draws one number from U[low, high]."""
    low, high = bounds
    return low + (high - low) * float(torch.rand((), generator=rng, dtype=torch.float64))


def lesion_shapes(
    lung: torch.Tensor, *, lung_fraction: float, rng: torch.Generator, spec: SynthesisSpec = PAPER
) -> list[Lesion]:
    """Draws the lesions G_1, G_2, ... of one volume (III-C1).

    Blobs are cut to the lung before they are merged, so blobs of the two lungs that would meet in the
    mediastinum stay two lesions; a blob that falls into pieces is one lesion.

    Args:
        lung: (X, Y, Z) bool.
        lung_fraction: lambda, the lung's volume over the largest of the training set, in (0, 1].
        rng: on the CPU.
        spec: what to draw from.

    Returns:
        Lesions that do not touch each other; none for an empty lung.
    """
    ellipsoids = draw_ellipsoids(lung, lung_fraction=lung_fraction, rng=rng, spec=spec)
    blobs = [render(ellipsoid, lung) for ellipsoid in ellipsoids]
    return merge_touching([blob for blob in blobs if blob is not None])


def draw_ellipsoids(
    lung: torch.Tensor, *, lung_fraction: float, rng: torch.Generator, spec: SynthesisSpec = PAPER
) -> list[Ellipsoid]:
    """Draws the number of ellipsoids and every parameter of theirs; arguments as in `lesion_shapes`."""
    scale = lung_fraction if spec.counts_follow_lung else 1.0
    small = round(scale * draw_uniform(spec.small_count, rng))
    medium = round(scale * draw_uniform(spec.medium_count, rng))
    large = int(draw_uniform((0.0, 1.0), rng) < scale * spec.large_probability)
    radii = [spec.small_radius] * small + [spec.medium_radius] * medium + [spec.large_radius] * large
    centres = _draw_voxels(lung, len(radii), rng)  # none for an empty lung
    return [
        _draw_ellipsoid(centre, bounds, rng, spec) for centre, bounds in zip(centres, radii, strict=False)
    ]


def _draw_ellipsoid(
    centre: tuple[int, int, int], bounds: Range, rng: torch.Generator, spec: SynthesisSpec
) -> Ellipsoid:
    x, y, z = (draw_uniform(bounds, rng) for _ in range(3))
    mean_radius = (x * y * z) ** (1 / 3)
    return Ellipsoid(
        centre=centre,
        radii=(x, y, z),
        rotation=_draw_rotation(rng),
        amplitude=mean_radius * draw_uniform(spec.deformation_amplitude, rng),
        smoothness=mean_radius * draw_uniform(spec.deformation_smoothness, rng),
        seed=int(torch.randint(LARGEST_SEED, (), generator=rng)),
    )


def _draw_rotation(rng: torch.Generator) -> torch.Tensor:
    """Draws a rotation matrix uniformly from SO(3), through a unit quaternion."""
    w, x, y, z = F.normalize(torch.randn(4, generator=rng, dtype=torch.float64), dim=0).tolist()
    return torch.tensor(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _draw_voxels(lung: torch.Tensor, count: int, rng: torch.Generator) -> list[tuple[int, int, int]]:
    """Draws voxels of the lung, each with the same probability; none for an empty lung."""
    # Voxels up to and with each x, plane by plane: a list of all voxels would outweigh the volume.
    until = torch.stack([plane.count_nonzero() for plane in lung]).cumsum(0).cpu()
    if until[-1] == 0:
        return []
    voxels = []
    for rank in torch.randint(int(until[-1]), (count,), generator=rng):
        x = int(torch.searchsorted(until, rank, right=True))
        before = int(until[x - 1]) if x else 0
        voxels.append((x, *lung[x].nonzero()[int(rank) - before].tolist()))
    return voxels


def render(ellipsoid: Ellipsoid, lung: torch.Tensor) -> Lesion | None:
    """Draws one deformed, rotated ellipsoid and cuts it to the lung.

    A voxel at v from the centre belongs to the blob when v + d(v) lies inside the ellipsoid, d being the
    elastic displacement: smoothed white noise of the same variance everywhere.

    Args:
        ellipsoid: the parameters.
        lung: (X, Y, Z) bool.

    Returns:
        The blob, None when nothing of it lies in the lung.
    """
    box = _box_around(ellipsoid, lung.shape)
    to_sphere = torch.tensor(ellipsoid.radii, dtype=torch.float64)[:, None] ** -1 * ellipsoid.rotation.T
    x, y, z = (
        (torch.arange(side.start, side.stop) - middle)[:, None] * column
        for side, middle, column in zip(box, ellipsoid.centre, to_sphere.T, strict=True)
    )
    offset = None if ellipsoid.amplitude == 0 else _displacement(ellipsoid, to_sphere, box, lung)
    squared = torch.zeros([side.stop - side.start for side in box], device=lung.device)
    for axis in range(3):
        plane = (y[:, None, axis] + z[None, :, axis]).to(squared)
        along = x[:, None, None, axis].to(squared) + plane
        if offset is not None:
            along += offset[axis]
        squared.addcmul_(along, along)
    return _tight((squared <= 1) & lung[box], box)


def _box_around(ellipsoid: Ellipsoid, shape: torch.Size) -> Box:
    """Gives the box, inside the volume, that holds the rotated ellipsoid and its displacement."""
    spread = (ellipsoid.rotation * torch.tensor(ellipsoid.radii)).norm(dim=1).tolist()
    reach = [math.ceil(half + DISPLACEMENT_REACH * ellipsoid.amplitude) for half in spread]
    x, y, z = (
        slice(max(0, centre - side), min(size, centre + side + 1))
        for centre, side, size in zip(ellipsoid.centre, reach, shape, strict=True)
    )
    return x, y, z


def _displacement(ellipsoid: Ellipsoid, frame: torch.Tensor, box: Box, lung: torch.Tensor) -> torch.Tensor:
    """Draws the elastic displacement, in the unit sphere's frame, (3, X, Y, Z) of the box."""
    matrices = []
    for side, size in zip(box, lung.shape, strict=True):
        weights, _ = smoothing_matrix(side, size, ellipsoid.smoothness, spacing=ellipsoid.smoothness)
        matrices.append(F.normalize(weights, dim=1))  # unit rows: unit variance, at the volume's border too
    generator = torch.Generator(lung.device).manual_seed(ellipsoid.seed)
    cells = [matrix.shape[1] for matrix in matrices]
    noise = torch.randn(3, *cells, generator=generator, device=lung.device)
    noise = torch.einsum("ij,jxyz->ixyz", (frame * ellipsoid.amplitude).to(noise), noise)
    return smooth(noise, matrices)


def _tight(mask: torch.Tensor, box: Box) -> Lesion | None:
    """Cuts a mask and its box down to the voxels that are set; None when there are none."""
    sides = []
    for axis in range(3):
        hits = mask.movedim(axis, 0).flatten(1).any(1).nonzero()
        if len(hits) == 0:
            return None
        sides.append(slice(int(hits[0]), int(hits[-1]) + 1))
    x, y, z = (slice(a.start + b.start, a.start + b.stop) for a, b in zip(box, sides, strict=True))
    return Lesion((x, y, z), mask[sides[0], sides[1], sides[2]].clone())  # the copy frees the wide box


def merge_touching(blobs: list[Lesion]) -> list[Lesion]:
    """Joins blobs that overlap or are neighbours (26-connected), directly or through others."""
    groups: list[list[Lesion]] = []
    for blob in blobs:
        touching = [group for group in groups if any(_touch(blob, member) for member in group)]
        groups = [group for group in groups if not any(group is other for other in touching)]
        groups.append([blob, *(member for group in touching for member in group)])
    return [_union(group) for group in groups]


def _touch(one: Lesion, other: Lesion) -> bool:
    """Says whether a voxel of one is a voxel of the other or one of its 26 neighbours."""
    x, y, z = (  # where both boxes are, and one voxel around it
        slice(max(a.start, b.start) - 1, min(a.stop, b.stop) + 1)
        for a, b in zip(one.box, other.box, strict=True)
    )
    if any(side.stop - side.start < 2 for side in (x, y, z)):
        return False
    first, second = _within(one, (x, y, z)), _within(other, (x, y, z))
    if bool((first & second).any()):
        return True
    grown = F.max_pool3d(first[None].float(), kernel_size=3, stride=1, padding=1)[0] > 0
    return bool((grown & second).any())


def _within(lesion: Lesion, box: Box) -> torch.Tensor:
    """Gives the lesion's mask in another box, False where its own box does not reach."""
    mask = lesion.mask.new_zeros([side.stop - side.start for side in box])
    to, of = [], []
    for own, wanted in zip(lesion.box, box, strict=True):
        low, high = max(own.start, wanted.start), min(own.stop, wanted.stop)
        to.append(slice(low - wanted.start, high - wanted.start))
        of.append(slice(low - own.start, high - own.start))
    mask[to[0], to[1], to[2]] = lesion.mask[of[0], of[1], of[2]]
    return mask


def _union(group: list[Lesion]) -> Lesion:
    x, y, z = (
        slice(min(side.start for side in sides), max(side.stop for side in sides))
        for sides in zip(*(lesion.box for lesion in group), strict=True)
    )
    mask = group[0].mask.new_zeros([side.stop - side.start for side in (x, y, z)])
    for lesion in group:
        mask |= _within(lesion, (x, y, z))
    return Lesion((x, y, z), mask)
