"""Gaussian smoothing of a box of a volume: separable, banded matrix products, noise on a coarse lattice."""

import math

import torch

__all__ = ["Box", "smooth", "smoothing_matrix"]

Box = tuple[slice, slice, slice]
"""Part of a volume (X, Y, Z), voxels; every start and stop is given and lies inside the volume."""

TRUNCATE = 4.0
"""Where a Gaussian is cut off, standard deviations (as scipy.ndimage)."""

BLOCK = 64
"""Rows of a banded matrix that are multiplied at once: few enough to skip most of the zeros."""


def smoothing_matrix(
    window: slice, size: int, sigma: float, *, spacing: float = 1.0
) -> tuple[torch.Tensor, slice]:
    """Gives the weights by which a Gaussian carries values on a lattice to the voxels of one axis.

    The lattice cuts the axis into equal cells of at most `spacing` voxels and goes on, mirrored, beyond both
    ends ("reflect" in scipy.ndimage). With `spacing` 1 the cells are the voxels and this is scipy's Gaussian
    filter. White noise on cells as wide as sigma gives, through this matrix, the covariance of white noise
    filtered voxel by voxel, to 2 exp(-pi^2), about 1e-4 (Poisson summation), at a small part of the cost.

    Args:
        window: the voxels wanted.
        size: the length of the axis, voxels.
        sigma: standard deviation, voxels.
        spacing: width of a cell at most, voxels.

    Returns:
        Weights (voxels, cells) on the CPU, each row summing to 1, and the cells that the columns are.
    """
    cells = math.ceil(size / spacing)
    width = size / cells
    reach = int(TRUNCATE * sigma + 0.5)
    first = math.ceil((window.start - reach + 0.5) / width - 0.5)
    last = math.floor((window.stop - 1 + reach + 0.5) / width - 0.5)
    index = torch.arange(first, last + 1)
    position = (index + 0.5) * width - 0.5
    distance = torch.arange(window.start, window.stop)[:, None] - position
    weights = torch.exp(-0.5 * (distance / sigma) ** 2) * (distance.abs() <= reach)
    mirrored = index % (2 * cells)
    mirrored = torch.where(mirrored < cells, mirrored, 2 * cells - 1 - mirrored)
    used = slice(int(mirrored.min()), int(mirrored.max()) + 1)
    folded = torch.zeros(len(weights), used.stop - used.start)
    folded.index_add_(1, mirrored - used.start, weights)
    return folded / folded.sum(1, keepdim=True), used


def smooth(values: torch.Tensor, matrices: list[torch.Tensor]) -> torch.Tensor:
    """Multiplies each axis by its banded matrix.

    Args:
        values: (..., I, J, K), on any device.
        matrices: three matrices on the CPU, (X, I), (Y, J) and (Z, K).

    Returns:
        (..., X, Y, Z).
    """
    along_x, along_y, along_z = matrices
    lead, (_, j, k) = values.shape[:-3], values.shape[-3:]
    values = _banded(along_x, values.reshape(*lead, -1, j * k)).reshape(*lead, -1, j, k)
    values = _banded(along_y, values)
    return values @ along_z.T.to(values.device)


def _banded(matrix: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Computes matrix @ values block by block, leaving out the columns in which a block has only zeros."""
    rows = len(matrix)
    result = values.new_empty(*values.shape[:-2], rows, values.shape[-1])
    for start in range(0, rows, BLOCK):
        block = matrix[start : start + BLOCK]
        columns = block.any(0).nonzero()
        first, last = int(columns[0]), int(columns[-1]) + 1
        weights = block[:, first:last].to(values.device)
        result[..., start : start + BLOCK, :] = weights @ values[..., first:last, :]
    return result
