"""Synthetic lesions for healthy chest CT (section III-C of arXiv 2009.06456): torch, and nothing of MONAI."""

from generator.inject import healthy_target, synthesize
from generator.spec import (
    FIXED_PROBABILITY_MAPS,
    FIXED_SALT_NOISE,
    FIXED_SHAPES,
    PAPER,
    SPECS,
    WIDE,
    SynthesisSpec,
)

__all__ = [
    "FIXED_PROBABILITY_MAPS",
    "FIXED_SALT_NOISE",
    "FIXED_SHAPES",
    "PAPER",
    "SPECS",
    "WIDE",
    "SynthesisSpec",
    "healthy_target",
    "synthesize",
]
