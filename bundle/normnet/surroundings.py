"""The patient's body and the air around it, on a coarse grid: what tells lungs from other air."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from normnet.coarse_grid import dilate_by_ball, erode_by_ball

__all__ = ["TISSUE_HU", "NoLungsError", "Surroundings", "body_tissue"]

TISSUE_HU = -300.0
"""Soft tissue and fat lie above it; air, lung and ground glass below, HU."""

OUTSIDE_HU = -930.0
"""Outside air and padding lie below it, HU; lungs, but for severe emphysema, above."""

SKIN_MM = 2.0
"""Partial volume between outside air and skin, mm."""

COUCH_MM = 4.0
"""Tissue thinner than twice this is cut from the body: couch shells, tubes, clothes, mm."""


class NoLungsError(ValueError):
    """A CT that shows no body or no lungs; the message says what was found, and the caller which CT it is."""


@dataclass(frozen=True)
class Surroundings:
    """What lies round each voxel; (X, Y, Z) each.

    Attributes:
        body: the patient's tissue, bool.
        outside: air and padding outside the patient, bool.
        skin: outside air and the skin's partial volume, bool.
        enclosed: in how many of the four in-plane directions the voxel meets the body.
        open_ways: in how many of them it meets outside air, and never the body.
    """

    body: np.ndarray
    outside: np.ndarray
    skin: np.ndarray
    enclosed: np.ndarray
    open_ways: np.ndarray

    @classmethod
    def of(cls, coarse: np.ndarray, size: Sequence[float]) -> "Surroundings":
        """Finds them in a CT.

        Args:
            coarse: (X, Y, Z) HU, of a grid of some millimetres.
            size: its voxel size along X, Y, Z in mm.

        Raises:
            NoLungsError: there is no body.
        """
        body, outside = body_tissue(coarse, size), _outside_air(coarse)
        enclosed, open_ways = np.zeros((2, *coarse.shape), dtype=np.int8)
        for tissue, air in zip(_met(body), _met(outside), strict=True):
            enclosed += tissue
            open_ways += air & ~tissue
        return cls(body, outside, dilate_by_ball(outside, SKIN_MM, size), enclosed, open_ways)


def body_tissue(coarse: np.ndarray, size: Sequence[float]) -> np.ndarray:
    """Finds the patient's tissue: the largest component that survives the removal of thin things.

    Args:
        coarse: (X, Y, Z) HU, of a grid of some millimetres.
        size: its voxel size along X, Y, Z in mm.

    Returns:
        (X, Y, Z) bool, without the lungs, couch and outside air.

    Raises:
        NoLungsError: there is none.
    """
    tissue = coarse > TISSUE_HU
    labels, _ = ndimage.label(erode_by_ball(tissue, COUCH_MM, size))
    if not labels.any():
        raise NoLungsError(
            f"no lungs: no body, only {tissue.mean():.0%} of the field lies above {TISSUE_HU:.0f} HU"
        )
    return tissue & dilate_by_ball(labels == np.bincount(labels[labels > 0]).argmax(), COUCH_MM, size)


def _outside_air(coarse: np.ndarray) -> np.ndarray:
    """Air and padding outside the patient: joined to the field's sides by no narrow gap."""
    cold = coarse < OUTSIDE_HU
    labels, _ = ndimage.label(ndimage.binary_erosion(cold, border_value=1))
    sides = np.concatenate([labels[[0, -1]].ravel(), labels[:, [0, -1]].ravel()])
    return cold & ndimage.binary_dilation(np.isin(labels, np.unique(sides[sides > 0])))


def _met(mask: np.ndarray) -> Iterator[np.ndarray]:
    """Of each of the four in-plane directions: whether each voxel meets the mask there."""
    for axis in (0, 1):
        yield np.maximum.accumulate(mask, axis)
        yield np.flip(np.maximum.accumulate(np.flip(mask, axis), axis), axis)
