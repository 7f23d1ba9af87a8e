"""Healthy CT with dense lesions put in: what teaches a lung network that consolidation is lung; pure functions."""

import numpy as np

from generator.chest import Chest
from generator.pathology import PathologySpec, add_pathology

__all__ = ["with_dense_lesions"]

OPEN_AIRWAY_HU = -940.0
"""Below it lung is an open bronchus, which stays dark in consolidation, HU."""


def with_dense_lesions(ct: np.ndarray, lungs: np.ndarray, affine: np.ndarray, seed: int) -> np.ndarray:
    """Fills parts of healthy lungs, up to a whole lobe, with tissue as dense as the chest wall.

    Consolidation with open bronchi, bands along the pleura as thin as a scar or as thick as an effusion, and ground
    glass (`generator.pathology`). The lung mask stays right, so that no one has to draw it.

    Args:
        ct: (X, Y, Z), HU, RAS.
        lungs: (X, Y, Z) bool.
        affine: (4, 4), of a grid along the axes.
        seed: where all randomness comes from.

    Returns:
        (X, Y, Z) float32, HU.
    """
    rng = np.random.default_rng(seed)
    spacing = tuple(float(mm) for mm in np.abs(np.diag(affine))[:3])
    airways = lungs & (ct < OPEN_AIRWAY_HU)
    chest = Chest(ct.astype(np.float32), lungs, airways, np.zeros_like(lungs), spacing, affine)  # type: ignore[arg-type]
    spec = PathologySpec(
        ground_glass=int(rng.integers(0, 3)),
        consolidation=int(rng.integers(1, 4)),
        bands=int(rng.integers(1, 4)),
        consolidation_hu=(-60.0, 70.0),
        band_hu=(-100.0, 60.0),
        patch_mm=(15.0, float(rng.uniform(30, 110))),
        band_mm=(5.0, float(rng.uniform(8, 35))),
    )
    return add_pathology(chest, rng=rng, spec=spec)[0]
