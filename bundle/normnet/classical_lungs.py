"""The lungs by thresholds and connected components, from the volume at hand alone."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from normnet.boxes import boxes_round, widened
from normnet.coarse_grid import block_factors, block_mean, dilate_by_ball, erode_by_ball, on_voxels, voxels_of
from normnet.intensity import BRIGHT_HU
from normnet.lung_sides import split_sides
from normnet.surroundings import TISSUE_HU, NoLungsError, Surroundings

__all__ = ["DISEASE_HU", "segment"]

WORKING_MM = 2.0
"""Voxel size of the grid on which components are told apart, mm; finer than that is not upsampled."""

BORDER_HU = BRIGHT_HU
"""At its border the lung reaches to this value, HU: a brighter rim is the chest wall's partial volume."""

GAS_HU = -970.0
"""A component whose median lies below it is gas in stomach or bowel, HU."""

MIN_LUNG_ML = 100.0
"""Least volume of a lung, mL: the lungs of an infant of some months, or a good part of one adult lung."""

MIN_SHARE = 0.02
"""Lung components hold at least this share of the largest one."""

MIN_ENCLOSED = 2.0
"""Directions of four (left, right, front, back) in which a lung meets the body on average; a couch, fewer."""

MORE_OPEN = 0.5
"""Of the four directions, so many more lead a lung's voxels past the body to outside air than the largest lung's, on
average; those of air under clothes, one or two more."""

VESSEL_MM = 4.0
"""Radius of the closing that takes in vessels: those thicker than twice this, at the hilum, stay out, mm."""

DISEASE_MM = 12.0
"""Radius of the closing within which dense ground glass belongs to the lung, mm."""

DISEASE_HU = -150.0
"""Dense ground glass lies below it, fat and muscle of the chest wall above, HU."""

AIRWAY_HU = -800.0
"""In sections below it, trachea and main bronchi stand apart from the lungs, HU."""

AIRWAY_GAS_HU = -900.0
"""The median inside trachea and main bronchi lies below it, HU."""

AIRWAY_AREA_MM2 = (40.0, 1000.0)
"""Area of the section of trachea or main bronchus in an axial slice, mm2."""

AIRWAY_LENGTH_MM = 25.0
"""Trachea and main bronchi are seen apart from the lungs over at least this length, mm."""

AIRWAY_OFFSET_MM = 50.0
"""They lie at most so far from the plane between the lungs, mm."""

WALL_MM = 3.0
"""Thickness of the wall of airways, stomach and bowel, with its partial volume, mm."""

POCKET_HU, POCKET_MM = -940.0, 4.0
"""Gas in stomach, bowel and oesophagus lies below it, HU, and has at least this radius, mm."""

POCKET_BELOW_LUNG_HU = 25.0
"""It is darker than the lungs' median by this at least, HU: emphysema is dark and no gas in a hollow organ."""

POCKET_RING_MM = (4.0, 10.0)
"""Distance at which a pocket is judged: around a hollow organ lies more tissue than lung, mm."""


