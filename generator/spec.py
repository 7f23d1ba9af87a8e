"""Every constant of the synthetic lesions (section III-C), and the specs of the ablations (Table V)."""

import math
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import Any

__all__ = [
    "FIXED_PROBABILITY_MAPS",
    "FIXED_SALT_NOISE",
    "FIXED_SHAPES",
    "PAPER",
    "SPECS",
    "WIDE",
    "Range",
    "SynthesisSpec",
]

Range = tuple[float, float]
"""Lowest and highest of what is drawn uniformly."""


@dataclass(frozen=True)
class SynthesisSpec:
    """What the generator draws from; a pair is the uniform range [low, high].

    Lengths are voxels of the 0.8 x 0.8 x 1.0 mm grid, intensities are on the scaled image ([-800, 100] HU is
    [0, 1]), relative lengths are fractions of an ellipsoid's mean radius. JSON overrides any field by its
    name; lists are taken as pairs.

    Raises:
        ValueError: a pair is not finite with low <= high, or a value lies outside what its field allows.
    """

    small_count: Range = (5.0, 10.0)
    """Small ellipsoids at lambda = 1; times lambda, then rounded to a whole number (III-C1; rounding is a
    decision)."""

    small_radius: Range = (3.0, 10.0)
    """Radius of a small ellipsoid, for each axis by itself, voxels (III-C1)."""

    medium_count: Range = (5.0, 10.0)
    """Medium ellipsoids at lambda = 1, as for the small ones (III-C1)."""

    medium_radius: Range = (10.0, 32.0)
    """Radius of a medium ellipsoid, for each axis by itself, voxels (III-C1)."""

    large_probability: float = 0.2
    """Probability of the one large ellipsoid at lambda = 1; times lambda (III-C1)."""

    large_radius: Range = (32.0, 64.0)
    """Radius of the large ellipsoid, for each axis by itself, voxels (III-C1)."""

    counts_follow_lung: bool = True
    """Whether counts and the large ellipsoid's probability are scaled by lambda (III-C1)."""

    deformation_amplitude: Range = (0.10, 0.30)
    """Standard deviation of the elastic displacement along each axis, relative (III-C1; values: decision)."""

    deformation_smoothness: Range = (0.25, 0.50)
    """Standard deviation of the Gaussian over the displacement, relative (III-C1; values: decision)."""

    probability_sigma: Range = (2.0, 20.0)
    """sigma_a, the Gaussian that smooths the noise of the probability map, voxels (III-C2, after eq. 7)."""

    probability: Range = (0.0, 0.3)
    """Range of a_L and of a_U, the ends of the probability of salt (III-C2, after eq. 8)."""

    probability_gap: float = 0.15
    """Least difference a_U - a_L (III-C2, after eq. 8)."""

    fine_sigma: Range = (0.8, 2.0)
    """sigma_b of a fine texture, the Gaussian that smooths the salt, voxels (III-C2, eq. 4)."""

    coarse_sigma: Range = (2.0, 5.0)
    """sigma_b of a coarse texture, voxels (III-C2, eq. 4)."""

    fine_probability: float = 0.7
    """Share of fine textures (III-C2, eq. 4)."""

    brightness: Range = (0.4, 0.8)
    """mu_0, the mean intensity of the bright part of a lesion (III-C2, after eq. 6)."""

    brightness_floor: float = 0.2
    """Smoothed salt above this counts as the bright part (the 0.2 of III-C2, eq. 6)."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, tuple):
                if not _is_range(value):
                    raise ValueError(f"{field.name}: expected a finite pair 0 <= low <= high, got {value!r}")
                # JSON has lists; a frozen spec stays hashable.
                object.__setattr__(self, field.name, tuple(float(bound) for bound in value))
            elif not _is_range((value, 1)):
                raise ValueError(f"{field.name}: expected a value in [0, 1], got {value!r}")
        for name in ("small_radius", "medium_radius", "large_radius", "deformation_smoothness"):
            if getattr(self, name)[0] <= 0:
                raise ValueError(f"{name}: expected lengths above 0, got {getattr(self, name)!r}")
        for name in ("probability_sigma", "fine_sigma", "coarse_sigma"):
            if getattr(self, name)[0] < SMALLEST_SIGMA:
                raise ValueError(
                    f"{name}: expected at least {SMALLEST_SIGMA} voxels, got {getattr(self, name)!r}"
                )
        low, high = self.probability
        if high > 1 or high - low < self.probability_gap - ROUNDING:
            raise ValueError(
                f"probability: expected a range inside [0, 1], at least {self.probability_gap} wide "
                f"(probability_gap), got {self.probability!r}"
            )


def _is_range(value: Any) -> bool:
    """Tells whether a value, which JSON may have made anything, is a finite pair 0 <= low <= high."""
    pair = isinstance(value, tuple | list) and len(value) == 2
    return pair and all(isinstance(bound, Real) for bound in value) and 0 <= value[0] <= value[1] < math.inf


SMALLEST_SIGMA = 0.3
"""Below this a Gaussian no longer reaches the neighbouring voxel, voxels."""

ROUNDING = 1e-9
"""A range may be this much narrower than its gap: 0.35 - 0.2 is a little below 0.15."""

PAPER = SynthesisSpec()
"""The full generator (III-C)."""

FIXED_SHAPES = replace(
    PAPER,
    small_count=(0, 0),
    medium_count=(5, 5),
    medium_radius=(12, 12),
    large_probability=0.0,
    counts_follow_lung=False,
    deformation_amplitude=(0, 0),
)
"""Table V, row 2: "5 ellipsoids with radius = 12 for any lung area without any deformation" (IV-E2)."""

FIXED_PROBABILITY_MAPS = replace(PAPER, probability=(0.2, 0.2), probability_gap=0.0)
"""Table V, row 3: one probability for every voxel.

The paper prints "probability = 2", which no probability can be; 0.2 is taken (decision), inside [0, 0.3].
"""

FIXED_SALT_NOISE = replace(PAPER, fine_sigma=(2, 2), coarse_sigma=(2, 2), brightness=(150 / 255, 150 / 255))
"""Table V, row 4: "sigma_b = 2 and mu_0 = 150" (IV-E2).

150 is read on the scale 0..255 (decision): 0.59, the middle of [0.4, 0.8].
"""

WIDE = replace(PAPER, small_count=(5, 15), small_radius=(2, 10), brightness=(0.35, 1.0))
"""Beyond the paper: fainter lesions and solid ones, more of the small ones and tinier (bundle/docs/accuracy.md)."""

SPECS = {
    "paper": PAPER,
    "wide": WIDE,
    "fixed_shapes": FIXED_SHAPES,
    "fixed_probability_maps": FIXED_PROBABILITY_MAPS,
    "fixed_salt_noise": FIXED_SALT_NOISE,
}
"""The specs by name."""
