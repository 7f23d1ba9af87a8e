"""Which voxels of a lung mask are the right lung and which the left."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from normnet.boxes import boxes_round
from normnet.coarse_grid import block_factors, block_mean, on_voxels
from normnet.surroundings import NoLungsError, body_tissue

__all__ = ["sides_in_ct", "split_sides"]

WORKING_MM = 3.0
"""Grid on which the two lungs are told apart, mm: only the seam between joined lungs is drawn so coarsely."""

MAX_EROSION_MM = 24.0
"""Depth to which a joined mask is eroded in search of two lungs, mm."""

EROSION_STEP_MM = 2.0
"""Step of that search, mm."""

MIN_SHARE = 0.15
"""The smaller lung holds at least this share of the eroded mask; less is a fragment."""

MIN_SEPARATION = 0.3
"""Two lungs lie at least this share of the mask's width apart in x; less is two pieces of one lung."""


BODY_MM = 4.0
"""Grid on which the body's midline is found, mm."""


def sides_in_ct(ct: np.ndarray, lungs: np.ndarray, spacing: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Splits a lung mask as `split_sides` does; a single lung by where the body in the field has its middle.

    A field cut to one lung holds more of the body on the side of the heart than of the chest wall.

    Args:
        ct: (X, Y, Z), HU, RAS.
        lungs: (X, Y, Z) bool.
        spacing: voxel size along X, Y, Z in mm.

    Returns:
        (left, right), (X, Y, Z) bool, without overlap.
    """
    left, right = split_sides(lungs, spacing)
    if (left.any() and right.any()) or not lungs.any():
        return left, right
    factors, size = block_factors(spacing, BODY_MM)
    try:
        body = body_tissue(block_mean(ct, factors), size)
    except NoLungsError:  # no body: a mask from a file may lie anywhere
        return left, right
    middle = (ndimage.center_of_mass(body)[0] + 0.5) * factors[0] - 0.5
    return split_sides(lungs, spacing, midline=float(middle))


def split_sides(
    lungs: np.ndarray, spacing: Sequence[float], *, midline: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Splits a lung mask into the left and the right lung, which together are the mask.

    The mask is eroded until its two largest parts lie side by side; each voxel then goes to the nearer of
    them, so that lungs joined in front of the heart are cut where they touch. A mask that never falls in two
    holds one lung: it goes to the side of the body's midline on which its centre lies.

    Args:
        lungs: (X, Y, Z) bool, RAS: x grows to the patient's right.
        spacing: voxel size along X, Y, Z in mm.
        midline: x index of the body's midline, for a single lung; without it the middle of the field, where
            the scanned patient lies.

    Returns:
        (left, right), (X, Y, Z) bool, without overlap.
    """
    lungs = np.asarray(lungs, dtype=bool)
    left, right = np.zeros_like(lungs), np.zeros_like(lungs)
    if not lungs.any():
        return left, right
    (box,) = boxes_round(lungs)
    inside = lungs[box]
    steps = [max(1, round(WORKING_MM / size)) for size in spacing]
    coarse = inside[:: steps[0], :: steps[1], :: steps[2]]
    sides = _nearer_lung(coarse, [step * size for step, size in zip(steps, spacing, strict=True)])
    if sides is None:
        centre = box[0].start + ndimage.center_of_mass(inside)[0]
        middle = (lungs.shape[0] - 1) / 2 if midline is None else midline
        (right if centre > middle else left)[...] = lungs
        return left, right
    nearer_right = on_voxels(sides, steps, inside.shape)
    left[box] = inside & ~nearer_right
    right[box] = inside & nearer_right
    return left, right


def _nearer_lung(mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray | None:
    """Where the right lung is the nearer one: (X, Y, Z) bool; None when the mask holds one lung."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    for eroded_mm in np.arange(0.0, MAX_EROSION_MM, EROSION_STEP_MM):
        labels, count = ndimage.label(depth > eroded_mm)
        if count < 2:
            continue
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        pair = [int(label) for label in np.argsort(sizes)[-2:]]
        centres = [centre[0] for centre in ndimage.center_of_mass(mask, labels, pair)]
        apart = abs(centres[0] - centres[1]) >= MIN_SEPARATION * mask.shape[0]
        if apart and sizes[pair].min() >= MIN_SHARE * sizes.sum():
            left, right = pair if centres[0] < centres[1] else pair[::-1]
            to_left, to_right = (
                ndimage.distance_transform_edt(labels != label, sampling=spacing) for label in (left, right)
            )
            return to_right < to_left
    return None
