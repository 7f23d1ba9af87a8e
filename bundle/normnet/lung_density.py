"""Lungs that hold little air, as after breathing out, brought to the density of full ones. Beyond the paper."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from scipy.stats import siegelslopes

from normnet.coarse_grid import block_factors, block_mean
from normnet.errors import InputError
from normnet.hounsfield import AIR_HU

__all__ = ["EMPTY_LUNG_HU", "FULL_LUNG_HU", "InflateLungsd", "clear_lung", "inflate"]

FULL_LUNG_HU = -850.0
"""Clear lung of a full breath, HU; that of the healthy CTs behind the shipped weights is darker still."""

EMPTY_LUNG_HU = -700.0
"""Clear lung at the end of a breath, HU. Lungs of which nothing is clearer than that are ill all over: they are
stretched no further, lest the illness be stretched away."""

SOFT_TISSUE_HU = 50.0
"""What holds no air keeps its density, HU."""

BANDS, CLEAR_PERCENT = 10, 10.0
"""From back to front the lungs are cut into so many bands, and so much of each is taken for clear: lesions may fill the
rest of each, and the whole of some."""

BLOCK_MM = 4.0
"""Edge of the blocks over which HU are averaged, mm, so that noise does not make lungs look clearer."""

WHOLE = 1 - 1e-4
"""Share of a block in the lungs, up to rounding, from which on it counts."""


def clear_lung(ct: np.ndarray, lungs: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Measures the density of clear lung, which rises from front to back where a patient lies on the back.

    It is a line through the tenth percentiles of ten bands of the lungs, over blocks of 4 mm; the line is that of
    repeated medians (Siegel 1982), which bands without clear lung do not move.

    Args:
        ct: (X, Y, Z), HU; Y from back to front.
        lungs: (X, Y, Z) bool.
        spacing: voxel size, mm.

    Returns:
        (Y,) HU; NaN where no whole block lies in the lungs.
    """
    factors, _ = block_factors(spacing, BLOCK_MM)
    whole = block_mean(lungs, factors) > WHOLE
    if not whole.any():
        return np.full(ct.shape[1], np.nan)
    hu, y = block_mean(ct, factors)[whole], np.nonzero(whole)[1]
    bands = np.array_split(np.argsort(y, kind="stable"), BANDS)
    middles, clear = np.transpose(
        [(y[band].mean(), np.percentile(hu[band], CLEAR_PERCENT)) for band in bands if len(band)]
    )
    slope, at_0 = siegelslopes(clear, middles) if np.ptp(middles) else (0.0, np.median(clear))
    line = at_0 + slope * ((np.arange(ct.shape[1]) + 0.5) / factors[1] - 0.5)
    return np.clip(line, clear.min(), clear.max())


def inflate(ct: torch.Tensor, clear_hu: torch.Tensor, full_hu: float = FULL_LUNG_HU) -> torch.Tensor:
    """Stretches HU so that clear lung becomes as dark as full lungs are, and soft tissue keeps its density.

    Args:
        ct: any shape, HU.
        clear_hu: of clear lung there, of a shape that broadcasts to it; where it is as dark as full lungs, or NaN,
            nothing changes.
        full_hu: of full lungs.

    Returns:
        The same shape, HU.
    """
    clear_hu = clear_hu.nan_to_num(full_hu).clamp(full_hu, max(full_hu, EMPTY_LUNG_HU))
    stretch = (SOFT_TISSUE_HU - full_hu) / (SOFT_TISSUE_HU - clear_hu)
    if not (stretch > 1).any():
        return ct
    return torch.where(stretch > 1, SOFT_TISSUE_HU - stretch * (SOFT_TISSUE_HU - ct), ct)


class InflateLungsd(MapTransform):
    """Brings lungs that hold little air to the density of full ones: otherwise all of their tissue looks ill.

    Args:
        keys: CT, (1, X, Y, Z), HU, Y from back to front.
        lungs_key: lung mask, (1, X, Y, Z).
        full_hu: clear lung of a full breath, HU; no lung is denser than 0, which so leaves every CT as it is, as the
            paper does.

    Raises:
        InputError: when `full_hu` is not between `normnet.hounsfield.AIR_HU` and 0.
    """

    def __init__(
        self, keys: KeysCollection = "image", lungs_key: str = "lungs", full_hu: float = FULL_LUNG_HU
    ) -> None:
        if not isinstance(full_hu, int | float) or not AIR_HU <= full_hu <= 0:
            raise InputError(f"full_lung_hu: expected HU from {AIR_HU:.0f} to 0, found {full_hu!r}.")
        super().__init__(keys)
        self.lungs_key, self.full_hu = lungs_key, full_hu

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        for key in self.keys:
            ct = data[key]
            lungs = data[self.lungs_key][0].cpu().numpy() > 0
            clear_hu = clear_lung(ct[0].cpu().numpy(), lungs, ct.pixdim.tolist())
            data[key] = inflate(ct, torch.as_tensor(clear_hu, dtype=ct.dtype)[:, None], self.full_hu)
        return data
