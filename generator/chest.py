"""A synthetic chest CT in HU: body, bones, heart, two lungs with their vessels and airways, couch and noise.

Anatomy is written as signed distances in mm (negative inside), so that any grid shows the same patient.
Coordinates: x to the patient's right, y to the front, z to the head, from the middle of the chest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from generator.anatomy import (
    BLOOD,
    HEART_BOX,
    Patient,
    blend,
    cavity_distance,
    dome_distance,
    draw_body,
    draw_patient,
    draw_rib_cage,
    draw_soft_organs,
    draw_spine,
    heart_distance,
    spine_middle,
)
from generator.distances import Grid, ellipse, meet
from generator.vessels import Tree, Tubes, grow_tree, join, polyline

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

LUMEN, BRONCHUS, PARENCHYMA = -990.0, -20.0, -876.0  # HU of what is drawn
GRAVITY_PER_MM = 0.32  # HU brighter per mm towards the back, patient supine
TIPS = 1500  # tips of one tree in one lung
HILAR_RADIUS = 3.6  # mm; vessels at least this wide belong to the hilum, not to the lung
SMALLEST_BRONCHUS = 1.0  # mm, lumen; finer ones are not resolved by CT
NOISE_HU = 18.0
BLUR_MM = 0.75  # the kernel's standard deviation
DEFAULT_SHAPE = (224, 192, 96)
DEFAULT_SPACING = (1.6, 1.6, 2.5)


@dataclass(frozen=True)
class Chest:
    """One synthetic chest.

    Attributes:
        ct: (X, Y, Z) float32, HU; x grows to the patient's right, y to the front, z to the head (RAS).
        lungs: (X, Y, Z) bool: parenchyma with the vessels and bronchi in it, without trachea, main bronchi
            and the great vessels of the hilum.
        airways: (X, Y, Z) bool: lumen of trachea and bronchi.
        vessels: (X, Y, Z) bool: voxels of the lungs and hila that arteries or veins fill by half or more.
        spacing: mm.
        affine: (4, 4) float64, RAS, positive diagonal.
    """

    ct: Array
    lungs: Mask
    airways: Mask
    vessels: Mask
    spacing: tuple[float, float, float]
    affine: npt.NDArray[np.float64]


def make_chest(
    seed: int,
    *,
    shape: tuple[int, int, int] = DEFAULT_SHAPE,
    spacing: tuple[float, float, float] = DEFAULT_SPACING,
) -> Chest:
    """Make the chest of patient `seed` on a grid of `shape` voxels, `spacing` mm apart.

    The same seed gives the same patient on every grid; the field of view should be about 350 x 300 x 240 mm.

    Raises:
        ValueError: when the shape or the spacing is not three positive numbers.
    """
    if len(shape) != 3 or len(spacing) != 3 or min(shape) < 1 or min(spacing) <= 0:
        raise ValueError(f"expected three positive sizes and spacings, got shape {shape}, spacing {spacing}")
    patient, scanner, *trees = np.random.default_rng(seed).spawn(6)
    middle = np.array([patient.normal(0, 3), patient.normal(-5, 2), patient.normal(0, 3)], np.float32)
    grid = Grid.centred(shape, spacing, middle)
    p = draw_patient(patient)
    bumps = grid.smooth_noise(55, rng=patient)

    cavity = cavity_distance(grid, p, bumps)
    ct = draw_body(grid, p, cavity, rng=patient)
    draw_rib_cage(grid, p, cavity, ct)
    draw_spine(grid, p, ct)
    lung = _lung_distance(grid, p, cavity) - 0.5 * bumps
    draw_soft_organs(grid, p, cavity, lung, ct)

    parenchyma = PARENCHYMA + p.lung_hu - GRAVITY_PER_MM * grid.y + 9 * grid.smooth_noise(18, rng=patient)
    parenchyma = parenchyma + 22 * grid.smooth_noise(4, rng=patient)
    blend(ct, parenchyma, grid.inside(lung))
    blend(ct, np.float32(-560), 0.5 * _fissures(grid, p, bumps) * grid.inside(lung + 1))

    bronchi, arteries, veins = _lung_trees(grid, p, lung, rngs=trees)
    main = _main_bronchi(p)
    airway = join(main, *bronchi)
    blood = join(*arteries, *veins)
    near_lung = grid.inside(lung + 1.5)
    vessels = grid.draw(blood)
    hilar = grid.draw(blood.select(blood.radius > HILAR_RADIUS))
    blend(ct, np.float32(BLOOD), np.maximum(vessels * near_lung, hilar))
    walls = grid.draw(airway.widen(0.5 + 0.18 * airway.radius))
    blend(ct, np.float32(BRONCHUS), walls * 0.85)
    lumen = grid.draw(airway)
    blend(ct, np.float32(LUMEN), lumen)

    hilum = np.maximum(hilar, grid.draw(main.widen(2.0)))
    lungs = (lung < 0) & (hilum < 0.5)
    sigma = [BLUR_MM / s for s in spacing]
    ct = ndimage.gaussian_filter(ct, sigma)
    noise = ndimage.gaussian_filter(scanner.standard_normal(shape, dtype=np.float32), (0.7, 0.7, 0.3))
    ct += NOISE_HU * p.noise / noise.std() * noise
    np.clip(ct, -1024, 3071, out=ct)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = grid.origin
    vessel_mask = ((vessels * near_lung >= 0.5) | (hilar >= 0.5)) & (walls < 0.5)
    return Chest(ct, lungs, lumen > 0.5, vessel_mask, spacing, affine)


def _apex(grid: Grid, p: Patient) -> Array:
    """Distance to the cupola of the pleura, negative below it."""
    long = np.where(grid.y < -22, 46, 72).astype(np.float32)  # steep behind, sloping to the front
    u, v = (np.abs(grid.x) - 45) / 50, (grid.y + 22) / long
    surface = p.top - 24 * (u * u + v * v)
    slope = 48 * np.sqrt((u / 50) ** 2 + (v / long) ** 2)
    return np.asarray((grid.z - surface) / np.sqrt(1 + slope * slope), np.float32)


def _lung_distance(grid: Grid, p: Patient, cavity: Array) -> Array:
    """Distance to the pleura of both lungs."""
    y, z = grid.y, grid.z
    wide = 5 + 21 * np.exp(-(((y + 4) / 36) ** 2)) * (1 / (1 + np.exp((-z - 30) / 14)))
    hila = 13 * np.exp(-(((z - p.carina + 20) / 24) ** 2) - ((y + 12) / 20) ** 2)
    between = wide + hila - np.abs(grid.x + 1.5)
    spine = -ellipse(grid, 25.0, 26.0, spine_middle(z, p) - 3)
    aorta = -ellipse(grid, 14.5, 14.5, spine_middle(z, p) + 20, x=-22) - np.maximum(z - p.carina - 4, 0)
    lung = meet(cavity + 1, between, spine, aorta, dome_distance(grid, p), _apex(grid, p), -grid.z - 112)
    box, place = grid.near(*HEART_BOX)
    lung[place] = meet(lung[place], -heart_distance(box, p))
    return lung


def _oblique(x: Array, y: Array, z: Array) -> Array:
    """Distance above the oblique fissure of the lung on this side."""
    return np.asarray((z + 8 + 0.95 * (y + 4) + 0.0012 * (np.abs(x) - 60) ** 2) / 1.38, np.float32)


def _horizontal(x: Array, y: Array, z: Array, p: Patient) -> Array:
    """Distance above the horizontal fissure of the right lung."""
    return np.asarray(z - p.carina + 32 + 0.1 * y + 0.0016 * (x - 70) ** 2, np.float32)


def _fissures(grid: Grid, p: Patient, bumps: Array) -> Array:
    """Share of each voxel taken by the interlobar fissures, sheets about a millimetre thick."""
    oblique = _oblique(grid.x, grid.y, grid.z) + 3 * bumps
    horizontal = _horizontal(grid.x, grid.y, grid.z, p) + 4 * bumps
    sheet = np.maximum(np.abs(horizontal), np.maximum(-oblique, -grid.x))
    nearest = np.minimum(np.abs(oblique), sheet)
    return np.asarray(np.clip(1 - nearest / grid.voxel, 0, 1) * min(1.0, 1.0 / grid.voxel), np.float32)


def _hilum(side: int, p: Patient) -> tuple[float, float, float]:
    """Where the main bronchus enters the lung; side 1 is the right."""
    return (34.0, -14.0, p.carina - 17) if side > 0 else (-36.0, -16.0, p.carina - 14)


def _main_bronchi(p: Patient) -> Tubes:
    """Trachea and main bronchi."""
    carina = (1.0, -18.0, p.carina)
    return join(
        polyline([(2.0, -6.0, 140.0), carina], 8.5),
        polyline([carina, _hilum(1, p)], 6.6),
        polyline([carina, _hilum(-1, p)], 5.8),
    )


def _lung_trees(
    grid: Grid, p: Patient, lung: Array, *, rngs: list[np.random.Generator]
) -> tuple[list[Tubes], list[Tubes], list[Tubes]]:
    """Bronchi (lumen), arteries beside them, and veins between, of both lungs."""
    bronchi, arteries, veins = [], [], []
    for side, (rng, vein_rng) in zip((1, -1), (rngs[:2], rngs[2:]), strict=True):
        tree = _supply(grid, p, lung, side, _hilum(side, p), rng=rng)
        bronchi.append(tree.tubes(4.8, smallest=SMALLEST_BRONCHUS))
        beside = np.array([0.9 * side, 1.4, 1.4], np.float32)
        arteries.append(tree.tubes(6.2 * p.vessel, beside=beside))
        atrium = (30.0 * side, -6.0, p.carina - 46)
        veins.append(_supply(grid, p, lung, side, atrium, rng=vein_rng).tubes(6.2 * p.vessel))
    return bronchi, arteries, veins


def _supply(
    grid: Grid,
    p: Patient,
    lung: Array,
    side: int,
    root: tuple[float, float, float],
    *,
    rng: np.random.Generator,
) -> Tree:
    """A tree from `root` to TIPS random points of one lung, lobe by lobe."""
    extent = np.array([n * s for n, s in zip(grid.shape, grid.spacing, strict=True)])
    point = (rng.uniform(0, 1, (12 * TIPS, 3)) * extent + grid.origin).astype(np.float32)
    index = ((point - grid.origin) / np.asarray(grid.spacing, np.float32)).astype(int)
    index = np.minimum(index, np.array(grid.shape) - 1)  # float32 rounds a point up to the grid's very end.
    inside = (lung[tuple(index.T)] < -3.5) & (point[:, 0] * side > 0)
    tips = point[inside][:TIPS]
    x, y, z = tips.T
    upper = _oblique(x, y, z) > 0
    middle = upper & (_horizontal(x, y, z, p) < 0) & (side > 0)
    _, lobes = np.unique(upper + middle.astype(int), return_inverse=True)
    return grow_tree(root, tips, lobes, rng=rng)
