"""The failures that the paper names, made on purpose: a healthy CT with synthetic lesions, as a poorer scan has it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from altered_scans import average_slices
from ct_with_lungs import ct_with_lungs
from scipy import ndimage
from scipy.spatial import KDTree
from synthetic_slabs import synthesize_in_slabs

from generator import PAPER, SynthesisSpec
from normnet.intensity import HU_WINDOW, scale_window
from normnet.thorax import MODEL_SPACING

__all__ = ["SITUATIONS", "Scan", "Situation", "healthy_scan", "with_lesions"]

THICK_SLICES = 5
"""Slices of the model's grid, 1 mm, that one thick slice averages."""

NOISE_HU = 60.0
"""Standard deviation of a low-dose scan's noise over the scan's own, HU."""

CYST_MM, WALL_MM, WALL_HU, AIR_HU = 6.0, 1.5, -100.0, -950.0
"""Honeycombs: size of a cyst, thickness of its wall, density of both."""

HONEYCOMB_DEPTH_MM = 15.0
"""How far below the pleura they reach."""

PATCH_MM = 15.0
"""Standard deviation of the noise that has honeycombs under half of the pleura only."""

BREATHED_OUT_HU, BACK_TO_FRONT = 120.0, (1.6, 0.4)
"""Breathing out: how much denser the air-filled lung gets, and which multiple of it at the back and at the front."""

SEED = 11
MARGIN = 10
"""Voxels kept round the lungs."""


@dataclass(frozen=True)
class Scan:
    """A CT with its lungs and the truth, on one grid.

    Attributes:
        ct: (X, Y, Z) float32, HU.
        lungs: (X, Y, Z) bool.
        lesions: (X, Y, Z) bool.
        spacing: voxel size, mm.
    """

    ct: np.ndarray
    lungs: np.ndarray
    lesions: np.ndarray
    spacing: tuple[float, float, float]


@dataclass(frozen=True)
class Situation:
    """One failure: which lesions there are, and what the scanner makes of them.

    Attributes:
        lesions: what the generator draws from.
        scanned: changes the scan, or None.
    """

    lesions: SynthesisSpec = PAPER
    scanned: Callable[[Scan], Scan] | None = None


def thick(scan: Scan) -> Scan:
    """Averages slices to thick ones; masks by majority."""
    ct, lungs, lesions = (
        average_slices(volume, THICK_SLICES) for volume in (scan.ct, scan.lungs, scan.lesions)
    )
    spacing = (*scan.spacing[:2], scan.spacing[2] * THICK_SLICES)
    return Scan(ct, lungs > 0.5, lesions > 0.5, spacing)


def padded(scan: Scan) -> Scan:
    """Repeats thick slices until the volume has its old number of slices."""
    few = thick(scan)
    ct, lungs, lesions = (np.repeat(part, THICK_SLICES, axis=2) for part in (few.ct, few.lungs, few.lesions))
    return Scan(ct, lungs, lesions, scan.spacing)


def noisy(scan: Scan) -> Scan:
    """Adds the noise of a low dose."""
    noise = np.random.default_rng(SEED).normal(0, NOISE_HU, scan.ct.shape)
    return replace(scan, ct=(scan.ct + noise).astype(np.float32))


def breathed_out(scan: Scan) -> Scan:
    """Takes air out of the lungs, at the back, on which the patient lies, more than at the front."""
    ((_, y, _),) = ndimage.find_objects(scan.lungs.astype(np.uint8))
    denser = BREATHED_OUT_HU * np.interp(np.arange(scan.ct.shape[1]), (y.start, y.stop - 1), BACK_TO_FRONT)
    air = np.clip(-scan.ct / 1000, 0, 1)
    return replace(scan, ct=np.where(scan.lungs, scan.ct + denser[:, None] * air, scan.ct).astype(np.float32))


