"""The lungs by thresholds, and the consolidated lung that thresholds miss by a lung network."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import ndimage

from normnet import classical_lungs, nnunet_lungs
from normnet.boxes import boxes_round, widened
from normnet.coarse_grid import (
    block_factors,
    block_mean,
    dilate_by_ball,
    erode_by_ball,
    smooth_on_voxels,
    voxels_of,
)
from normnet.intensity import BRIGHT_HU
from normnet.surroundings import body_tissue

__all__ = ["join", "on_ct_grid", "segment"]

NETWORK_MM = 3.0
"""Voxel size on which the network is asked, mm: that of the shipped network (`scripts/train_lungs.py --small`)."""

MIN_PROBABILITY = 0.8
"""The network is at least so sure of consolidation; of the dome of a stomach, which it may take for some, it is not."""

THIN_MM = 5.0
"""What the network adds and a ball of this radius does not fit in is a rim or a vessel of the hilum, mm."""

MIN_CONTACT = 0.125
"""At least this share of the shell round a consolidation is lung that holds air; round muscle behind ribs, less."""


def segment(ct: np.ndarray, spacing: Sequence[float], model: str) -> np.ndarray:
    """Segments both lungs, consolidation against the pleura included.

    Thresholds set the border wherever the lung holds air, to the voxel; the network is asked on blocks of about 3 mm,
    where it takes a tenth of the time, in the box round the body, and adds what is dense. Both work at once: neither
    keeps two cores busy.

    Args:
        ct: (X, Y, Z) float, HU, RAS.
        spacing: voxel size along X, Y, Z in mm.
        model: nnU-Net's model folder, trained on RAS volumes (`scripts/train_lungs.py`).

    Returns:
        (X, Y, Z) bool on the grid of `ct`.

    Raises:
        InputError: nnunetv2 is not installed, or the folder holds no finished model.
        ValueError: the thresholds find no lungs; the message says what was found.
    """
    factors, size = block_factors(spacing, NETWORK_MM)
    coarse = block_mean(ct, factors)
    body = body_tissue(coarse, size)
    (box,) = boxes_round(body)
    with ThreadPoolExecutor(1) as beside:
        by_network = beside.submit(nnunet_lungs.probability, coarse[box], size, model)
        aerated = classical_lungs.segment(ct, spacing)
    share = block_mean(aerated, factors)
    dense = np.zeros_like(body)
    dense[box] = join(coarse[box], body[box], share[box] > 0.5, by_network.result() > MIN_PROBABILITY, size)
    return aerated | on_ct_grid(dense, share, factors, ct.shape)


def join(
    coarse: np.ndarray, body: np.ndarray, aerated: np.ndarray, by_network: np.ndarray, size: Sequence[float]
) -> np.ndarray:
    """Chooses what of a network's lungs is consolidation that the thresholds missed.

    Args:
        coarse: (X, Y, Z), HU, of a grid of some millimetres.
        body: (X, Y, Z) bool, as from `body_tissue`.
        aerated: (X, Y, Z) bool, the lungs by thresholds.
        by_network: (X, Y, Z) bool, the lungs by a network.
        size: voxel size along X, Y, Z in mm.

    Returns:
        (X, Y, Z) bool: dense, in the body, thick, and beside `aerated`.
    """
    dense = by_network & ~aerated & (coarse >= BRIGHT_HU) & body
    thick = dilate_by_ball(erode_by_ball(dense, THIN_MM, size), THIN_MM, size) & dense
    labels, _ = ndimage.label(thick)
    joined = np.zeros_like(thick)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        near = widened(box, 1)
        part = labels[near] == label
        shell = ndimage.binary_dilation(part) & ~part
        joined[near] |= part & (aerated[near][shell].mean() >= MIN_CONTACT)
    return dilate_by_ball(joined, THIN_MM, size) & dense  # into the corners, which a ball leaves out


def on_ct_grid(
    dense: np.ndarray, share: np.ndarray, factors: Sequence[int], shape: Sequence[int]
) -> np.ndarray:
    """Brings what was joined to the voxels, without the blocks' corners and without a seam to the aerated lung.

    Args:
        dense: (X, Y, Z) bool, of the blocks.
        share: (X, Y, Z), of each block's voxels the share that is aerated lung.
        factors: voxels of a block along X, Y, Z.
        shape: of the voxels' grid.
    """
    mask = np.zeros(shape, dtype=bool, order="F")
    for blocks in boxes_round(dense, 2):
        voxels = voxels_of(blocks, factors, dense.shape)
        size = mask[voxels].shape
        lungs = smooth_on_voxels(np.maximum(dense, share)[blocks], factors, size) > 0.5
        mask[voxels] = lungs & (smooth_on_voxels(dense[blocks], factors, size) > 0)
    return mask
