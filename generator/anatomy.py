"""The anatomy round the lungs of a synthetic chest: body wall, bones, heart, great vessels and upper abdomen.

Drawn in HU from signed distances in mm, the same patient on any grid; `p` is the patient throughout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from generator.distances import Grid, ellipse, ellipsoid, meet
from generator.vessels import Tubes, join, polyline

Array = npt.NDArray[np.float32]

# HU of what is drawn.
AIR, FOAM, FAT, SKIN, MUSCLE, BLOOD, LIVER = -1000.0, -940.0, -100.0, 10.0, 55.0, 42.0, 58.0
MARROW, CORTEX, CARTILAGE, DISC, CORD = 210.0, 620.0, 130.0, 85.0, 35.0
BACK_TO_FRONT = -8.0  # mm, y of the middle of the rib cage
HEART_BOX = ((-130, -70, -120), (90, 120, 50))  # mm, wide enough for every patient
SPINE_BOX = ((-46, -200, -300), (46, 0, 300))  # mm


@dataclass(frozen=True)
class Patient:
    """What differs between patients; places are in the chest's own coordinates (`generator.distances`).

    Attributes:
        width: half the width of the rib cage's inside at its base, mm.
        depth: half its depth there, mm.
        top: z of the lungs' tops, mm.
        right_dome: z of the right dome of the diaphragm, mm.
        left_dome: z of the left one, mm.
        fat: thickness of the fat under the skin, mm.
        heart: the heart's size, a factor.
        heart_turn: the heart's turn round the body's axis, radians.
        carina: z of the carina, mm.
        rib_phase: where ribs and vertebrae begin, in [0, 1] of the distance between two.
        lung_hu: how much brighter the lungs are than most, HU.
        vessel: the width of the lungs' vessels, a factor.
        noise: the scanner's noise, a factor.
        gas: depth of the gas at the front of the stomach, mm.
    """

    width: float
    depth: float
    top: float
    right_dome: float
    left_dome: float
    fat: float
    heart: float
    heart_turn: float
    carina: float
    rib_phase: float
    lung_hu: float
    vessel: float
    noise: float
    gas: float


def draw_patient(rng: np.random.Generator) -> Patient:
    """Draw everything that differs between patients."""
    size = rng.normal(1.0, 0.03)
    dome = rng.normal(-48, 5)
    return Patient(  # The order is that of the draws.
        width=127 * size * rng.normal(1, 0.02),
        depth=87 * size * rng.normal(1, 0.03),
        top=rng.normal(104, 2.5),
        right_dome=dome,
        left_dome=dome - rng.uniform(4, 14),
        fat=rng.uniform(5, 16),
        heart=rng.normal(1.0, 0.05),
        heart_turn=rng.normal(0.6, 0.08),
        carina=rng.normal(30, 4),
        rib_phase=rng.uniform(0, 1),
        lung_hu=rng.normal(0, 14),
        vessel=rng.normal(1.0, 0.06),
        noise=rng.uniform(0.7, 1.3),
        gas=rng.uniform(8, 26),
    )


def blend(ct: Array, hu: Array | np.float32, share: Array) -> None:
    """Replace `share` of each voxel by `hu`, in place."""
    ct += share * (hu - ct)


def cavity_distance(grid: Grid, p: Patient, bumps: Array) -> Array:
    """Distance to the inner face of the rib cage, open above and below, made uneven by `bumps` (X, Y, Z)."""
    column = ellipse(grid, _cavity_width(grid.z, p), _cavity_depth(grid.z, p), BACK_TO_FRONT, power=2.5)
    return np.asarray(1.6 * bumps + column, np.float32)


def _cavity_width(z: Array, p: Patient) -> Array:
    up = np.clip((z + 25) / (p.top + 25), 0, 1.15)
    return np.asarray(p.width * (1 - 0.36 * up**2.2), np.float32)


def _cavity_depth(z: Array, p: Patient) -> Array:
    up = np.clip((z + 40) / (p.top + 40), 0, 1.15)
    return np.asarray(p.depth * (1 - 0.27 * up**1.8), np.float32)


def dome_distance(grid: Grid, p: Patient) -> Array:
    """Distance to the diaphragm, negative above it."""
    height = np.where(grid.x > 0, p.right_dome, p.left_dome)
    u, v = (np.abs(grid.x) - 58) / 74, (grid.y - 14) / 84
    s = u * u + v * v
    surface = height - 46 * s**1.15
    slope = 46 * 1.15 * 2 * np.sqrt((u / 74) ** 2 + (v / 84) ** 2) * s**0.15
    return np.asarray((surface - grid.z) / np.sqrt(1 + slope * slope), np.float32)


def heart_distance(grid: Grid, p: Patient) -> Array:
    """Distance to the heart in its sac."""
    h = p.heart
    return ellipsoid(grid, (-22, 24, -36), (72 * h, 51 * h, 50 * h), turn=-p.heart_turn, tilt=0.35)


def spine_middle(z: Array, p: Patient) -> Array:
    """The middle of the vertebral bodies, mm: the thoracic spine is hollow to the front."""
    return np.asarray(-0.62 * p.depth - 6 + 0.0011 * (z + 10) ** 2, np.float32)


def draw_body(grid: Grid, p: Patient, cavity: Array, *, rng: np.random.Generator) -> Array:
    """Draw air, couch, skin, fat, muscles of the wall and fat of the mediastinum: a new CT (X, Y, Z), HU."""
    shoulders = 14 / (1 + np.exp(-(grid.z - 62) / 12))
    half_width = p.width + 23 + p.fat + shoulders
    half_depth = p.depth + 22 + p.fat
    slope = p.depth - _cavity_depth(grid.z, p)  # the breastbone leans back towards the neck
    skin = ellipse(grid, half_width, half_depth - 0.6 * slope, -9.0 - 0.4 * slope, power=2.3)
    ct = np.full(grid.shape, AIR, np.float32)
    couch = -12.0 - half_depth + grid.x**2 / 1100 - grid.y
    for face, hu in ((1.5 - np.abs(couch - 1.5), -180.0), (9 - np.abs(couch - 12), FOAM)):
        blend(ct, np.float32(hu), grid.inside(np.maximum(-face, np.abs(grid.x) - 215)))
    blend(ct, np.float32(SKIN), grid.inside(skin))
    blend(ct, np.float32(FAT), grid.inside(skin + 2.2))
    plane = grid.smooth_noise(30, rng=rng)
    blend(ct, np.float32(MUSCLE), grid.inside(skin + 2.2 + p.fat + 1.5 * plane))
    between_muscles = np.maximum(np.abs(plane) * 22 - 2.4, 9 - cavity)
    blend(ct, np.float32(FAT), grid.inside(np.maximum(between_muscles, skin + 4)))
    blend(ct, np.float32(FAT + 8), grid.inside(cavity))
    return ct


def draw_rib_cage(grid: Grid, p: Patient, cavity: Array, ct: Array) -> None:
    """Draw ribs with their cartilage, sternum and shoulder blades into `ct`, in place."""
    angle = np.arctan2(np.abs(grid.x), BACK_TO_FRONT - grid.y) / np.pi  # 0 at the spine, 1 at the sternum
    pitch = 23.0
    turn = (grid.z + 100 * angle) / pitch + p.rib_phase
    across = (turn - np.rint(turn)) * pitch * 0.86 / 6.5
    rib = (np.sqrt(across**2 + ((cavity - 5.5) / 3.6) ** 2) - 1) * 4
    rib = np.maximum(rib, grid.z - p.top + 2)
    bony = np.clip((0.80 - angle) / 0.03, 0, 1)
    ends = np.maximum(rib, (grid.z < -35) * (angle - 0.78) * 300)
    share = grid.inside(ends)
    blend(ct, CARTILAGE + bony * (CORTEX - CARTILAGE), share)
    blend(ct, CARTILAGE + bony * (MARROW - CARTILAGE), grid.inside(ends + 1.9))

    front = _cavity_depth(grid.z, p) + BACK_TO_FRONT + 7
    sternum = meet(np.abs(grid.x) - 17, np.abs(grid.y - front) - 5.5, -grid.z - 42, grid.z - 78, k=4.0)
    blend(ct, np.float32(CORTEX * 0.6), grid.inside(sternum))
    blend(ct, np.float32(MARROW * 0.7), grid.inside(sternum + 1.6))
    for side in (-1, 1):
        centre = (side * (p.width * 0.80), -p.depth * 0.78 - 12, 82)
        blade = ellipsoid(grid, centre, (34, 4, 62), turn=side * 0.75)
        blend(ct, np.float32(CORTEX * 0.7), grid.inside(np.maximum(blade, 12 - cavity)))


def draw_spine(grid: Grid, p: Patient, ct: Array) -> None:
    """Draw vertebrae, discs and spinal cord, with the muscles beside them, into `ct`, in place."""
    box, place = grid.near(*SPINE_BOX)
    near = ct[place]
    y = spine_middle(box.z, p)
    level = (box.z + 400) / 24 + p.rib_phase
    disc = (np.abs(level - np.rint(level)) * 24).astype(np.float32)
    body = ellipse(box, 16.5 - 0.03 * box.z - 1.5 * disc / 12, 14.5 - 0.02 * box.z, y)
    arch = np.abs(ellipse(box, 12.5, 11.0, y - 22)) - 3.2
    process = np.maximum(np.abs(box.x) - 3.5 - 0.03 * disc, np.abs(box.y - y + 44) - 14)
    process = np.maximum(process, 4.0 - disc)
    wing = np.sqrt((box.y - y + 27 + 0.25 * np.abs(box.x)) ** 2 + (disc - 6) ** 2) - 5.0
    wing = np.maximum(wing, np.abs(box.x) - 34)
    blend(near, np.float32(MUSCLE), box.inside(ellipse(box, 36.0, 20.0, y - 38)))
    blend(near, np.float32(CORTEX * 0.8), box.inside(np.minimum(np.minimum(arch, process), wing)))
    blend(near, np.float32(MARROW), box.inside(np.minimum(process, wing) + 1.8))
    blend(near, np.float32(CORTEX * 0.8), box.inside(body))
    blend(near, np.float32(MARROW), box.inside(np.maximum(body + 1.6, 4.2 - disc)))
    blend(near, np.float32(DISC), box.inside(np.maximum(body, disc - 2.6)))
    blend(near, np.float32(CORD), box.inside(ellipse(box, 9.5, 8.0, y - 22)))


def draw_soft_organs(grid: Grid, p: Patient, cavity: Array, lung: Array, ct: Array) -> None:
    """Draw heart, great vessels, gullet, diaphragm, liver, spleen and stomach into `ct`, in place."""
    up = p.carina - 30
    dome = dome_distance(grid, p)
    below = np.maximum(cavity, 2.0 - dome)
    blend(ct, np.float32(MUSCLE), grid.inside(np.maximum(cavity, -dome)))
    blend(ct, np.float32(FAT), grid.inside(np.maximum(below + 1, grid.x + 12)))
    blend(ct, np.float32(LIVER), grid.inside(meet(below, -25 - 0.4 * (grid.y - 20) - grid.x, k=12)))
    spleen = ellipsoid(grid, (-86, -36, p.left_dome - 34), (34, 40, 36))
    stomach = ellipsoid(grid, (-52, 24, p.left_dome - 34), (44, 38, 32))
    blend(ct, np.float32(BLOOD + 6), grid.inside(np.maximum(spleen, below)))
    blend(ct, np.float32(BLOOD), grid.inside(np.maximum(stomach, below + 1)))
    gas = np.maximum(np.maximum(stomach + 5, below + 5), 58 - p.gas - grid.y)
    blend(ct, np.float32(AIR), grid.inside(gas))

    box, place = grid.near(*HEART_BOX)
    blend(ct[place], np.float32(BLOOD), box.inside(heart_distance(box, p) + 3.0))
    back = float(spine_middle(np.zeros(1, np.float32), p)[0]) + 20
    down = np.arange(44, -140, -20, dtype=np.float32)
    tubes = join(
        polyline(
            [(-2, 20, -10), (14, 18, 22), (14, 8, 50), (2, -8, 64), (-15, -26, 60), (-22, back, 44)], 14.5
        ),
        polyline(np.stack([np.full_like(down, -22), spine_middle(down, p) + 20, down], 1), 12.5),
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
    blend(ct, np.float32(BLOOD), grid.draw(tubes))
    blend(ct, np.float32(BLOOD), grid.inside(np.abs(lung - 0.4) - 0.5) * 0.6)  # the pleura's own thin line
