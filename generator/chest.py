"""A synthetic chest CT in HU: body, bones, heart, two lungs with their vessels and airways, couch and noise.

Anatomy is written as signed distances in mm (negative inside), so that any grid shows the same patient.
Coordinates: x to the patient's right, y to the front, z to the head, from the middle of the chest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from generator.vessels import Tree, Tubes, draw, grow_tree, join, polyline

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

# HU of what is drawn.
AIR, LUMEN, FOAM, FAT, SKIN, MUSCLE, BLOOD, LIVER = -1000.0, -990.0, -940.0, -100.0, 10.0, 55.0, 42.0, 58.0
MARROW, CORTEX, CARTILAGE, DISC, CORD, BRONCHUS = 210.0, 620.0, 130.0, 85.0, 35.0, -20.0
PARENCHYMA = -876.0
GRAVITY_PER_MM = 0.32  # HU brighter per mm towards the back, patient supine
TIPS = 1500  # tips of one tree in one lung
HILAR_RADIUS = 3.6  # mm; vessels at least this wide belong to the hilum, not to the lung
SMALLEST_BRONCHUS = 1.0  # mm, lumen; finer ones are not resolved by CT
BACK_TO_FRONT = -8.0  # mm, y of the middle of the rib cage
HEART_BOX = ((-130, -70, -120), (90, 120, 50))  # mm, wide enough for every patient
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


@dataclass(frozen=True)
class _Grid:
    """Voxel positions in mm as three broadcastable axes."""

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: Array
    x: Array
    y: Array
    z: Array
    voxel: float

    @classmethod
    def centred(
        cls, shape: tuple[int, int, int], spacing: tuple[float, float, float], middle: Array
    ) -> _Grid:
        """A grid with `middle` (3,), mm, in the middle of its field of view."""
        axes = [(np.arange(n) - (n - 1) / 2) * s + m for n, s, m in zip(shape, spacing, middle, strict=True)]
        x, y, z = (axis.astype(np.float32) for axis in axes)
        origin = np.array([x[0], y[0], z[0]], np.float32)
        voxel = float(np.prod(spacing) ** (1 / 3))
        return cls(shape, spacing, origin, x[:, None, None], y[None, :, None], z[None, None, :], voxel)

    def near(self, low: npt.ArrayLike, high: npt.ArrayLike) -> tuple[_Grid, tuple[slice, slice, slice]]:
        """The part of the grid between two corners in mm, and its place in the whole."""
        place = []
        for axis, a, b in zip((self.x, self.y, self.z), np.asarray(low), np.asarray(high), strict=True):
            first, last = np.searchsorted(axis.ravel(), [a, b])
            place.append(slice(int(first), int(last)))
        i, j, k = place
        x, y, z = self.x[i], self.y[:, j], self.z[:, :, k]
        shape = (x.size, y.size, z.size)
        origin = np.array([x[0, 0, 0], y[0, 0, 0], z[0, 0, 0]], np.float32)
        return _Grid(shape, self.spacing, origin, x, y, z, self.voxel), (i, j, k)

    def inside(self, distance: npt.NDArray[Any]) -> Array:
        """Share of each voxel inside a surface, from signed distances in mm."""
        return np.clip(0.5 - distance / self.voxel, 0, 1)

    def draw(self, tubes: Tubes) -> Array:
        return draw(tubes, self.shape, self.spacing, self.origin)

    def smooth_noise(self, length: float, *, rng: np.random.Generator) -> Array:
        """(X, Y, Z) smooth noise with knots of unit variance `length` mm apart, whatever the spacing."""
        knots = [int(np.ceil(n * s / length)) + 1 for n, s in zip(self.shape, self.spacing, strict=True)]
        coarse = torch.from_numpy(rng.standard_normal(knots, dtype=np.float32))
        fine = torch.nn.functional.interpolate(
            coarse[None, None], size=self.shape, mode="trilinear", align_corners=False
        )
        return np.asarray(fine[0, 0].numpy(), np.float32)


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
    grid = _Grid.centred(shape, spacing, middle)
    p = _draw_patient(patient)
    bumps = grid.smooth_noise(55, rng=patient)

    cavity = 1.6 * bumps + _ellipse(
        grid, _cavity_width(grid.z, p), _cavity_depth(grid.z, p), BACK_TO_FRONT, power=2.5
    )
    ct = _body(grid, p, cavity, rng=patient)
    _bones(grid, p, cavity, ct)
    lung = _lung_distance(grid, p, cavity) - 0.5 * bumps
    _soft_organs(grid, p, cavity, lung, ct)

    parenchyma = PARENCHYMA + p["lung_hu"] - GRAVITY_PER_MM * grid.y + 9 * grid.smooth_noise(18, rng=patient)
    parenchyma = parenchyma + 22 * grid.smooth_noise(4, rng=patient)
    _blend(ct, parenchyma, grid.inside(lung))
    _blend(ct, np.float32(-560), 0.5 * _fissures(grid, p, bumps) * grid.inside(lung + 1))

    bronchi, arteries, veins = _lung_trees(grid, p, lung, rngs=trees)
    main = _main_bronchi(p)
    airway = join(main, *bronchi)
    blood = join(*arteries, *veins)
    near_lung = grid.inside(lung + 1.5)
    vessels = grid.draw(blood)
    hilar = grid.draw(blood.select(blood.radius > HILAR_RADIUS))
    _blend(ct, np.float32(BLOOD), np.maximum(vessels * near_lung, hilar))
    walls = grid.draw(airway.widen(0.5 + 0.18 * airway.radius))
    _blend(ct, np.float32(BRONCHUS), walls * 0.85)
    lumen = grid.draw(airway)
    _blend(ct, np.float32(LUMEN), lumen)

    hilum = np.maximum(hilar, grid.draw(main.widen(2.0)))
    lungs = (lung < 0) & (hilum < 0.5)
    sigma = [BLUR_MM / s for s in spacing]
    ct = ndimage.gaussian_filter(ct, sigma)
    noise = ndimage.gaussian_filter(scanner.standard_normal(shape, dtype=np.float32), (0.7, 0.7, 0.3))
    ct += NOISE_HU * p["noise"] / noise.std() * noise
    np.clip(ct, -1024, 3071, out=ct)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = grid.origin
    vessel_mask = ((vessels * near_lung >= 0.5) | (hilar >= 0.5)) & (walls < 0.5)
    return Chest(ct, lungs, lumen > 0.5, vessel_mask, spacing, affine)


def _draw_patient(rng: np.random.Generator) -> dict[str, float]:
    """Everything that differs between patients, in mm and HU unless said."""
    size = rng.normal(1.0, 0.03)
    dome = rng.normal(-48, 5)
    return {
        "width": 127 * size * rng.normal(1, 0.02),
        "depth": 87 * size * rng.normal(1, 0.03),
        "top": rng.normal(104, 2.5),
        "right_dome": dome,
        "left_dome": dome - rng.uniform(4, 14),
        "fat": rng.uniform(5, 16),
        "heart": rng.normal(1.0, 0.05),
        "heart_turn": rng.normal(0.6, 0.08),  # radians
        "carina": rng.normal(30, 4),
        "rib_phase": rng.uniform(0, 1),
        "lung_hu": rng.normal(0, 14),
        "vessel": rng.normal(1.0, 0.06),
        "noise": rng.uniform(0.7, 1.3),
        "gas": rng.uniform(8, 26),
    }


def _blend(ct: Array, hu: Array | np.float32, share: Array) -> None:
    """Replace `share` of each voxel by `hu`, in place."""
    ct += share * (hu - ct)


def _meet(*distances: npt.NDArray[Any], k: float = 8.0) -> Array:
    """The distance of an intersection with edges rounded over about `k` mm."""
    result: Array = distances[0]
    for other in distances[1:]:
        h = np.maximum(k - np.abs(result - other), 0) / k
        result = np.maximum(result, other) + h * h * (k / 4)
    return result


def _ellipse(
    grid: _Grid,
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


def _ellipsoid(
    grid: _Grid, centre: npt.ArrayLike, radii: npt.ArrayLike, *, turn: float = 0.0, tilt: float = 0.0
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


def _cavity_width(z: Array, p: dict[str, float]) -> Array:
    up = np.clip((z + 25) / (p["top"] + 25), 0, 1.15)
    return np.asarray(p["width"] * (1 - 0.36 * up**2.2), np.float32)


def _cavity_depth(z: Array, p: dict[str, float]) -> Array:
    up = np.clip((z + 40) / (p["top"] + 40), 0, 1.15)
    return np.asarray(p["depth"] * (1 - 0.27 * up**1.8), np.float32)


def _dome(grid: _Grid, p: dict[str, float]) -> Array:
    """Distance above the diaphragm, negative above it."""
    height = np.where(grid.x > 0, p["right_dome"], p["left_dome"])
    u, v = (np.abs(grid.x) - 58) / 74, (grid.y - 14) / 84
    s = u * u + v * v
    surface = height - 46 * s**1.15
    slope = 46 * 1.15 * 2 * np.sqrt((u / 74) ** 2 + (v / 84) ** 2) * s**0.15
    return np.asarray((surface - grid.z) / np.sqrt(1 + slope * slope), np.float32)


def _apex(grid: _Grid, p: dict[str, float]) -> Array:
    """Distance to the cupola of the pleura, negative below it."""
    long = np.where(grid.y < -22, 46, 72).astype(np.float32)  # steep behind, sloping to the front
    u, v = (np.abs(grid.x) - 45) / 50, (grid.y + 22) / long
    surface = p["top"] - 24 * (u * u + v * v)
    slope = 48 * np.sqrt((u / 50) ** 2 + (v / long) ** 2)
    return np.asarray((grid.z - surface) / np.sqrt(1 + slope * slope), np.float32)


def _heart(grid: _Grid, p: dict[str, float]) -> Array:
    h = p["heart"]
    return _ellipsoid(grid, (-22, 24, -36), (72 * h, 51 * h, 50 * h), turn=-p["heart_turn"], tilt=0.35)


def _spine_y(z: Array, p: dict[str, float]) -> Array:
    """The middle of the vertebral bodies, mm: the thoracic spine is hollow to the front."""
    return np.asarray(-0.62 * p["depth"] - 6 + 0.0011 * (z + 10) ** 2, np.float32)


def _lung_distance(grid: _Grid, p: dict[str, float], cavity: Array) -> Array:
    """Distance to the pleura of both lungs."""
    y, z = grid.y, grid.z
    wide = 5 + 21 * np.exp(-(((y + 4) / 36) ** 2)) * (1 / (1 + np.exp((-z - 30) / 14)))
    hila = 13 * np.exp(-(((z - p["carina"] + 20) / 24) ** 2) - ((y + 12) / 20) ** 2)
    between = wide + hila - np.abs(grid.x + 1.5)
    spine = -_ellipse(grid, 25.0, 26.0, _spine_y(z, p) - 3)
    aorta = -_ellipse(grid, 14.5, 14.5, _spine_y(z, p) + 20, x=-22) - np.maximum(z - p["carina"] - 4, 0)
    lung = _meet(cavity + 1, between, spine, aorta, _dome(grid, p), _apex(grid, p), -grid.z - 112)
    box, place = grid.near(*HEART_BOX)
    lung[place] = _meet(lung[place], -_heart(box, p))
    return lung


def _body(grid: _Grid, p: dict[str, float], cavity: Array, *, rng: np.random.Generator) -> Array:
    """Air, couch, skin, fat, the muscles of the wall and the fat of the mediastinum, (X, Y, Z) in HU."""
    shoulders = 14 / (1 + np.exp(-(grid.z - 62) / 12))
    half_width = p["width"] + 23 + p["fat"] + shoulders
    half_depth = p["depth"] + 22 + p["fat"]
    slope = p["depth"] - _cavity_depth(grid.z, p)  # the breastbone leans back towards the neck
    skin = _ellipse(grid, half_width, half_depth - 0.6 * slope, -9.0 - 0.4 * slope, power=2.3)
    ct = np.full(grid.shape, AIR, np.float32)
    couch = -12.0 - half_depth + grid.x**2 / 1100 - grid.y
    for face, hu in ((1.5 - np.abs(couch - 1.5), -180.0), (9 - np.abs(couch - 12), FOAM)):
        _blend(ct, np.float32(hu), grid.inside(np.maximum(-face, np.abs(grid.x) - 215)))
    _blend(ct, np.float32(SKIN), grid.inside(skin))
    _blend(ct, np.float32(FAT), grid.inside(skin + 2.2))
    plane = grid.smooth_noise(30, rng=rng)
    _blend(ct, np.float32(MUSCLE), grid.inside(skin + 2.2 + p["fat"] + 1.5 * plane))
    between_muscles = np.maximum(np.abs(plane) * 22 - 2.4, 9 - cavity)
    _blend(ct, np.float32(FAT), grid.inside(np.maximum(between_muscles, skin + 4)))
    _blend(ct, np.float32(FAT + 8), grid.inside(cavity))
    return ct


def _bones(grid: _Grid, p: dict[str, float], cavity: Array, ct: Array) -> None:
    """Draw ribs with their cartilage, spine, sternum and shoulder blades into `ct`, in place."""
    angle = np.arctan2(np.abs(grid.x), BACK_TO_FRONT - grid.y) / np.pi  # 0 at the spine, 1 at the sternum
    pitch = 23.0
    turn = (grid.z + 100 * angle) / pitch + p["rib_phase"]
    across = (turn - np.rint(turn)) * pitch * 0.86 / 6.5
    rib = (np.sqrt(across**2 + ((cavity - 5.5) / 3.6) ** 2) - 1) * 4
    rib = np.maximum(rib, grid.z - p["top"] + 2)
    bony = np.clip((0.80 - angle) / 0.03, 0, 1)
    ends = np.maximum(rib, (grid.z < -35) * (angle - 0.78) * 300)
    share = grid.inside(ends)
    _blend(ct, CARTILAGE + bony * (CORTEX - CARTILAGE), share)
    _blend(ct, CARTILAGE + bony * (MARROW - CARTILAGE), grid.inside(ends + 1.9))

    front = _cavity_depth(grid.z, p) + BACK_TO_FRONT + 7
    sternum = _meet(np.abs(grid.x) - 17, np.abs(grid.y - front) - 5.5, -grid.z - 42, grid.z - 78, k=4.0)
    _blend(ct, np.float32(CORTEX * 0.6), grid.inside(sternum))
    _blend(ct, np.float32(MARROW * 0.7), grid.inside(sternum + 1.6))
    for side in (-1, 1):
        centre = (side * (p["width"] * 0.80), -p["depth"] * 0.78 - 12, 82)
        blade = _ellipsoid(grid, centre, (34, 4, 62), turn=side * 0.75)
        _blend(ct, np.float32(CORTEX * 0.7), grid.inside(np.maximum(blade, 12 - cavity)))
    whole, (grid, place) = ct, grid.near((-46, -200, -300), (46, 0, 300))
    ct = whole[place]

    y = _spine_y(grid.z, p)
    level = (grid.z + 400) / 24 + p["rib_phase"]
    disc = (np.abs(level - np.rint(level)) * 24).astype(np.float32)
    body = _ellipse(grid, 16.5 - 0.03 * grid.z - 1.5 * disc / 12, 14.5 - 0.02 * grid.z, y)
    arch = np.abs(_ellipse(grid, 12.5, 11.0, y - 22)) - 3.2
    process = np.maximum(np.abs(grid.x) - 3.5 - 0.03 * disc, np.abs(grid.y - y + 44) - 14)
    process = np.maximum(process, 4.0 - disc)
    wing = np.sqrt((grid.y - y + 27 + 0.25 * np.abs(grid.x)) ** 2 + (disc - 6) ** 2) - 5.0
    wing = np.maximum(wing, np.abs(grid.x) - 34)
    _blend(ct, np.float32(MUSCLE), grid.inside(_ellipse(grid, 36.0, 20.0, y - 38)))
    _blend(ct, np.float32(CORTEX * 0.8), grid.inside(np.minimum(np.minimum(arch, process), wing)))
    _blend(ct, np.float32(MARROW), grid.inside(np.minimum(process, wing) + 1.8))
    _blend(ct, np.float32(CORTEX * 0.8), grid.inside(body))
    _blend(ct, np.float32(MARROW), grid.inside(np.maximum(body + 1.6, 4.2 - disc)))
    _blend(ct, np.float32(DISC), grid.inside(np.maximum(body, disc - 2.6)))
    _blend(ct, np.float32(CORD), grid.inside(_ellipse(grid, 9.5, 8.0, y - 22)))


def _soft_organs(grid: _Grid, p: dict[str, float], cavity: Array, lung: Array, ct: Array) -> None:
    """Draw heart, great vessels, gullet, diaphragm, liver, spleen and stomach into `ct`, in place."""
    up = p["carina"] - 30
    dome = _dome(grid, p)
    below = np.maximum(cavity, 2.0 - dome)
    _blend(ct, np.float32(MUSCLE), grid.inside(np.maximum(cavity, -dome)))
    _blend(ct, np.float32(FAT), grid.inside(np.maximum(below + 1, grid.x + 12)))
    _blend(ct, np.float32(LIVER), grid.inside(_meet(below, -25 - 0.4 * (grid.y - 20) - grid.x, k=12)))
    spleen = _ellipsoid(grid, (-86, -36, p["left_dome"] - 34), (34, 40, 36))
    stomach = _ellipsoid(grid, (-52, 24, p["left_dome"] - 34), (44, 38, 32))
    _blend(ct, np.float32(BLOOD + 6), grid.inside(np.maximum(spleen, below)))
    _blend(ct, np.float32(BLOOD), grid.inside(np.maximum(stomach, below + 1)))
    gas = np.maximum(np.maximum(stomach + 5, below + 5), 58 - p["gas"] - grid.y)
    _blend(ct, np.float32(AIR), grid.inside(gas))

    box, place = grid.near(*HEART_BOX)
    _blend(ct[place], np.float32(BLOOD), box.inside(_heart(box, p) + 3.0))
    back = float(_spine_y(np.zeros(1, np.float32), p)[0]) + 20
    down = np.arange(44, -140, -20, dtype=np.float32)
    tubes = join(
        polyline(
            [(-2, 20, -10), (14, 18, 22), (14, 8, 50), (2, -8, 64), (-15, -26, 60), (-22, back, 44)], 14.5
        ),
        polyline(np.stack([np.full_like(down, -22), _spine_y(down, p) + 20, down], 1), 12.5),
        polyline([(25, 6, 72), (26, 2, 0)], 9.0),
        polyline([(-22, 14, 84), (24, 8, 72)], 6.0),
        polyline([(8, -2, 64), (14, -2, 120)], 6.5),
        polyline([(-4, -8, 66), (-9, -6, 120)], 4.5),
        polyline([(-14, -18, 64), (-24, -18, 120)], 5.5),
        polyline([(-16, 32, -10), (-18, 10, 18)], 14.0),
        polyline([(-16, 8, 16), (34, -8, 12)], 9.5),
        polyline([(-18, 10, 18), (-36, -12, 20)], 9.5),
        polyline([(-24, -6, -24), (-2, -8, -16), (22, -8, -22)], 15.0),
        polyline([(-2, -24, 120), (-2, -30, 20), (-8, -28, -120)], 6.5),
    )
    lift = np.array([0, 0, up], np.float32)
    tubes = Tubes(tubes.start + lift, tubes.end + lift, tubes.radius)
    _blend(ct, np.float32(BLOOD), grid.draw(tubes))
    _blend(ct, np.float32(BLOOD), grid.inside(np.abs(lung - 0.4) - 0.5) * 0.6)  # the pleura's own thin line


def _oblique(x: Array, y: Array, z: Array) -> Array:
    """Distance above the oblique fissure of the lung on this side."""
    return np.asarray((z + 8 + 0.95 * (y + 4) + 0.0012 * (np.abs(x) - 60) ** 2) / 1.38, np.float32)


def _horizontal(x: Array, y: Array, z: Array, p: dict[str, float]) -> Array:
    """Distance above the horizontal fissure of the right lung."""
    return np.asarray(z - p["carina"] + 32 + 0.1 * y + 0.0016 * (x - 70) ** 2, np.float32)


def _fissures(grid: _Grid, p: dict[str, float], bumps: Array) -> Array:
    """Share of each voxel taken by the interlobar fissures, sheets about a millimetre thick."""
    oblique = _oblique(grid.x, grid.y, grid.z) + 3 * bumps
    horizontal = _horizontal(grid.x, grid.y, grid.z, p) + 4 * bumps
    sheet = np.maximum(np.abs(horizontal), np.maximum(-oblique, -grid.x))
    nearest = np.minimum(np.abs(oblique), sheet)
    return np.asarray(np.clip(1 - nearest / grid.voxel, 0, 1) * min(1.0, 1.0 / grid.voxel), np.float32)


def _hilum(side: int, p: dict[str, float]) -> tuple[float, float, float]:
    """Where the main bronchus enters the lung; side 1 is the right."""
    return (34.0, -14.0, p["carina"] - 17) if side > 0 else (-36.0, -16.0, p["carina"] - 14)


def _main_bronchi(p: dict[str, float]) -> Tubes:
    """Trachea and main bronchi."""
    carina = (1.0, -18.0, p["carina"])
    return join(
        polyline([(2.0, -6.0, 140.0), carina], 8.5),
        polyline([carina, _hilum(1, p)], 6.6),
        polyline([carina, _hilum(-1, p)], 5.8),
    )


def _lung_trees(
    grid: _Grid, p: dict[str, float], lung: Array, *, rngs: list[np.random.Generator]
) -> tuple[list[Tubes], list[Tubes], list[Tubes]]:
    """Bronchi (lumen), arteries beside them, and veins between, of both lungs."""
    bronchi, arteries, veins = [], [], []
    for side, (rng, vein_rng) in zip((1, -1), (rngs[:2], rngs[2:]), strict=True):
        tree = _supply(grid, p, lung, side, _hilum(side, p), rng=rng)
        bronchi.append(tree.tubes(4.8, smallest=SMALLEST_BRONCHUS))
        beside = np.array([0.9 * side, 1.4, 1.4], np.float32)
        arteries.append(tree.tubes(6.2 * p["vessel"], beside=beside))
        atrium = (30.0 * side, -6.0, p["carina"] - 46)
        veins.append(_supply(grid, p, lung, side, atrium, rng=vein_rng).tubes(6.2 * p["vessel"]))
    return bronchi, arteries, veins


def _supply(
    grid: _Grid,
    p: dict[str, float],
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
    inside = (lung[tuple(index.T)] < -3.5) & (point[:, 0] * side > 0)
    tips = point[inside][:TIPS]
    x, y, z = tips.T
    upper = _oblique(x, y, z) > 0
    middle = upper & (_horizontal(x, y, z, p) < 0) & (side > 0)
    _, lobes = np.unique(upper + middle.astype(int), return_inverse=True)
    return grow_tree(root, tips, lobes, rng=rng)
