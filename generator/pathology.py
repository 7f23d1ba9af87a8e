"""Lesions for the demo's synthetic patients: ground glass, consolidation and pleural bands, in HU.

Written apart from the training generator on purpose (nothing of III-C in it): a network trained on that
one must find these without having seen their like. A lesion is an opacity in [0, 1] that moves aerated lung
to the HU of the lesion. Soft tissue and open airways stay as they are: vessels show through ground glass,
and bronchi stay dark in consolidation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from generator.anatomy import BLOOD
from generator.chest import PARENCHYMA, Chest

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PathologySpec:
    """How much disease, and of what HU.

    Attributes:
        ground_glass: number of patches of ground glass.
        consolidation: number of consolidations with air bronchograms.
        bands: number of crescents along the pleura.
        ground_glass_hu: the range that the HU of a patch is drawn from.
        consolidation_hu: the same of a consolidation.
        band_hu: the same of a crescent.
        patch_mm: the range of the radius of a patch; a consolidation has about three quarters of it.
        band_mm: the range of a crescent's thickness.
        visible_hu: a voxel belongs to the lesion mask when the lesion brings at least this raise to it.
    """

    ground_glass: int = 5
    consolidation: int = 1
    bands: int = 2
    ground_glass_hu: tuple[float, float] = (-660.0, -430.0)
    consolidation_hu: tuple[float, float] = (-30.0, 45.0)
    band_hu: tuple[float, float] = (-420.0, -150.0)
    patch_mm: tuple[float, float] = (11.0, 30.0)
    band_mm: tuple[float, float] = (4.0, 8.0)
    visible_hu: float = 100.0


DEFAULT_PATHOLOGY = PathologySpec()

# Voxels of aerated lung deeper than this are no neighbours of the pleura, mm.
SUBPLEURAL_MM = 25.0
# An edge runs from clear to full over about this share of a patch's radius.
GROUND_GLASS_EDGE, CONSOLIDATION_EDGE = 0.35, 0.14
# The border of a patch wanders by this share of its radius, at knots that many mm apart.
WANDER, WANDER_MM = 0.6, 13.0


def add_pathology(
    chest: Chest, *, rng: np.random.Generator, spec: PathologySpec = DEFAULT_PATHOLOGY
) -> tuple[Array, Mask]:
    """Give a healthy chest lesions of the kinds and numbers in `spec`.

    Args:
        chest: the healthy chest; it is not changed.
        rng: the only source of randomness.
        spec: numbers, sizes and HU.

    Returns:
        The CT with lesions, (X, Y, Z) float32 HU, and the lesion mask, (X, Y, Z) bool: the lung voxels whose
        air the lesions raise by `spec.visible_hu` or more above plain parenchyma. Vessels in a lesion belong
        to it, open airways do not. Only the lung and the voxels that touch it change.

    Raises:
        ValueError: when the chest has no lungs.
    """
    if not chest.lungs.any():
        raise ValueError("expected a chest with lungs, got an empty lung mask")
    place = ndimage.find_objects(ndimage.binary_dilation(chest.lungs).astype(np.uint8))[0]
    lung = _Lung(chest, place)
    opacity = np.zeros(lung.shape, np.float32)
    target = np.full(lung.shape, PARENCHYMA, np.float32)

    for _ in range(spec.ground_glass):
        centre = lung.draw_centre(lung.subpleural, rng=rng)
        patch = lung.patch(centre, rng.uniform(*spec.patch_mm), GROUND_GLASS_EDGE, rng=rng)
        mottle = 70 * lung.wander(5.0, rng=rng)
        _lay(opacity, target, patch, rng.uniform(*spec.ground_glass_hu) + mottle)
    for _ in range(spec.consolidation):
        centre = lung.draw_centre(lung.bronchial, rng=rng)
        patch = lung.patch(centre, 0.75 * rng.uniform(*spec.patch_mm) + 5, CONSOLIDATION_EDGE, rng=rng)
        halo = lung.patch(centre, 1.5 * spec.patch_mm[0], 0.5, rng=rng)
        _lay(opacity, target, 0.9 * halo, np.float32(np.mean(spec.ground_glass_hu)))
        _lay(opacity, target, patch, rng.uniform(*spec.consolidation_hu) + 14 * lung.wander(5.0, rng=rng))
    for _ in range(spec.bands):
        centre = lung.draw_centre(lung.pleural, rng=rng)
        thickness, radius = rng.uniform(*spec.band_mm), 1.3 * rng.uniform(*spec.patch_mm)
        crescent = lung.crescent(centre, thickness, radius, rng=rng)
        _lay(opacity, target, crescent, np.float32(rng.uniform(*spec.band_hu)))

    raise_hu = opacity * (target - PARENCHYMA) * lung.aerated
    healthy = chest.ct[place]
    ct = chest.ct.copy()
    # Only the air of a voxel can fill up: a voxel of soft tissue has none left, plain parenchyma all of it.
    room = np.clip((BLOOD - healthy) / (BLOOD - PARENCHYMA), 0, 1)
    ct[place] = healthy + raise_hu * room
    lesions = np.zeros(chest.ct.shape, bool)
    lesions[place] = lung.mask & (raise_hu >= spec.visible_hu)
    return ct, lesions


class _Lung:
    """The lungs of one chest in their bounding box, and the places where lesions start."""

    def __init__(self, chest: Chest, place: tuple[slice, slice, slice]) -> None:
        self.spacing = np.asarray(chest.spacing, np.float32)
        self.mask = chest.lungs[place]
        self.shape = self.mask.shape
        self.depth = ndimage.distance_transform_edt(self.mask, sampling=chest.spacing).astype(np.float32)
        # Bronchi end in voxels that they only share: an opening with a soft border keeps those dark too.
        lumen = chest.airways[place].astype(np.float32)
        lumen = np.maximum(lumen, np.clip(1.5 * ndimage.gaussian_filter(lumen, 0.6), 0, 1))
        # The voxels just outside share air with the lung: left clear, they would part lesion and pleura.
        rim = ndimage.binary_dilation(self.mask)
        self.aerated = (rim * (1 - lumen)).astype(np.float32)
        y, z = (np.linspace(0, 1, n, dtype=np.float32) for n in self.shape[1:])
        # COVID-19 prefers the back and the base.
        preference = (1.1 - y)[None, :, None] ** 2.5 * (1.1 - z)[None, None, :] ** 2
        self.preference = np.broadcast_to(preference, self.shape)
        self.subpleural = self.mask & (self.depth < SUBPLEURAL_MM) & (self.depth > 4)
        self.pleural = self.mask & (self.depth <= max(self.spacing)) & self._costal()
        near_bronchus = ndimage.binary_dilation(chest.airways[place], iterations=2)
        self.bronchial = self.mask & near_bronchus & (self.depth > 8)

    def _costal(self) -> Mask:
        """Voxels of the half of each lung that faces the ribs."""
        x = np.arange(self.shape[0])
        middle = (self.shape[0] - 1) / 2
        return np.asarray((np.abs(x - middle) > 0.35 * middle)[:, None, None] & self.mask)

    def draw_centre(self, where: Mask, *, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """A voxel (3,) of `where`, drawn by the disease's preference; of the lung when `where` is empty."""
        candidates = np.argwhere(where if where.any() else self.mask)
        weight = self.preference[tuple(candidates.T)].astype(np.float64)
        return np.asarray(candidates[rng.choice(len(candidates), p=weight / weight.sum())])

    def distance(self, centre: npt.NDArray[np.int64]) -> Array:
        """Distance to a voxel, mm."""
        axes = np.ogrid[tuple(slice(0, n) for n in self.shape)]
        squares = [((a - c) * s) ** 2 for a, c, s in zip(axes, centre, self.spacing, strict=True)]
        return np.asarray(np.sqrt(sum(squares)), np.float32)

    def wander(self, knots_mm: float, *, rng: np.random.Generator) -> Array:
        """Smooth noise, standard deviation about a half."""
        knots = [int(np.ceil(n * s / knots_mm)) + 1 for n, s in zip(self.shape, self.spacing, strict=True)]
        coarse = torch.from_numpy(rng.standard_normal(knots, dtype=np.float32))
        fine = torch.nn.functional.interpolate(coarse[None, None], size=self.shape, mode="trilinear")
        # Rounds off the corners that linear interpolation leaves at the knots.
        return np.asarray(
            ndimage.gaussian_filter(fine[0, 0].numpy(), knots_mm / 3 / self.spacing), np.float32
        )

    def patch(
        self, centre: npt.NDArray[np.int64], radius: float, edge: float, *, rng: np.random.Generator
    ) -> Array:
        """Opacity of a patch with a soft, wandering border that hugs the pleura."""
        far = self.distance(centre) / radius + WANDER * self.wander(WANDER_MM, rng=rng)
        return np.asarray(1 / (1 + np.exp(np.clip((far - 1) / edge * 4, -30, 30))), np.float32)

    def crescent(
        self, centre: npt.NDArray[np.int64], thickness: float, radius: float, *, rng: np.random.Generator
    ) -> Array:
        """Opacity of a band along the pleura round `centre`, thinning out to its ends."""
        across = np.clip(1 - (self.distance(centre) / radius) ** 2, 0, 1) * thickness
        across = across * (1 + 0.4 * self.wander(9.0, rng=rng))
        return np.asarray(np.clip(across - self.depth + 1, 0, 1), np.float32)


def _lay(opacity: Array, target: Array, patch: Array, hu: Array | np.float32) -> None:
    """Lay a patch over the opacities so far, in place: where both lie, the denser tissue wins."""
    denser = patch * (hu - PARENCHYMA) > opacity * (target - PARENCHYMA)
    np.copyto(opacity, patch, where=denser)
    np.copyto(target, np.broadcast_to(hu, target.shape), where=denser)