def fibrotic(scan: Scan) -> Scan:
    """Puts the honeycombs of old fibrosis under half of the pleura."""
    rng = np.random.default_rng(SEED)
    noise = ndimage.gaussian_filter(rng.standard_normal(scan.ct.shape), np.divide(PATCH_MM, scan.spacing))
    depth = ndimage.distance_transform_edt(scan.lungs, sampling=scan.spacing)
    where = scan.lungs & (depth < HONEYCOMB_DEPTH_MM) & (noise > 0)
    walls = ndimage.gaussian_filter(cyst_walls(where, scan.spacing, rng), 0.5)  # partial volumes
    honeycombs = AIR_HU + walls * (WALL_HU - AIR_HU)
    return replace(scan, ct=np.where(where, np.maximum(scan.ct, honeycombs), scan.ct))


def cyst_walls(
    where: np.ndarray, spacing: tuple[float, float, float], rng: np.random.Generator
) -> np.ndarray:
    """Draws the walls between cysts, one round each point of a shaken lattice (Voronoi): float32, 1 in a wall.

    Args:
        where: (X, Y, Z) bool, the voxels asked for; 0 elsewhere.
        spacing: voxel size, mm.
        rng: of the points.
    """
    lattice = np.argwhere(np.ones(np.ceil(np.multiply(where.shape, spacing) / CYST_MM).astype(int)))
    points = CYST_MM * (lattice + rng.random(lattice.shape))
    distance, nearest = KDTree(points).query(np.argwhere(where) * spacing, k=2)
    apart = np.linalg.norm(points[nearest[:, 0]] - points[nearest[:, 1]], axis=1)
    from_middle = (distance[:, 1] ** 2 - distance[:, 0] ** 2) / (2 * apart)
    walls = np.zeros(where.shape, dtype=np.float32)
    walls[where] = from_middle < WALL_MM / 2
    return walls


FAINT = replace(PAPER, brightness=(0.3, 0.4))
"""Mean intensity of a lesion's bright part about tau: -530 to -440 HU."""

TINY = replace(PAPER, small_count=(30, 30), small_radius=(2, 4), medium_count=(0, 0), large_probability=0.0)
"""Lesions of 3 to 7 mm."""

SITUATIONS = {
    "as it is": Situation(),
    "thick slices, 5 mm": Situation(scanned=thick),
    "padded slices": Situation(scanned=padded),
    "noise, 60 HU": Situation(scanned=noisy),
    "faint lesions": Situation(FAINT),
    "tiny lesions": Situation(TINY),
    "fibrosis, honeycombs": Situation(scanned=fibrotic),
    "breathed out": Situation(scanned=breathed_out),
}


def healthy_scan(path: str) -> Scan:
    """Reads a healthy CT onto the model's grid, cut to its lungs by thresholds; no lesions."""
    ct, lungs, _ = ct_with_lungs(path, MODEL_SPACING)
    (box,) = ndimage.find_objects(lungs.astype(np.uint8))
    box = tuple(slice(max(0, side.start - MARGIN), side.stop + MARGIN) for side in box)
    return Scan(
        np.ascontiguousarray(ct[box]),
        np.ascontiguousarray(lungs[box]),
        np.zeros_like(lungs[box]),
        MODEL_SPACING,
    )


def with_lesions(scan: Scan, spec: SynthesisSpec) -> Scan:
    """Puts synthetic lesions into every slab of a healthy scan, in HU; the same ones each time.

    Args:
        scan: on the model's grid.
        spec: what to draw from.
    """
    low, high = HU_WINDOW
    lungs = torch.from_numpy(scan.lungs)
    ill, lesions = synthesize_in_slabs(
        scale_window(torch.from_numpy(scan.ct)) * lungs,
        lungs,
        rng=torch.Generator().manual_seed(SEED),
        spec=spec,
    )
    ct = np.where(lesions, low + ill.numpy() * (high - low), scan.ct)
    return replace(scan, ct=ct, lesions=lesions.numpy())
