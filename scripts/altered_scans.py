"""A CT as other scanners, tables and patients would give it, with its lungs; pure functions, no files."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import ndimage

__all__ = ["ALTERED", "LungScan", "average_slices"]

THICK_MM, SMALL, NOISE_HU, DEGREES, CUT_MM = 8.0, 0.55, 80.0, 25.0, 10.0
AIR_HU, PADDING_HU = -1024.0, -3024.0
SEED = 0


class LungScan(NamedTuple):
    """A CT and its lungs.

    Attributes:
        ct: (X, Y, Z) float, HU, RAS.
        lungs: (X, Y, Z) bool.
        spacing: voxel size along X, Y, Z in mm.
    """

    ct: np.ndarray
    lungs: np.ndarray
    spacing: tuple[float, ...]


def cut(scan: LungScan, *box: slice) -> LungScan:
    """Keeps a box of the field."""
    return LungScan(scan.ct[box], scan.lungs[box], scan.spacing)


def half(scan: LungScan, *, upper: bool) -> LungScan:
    """Keeps the upper or the lower half of the slices."""
    middle = scan.ct.shape[2] // 2
    return cut(scan, slice(None), slice(None), slice(middle, None) if upper else slice(middle))


def cut_sides(scan: LungScan) -> LungScan:
    """Cuts the field in plane to less than the lungs: `CUT_MM` of them are lost on every side."""
    ((x, y, _),) = ndimage.find_objects(scan.lungs.astype(np.uint8))
    return cut(
        scan,
        *(
            slice(side.start + round(CUT_MM / mm), side.stop - round(CUT_MM / mm))
            for side, mm in zip((x, y), scan.spacing, strict=False)
        ),
    )


def thick(scan: LungScan) -> LungScan:
    """Averages slices to `THICK_MM`; the lungs by majority."""
    group = max(round(THICK_MM / scan.spacing[2]), 1)
    ct, lungs = (average_slices(volume, group) for volume in (scan.ct, scan.lungs))
    return LungScan(ct, lungs > 0.5, (*scan.spacing[:2], scan.spacing[2] * group))


def average_slices(volume: np.ndarray, group: int) -> np.ndarray:
    """Averages slices in groups, as a thick slice does; those left over at the top are dropped.

    Args:
        volume: (X, Y, Z).
        group: how many slices make one.

    Returns:
        (X, Y, Z // group) float32.
    """
    count = volume.shape[2] // group
    whole = volume[:, :, : count * group].astype(np.float32)
    return whole.reshape(*whole.shape[:2], count, group).mean(axis=3)


def coarse(scan: LungScan) -> LungScan:
    """Keeps every other pixel of a slice."""
    across, along = (2 * mm for mm in scan.spacing[:2])
    return LungScan(scan.ct[::2, ::2], scan.lungs[::2, ::2], (across, along, scan.spacing[2]))


def turned(scan: LungScan) -> LungScan:
    """Turns the patient on the table."""

    def turn(volume: np.ndarray, order: int, outside: float) -> np.ndarray:
        return ndimage.rotate(volume, DEGREES, axes=(0, 1), reshape=False, order=order, cval=outside)

    return LungScan(turn(scan.ct, 1, AIR_HU), turn(scan.lungs.astype(np.uint8), 0, 0) > 0, scan.spacing)


def round_field(scan: LungScan) -> LungScan:
    """Fills what lies outside the circle in a slice with padding, as scanners do."""
    across, along = (np.linspace(-1, 1, count) for count in scan.ct.shape[:2])
    outside = across[:, None] ** 2 + along**2 > 1
    return scan._replace(ct=np.where(outside[..., None], PADDING_HU, scan.ct))


def noisy(scan: LungScan) -> LungScan:
    """Adds white noise."""
    noise = np.random.default_rng(SEED).normal(0, NOISE_HU, scan.ct.shape)
    return scan._replace(ct=scan.ct + noise.astype(np.float32))


ALTERED: dict[str, Callable[[LungScan], LungScan]] = {
    "face down": lambda scan: LungScan(scan.ct[:, ::-1], scan.lungs[:, ::-1], scan.spacing),
    "upside down": lambda scan: LungScan(scan.ct[..., ::-1], scan.lungs[..., ::-1], scan.spacing),
    f"turned by {DEGREES:.0f} degrees": turned,
    "lower half": lambda scan: half(scan, upper=False),
    "upper half": lambda scan: half(scan, upper=True),
    f"{CUT_MM:.0f} mm of the lungs cut off on all sides": cut_sides,
    f"padding of {PADDING_HU:.0f} HU round a circle": round_field,
    f"slices of {THICK_MM:.0f} mm": thick,
    "pixels twice as wide": coarse,
    f"patient of {100 * SMALL:.0f} % of the size": lambda scan: scan._replace(
        spacing=tuple(SMALL * mm for mm in scan.spacing)
    ),
    f"noise of {NOISE_HU:.0f} HU more": noisy,
}
"""By name, for the page of the lungs and its tests."""