def segment(ct: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Segments both lungs with the vessels in them, without trachea, main bronchi and great hilar vessels.

    Components are told apart on a grid of about 2 mm; the border is then set on the grid of `ct` by each
    voxel's HU. Consolidation against the pleura is as dense as the chest wall, and stays out.

    Args:
        ct: (X, Y, Z) float, HU, RAS; padding below -1024 counts as air.
        spacing: voxel size along X, Y, Z in mm.

    Returns:
        (X, Y, Z) bool on the grid of `ct`.

    Raises:
        NoLungsError: no component is large enough to be a lung; the message says what was found.
    """
    factors, size = block_factors(spacing, WORKING_MM)
    coarse = block_mean(ct, factors)
    place = Surroundings.of(coarse, size)
    air = (coarse < TISSUE_HU) & ~place.skin
    lungs = _lung_components(air, coarse, place, size)
    hollow = _airways(coarse, air & (place.enclosed == 4), lungs, size) | _gas_pockets(coarse, lungs, size)
    lungs = _lung_components(lungs & ~hollow, coarse, place, size)
    sides = split_sides(lungs, size, midline=float(ndimage.center_of_mass(place.body)[0]))
    closed = np.logical_or.reduce([_close(side, coarse, size) for side in sides if side.any()])
    return _refine(ct, closed & ~hollow, hollow | place.outside, factors)


def _lung_components(
    air: np.ndarray, coarse: np.ndarray, place: Surroundings, size: Sequence[float]
) -> np.ndarray:
    """The components of `air` that are lung by volume and HU, in the body more than at outside air.

    What lies below the largest one is no lung: a chest CT may show stool and gas in the bowel.
    """
    labels, _ = ndimage.label(air)
    boxes = ndimage.find_objects(labels)
    millilitres = np.bincount(labels.ravel())[1:] * (np.prod(size) / 1000)
    lungs, largest, most_open, lowest = np.zeros_like(air), 0.0, np.inf, 0
    for index in np.argsort(-millilitres):
        if millilitres[index] < MIN_SHARE * largest:
            break
        box = widened(boxes[index], _in_voxels(min(size), size))
        part = labels[box] == index + 1
        shell = ndimage.binary_dilation(part) & ~part
        ways = place.open_ways[box][part].mean()
        in_body = (
            place.enclosed[box][part].mean() >= MIN_ENCLOSED
            and ways <= most_open
            and box[2].start + ndimage.center_of_mass(part)[2] >= lowest
            and place.body[box][shell].sum() > place.skin[box][shell].sum()
        )
        if in_body and np.median(coarse[box][part]) >= GAS_HU:
            lungs[box] |= part
            if largest == 0:
                largest, most_open = millilitres[index], ways + MORE_OPEN
                lowest = boxes[index][2].start
    if largest < MIN_LUNG_ML:
        found = f"the largest air region inside the body is {largest:.0f} mL"
        raise NoLungsError(f"no lungs: {found}, of at least {MIN_LUNG_ML:.0f} mL wanted")
    return lungs


def _airways(coarse: np.ndarray, air: np.ndarray, lungs: np.ndarray, size: Sequence[float]) -> np.ndarray:
    """Trachea and main bronchi with their walls: long tubes of small sections between the upper lungs."""
    smallest, largest = (area / (size[0] * size[1]) for area in AIRWAY_AREA_MM2)
    gas = air & (coarse < AIRWAY_HU)
    in_plane = np.pad(ndimage.generate_binary_structure(2, 1)[..., None], [(0, 0), (0, 0), (1, 1)])
    sections, _ = ndimage.label(gas, in_plane)
    areas, middle = np.bincount(sections.ravel()), ndimage.center_of_mass(lungs)
    offset = np.abs(np.arange(gas.shape[0]) - middle[0]) * size[0]
    near = gas & (offset <= AIRWAY_OFFSET_MM)[:, None, None]
    labels, _ = ndimage.label(near & ((areas >= smallest) & (areas <= largest))[sections])
    tubes = np.zeros_like(gas)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        tube = labels[box] == label
        if tube.shape[2] * size[2] >= AIRWAY_LENGTH_MM and box[2].stop > middle[2]:
            tubes[box] |= tube & (np.median(coarse[box][tube]) < AIRWAY_GAS_HU)
    return dilate_by_ball(tubes, WALL_MM, size)


def _gas_pockets(coarse: np.ndarray, lungs: np.ndarray, size: Sequence[float]) -> np.ndarray:
    """Gas in stomach, bowel or oesophagus, with its wall, where a thin wall joins it to the lungs."""
    darker = min(POCKET_HU, float(np.median(coarse[lungs])) - POCKET_BELOW_LUNG_HU)
    gas = lungs & (coarse < darker)
    labels, _ = ndimage.label(dilate_by_ball(erode_by_ball(gas, POCKET_MM, size), POCKET_MM, size) & gas)
    pockets = np.zeros_like(gas)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        near = widened(box, _in_voxels(POCKET_RING_MM[1], size))
        pocket = labels[near] == label
        inner, outer = (dilate_by_ball(pocket, mm, size) for mm in POCKET_RING_MM)
        ring = outer & ~inner
        around = coarse[near][ring]
        if np.count_nonzero(around > TISSUE_HU) > np.count_nonzero(around > POCKET_HU) / 2:
            pockets[near] |= dilate_by_ball(pocket, WALL_MM, size)
    return pockets


def _in_voxels(by_mm: float, size: Sequence[float]) -> list[int]:
    return [int(np.ceil(by_mm / mm)) for mm in size]


def _close(lung: np.ndarray, coarse: np.ndarray, size: Sequence[float]) -> np.ndarray:
    """One lung with its vessels and dense ground glass, filled where tissue is cut off from the body."""
    (box,) = boxes_round(lung, _in_voxels(2 * DISEASE_MM, size))
    # Padded like the field's edge, so that the closing does not run along the edge into the chest wall.
    margin = int(np.ceil(DISEASE_MM / min(size))) + 1
    grown = np.pad(lung[box], margin, mode="edge")
    light = np.pad(coarse[box] < DISEASE_HU, margin, mode="edge")
    grown |= light & erode_by_ball(dilate_by_ball(grown, DISEASE_MM, size), DISEASE_MM, size)
    grown = ndimage.binary_fill_holes(erode_by_ball(dilate_by_ball(grown, VESSEL_MM, size), VESSEL_MM, size))
    closed = np.zeros_like(lung)
    closed[box] = grown[(slice(margin, -margin),) * 3]
    return closed


def _refine(ct: np.ndarray, closed: np.ndarray, other: np.ndarray, factors: Sequence[int]) -> np.ndarray:
    """The mask on the grid of `ct`: the inside as it is, the border voxel by voxel by its HU."""
    border = ndimage.binary_dilation(closed) & ~other
    inside = ndimage.binary_erosion(closed, border_value=1)
    lungs = np.zeros_like(ct, dtype=bool)
    for blocks in boxes_round(border | inside):
        voxels = voxels_of(blocks, factors, closed.shape)
        hu = ct[voxels]
        at_border = on_voxels(border[blocks], factors, hu.shape) & (hu < BORDER_HU)
        lungs[voxels] = on_voxels(inside[blocks], factors, hu.shape) | at_border
    return lungs
