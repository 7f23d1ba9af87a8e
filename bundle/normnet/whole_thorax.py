"""An ensemble of U-Nets over a whole thorax in one run: no window, no rim, its last layer at the tissue asked about."""

from collections.abc import Sequence
from typing import TypeGuard

import torch
from monai.networks.blocks import Convolution
from monai.networks.nets import UNet
from tqdm import tqdm

from normnet.boxes import boxes_round
from normnet.ensemble import Ensemble
from normnet.network import SubpixelUNet, to_blocks, to_voxels

__all__ = ["probability_in_lungs", "runs_whole"]

ALIGNMENT = 16
"""A volume is filled up to multiples of it, voxels: four halvings, the most that a U-Net here has."""

SMALLEST = 32
"""Least length of an axis, voxels: with one voxel left along z, PyTorch 2.13's strided convolutions in bfloat16 give
noise or NaN on a CPU with matrix tiles (AMX)."""

CELLS_AT_ONCE = 2**12
"""Cells of which the last layer's input is gathered at once: 8 MB of float32, which stay in the processor's cache."""


def runs_whole(network: object) -> TypeGuard[Ensemble]:
    """Tells whether a network is an ensemble of U-Nets that end in one transposed convolution."""
    return isinstance(network, Ensemble) and all(_layers(member) for member in network.members)


def probability_in_lungs(
    image: torch.Tensor, ensemble: Ensemble, *, tau: float = 0.0, progress: bool = False
) -> torch.Tensor:
    """Asks every member about the tissue in the lungs; where it answers, as a run over the box round it all does.

    Members share their input. Each runs over the whole box but for its last layer, which has a quarter of the
    operations and most of the memory. That one makes a cell of voxels of eight neighbours of its input, so it is run
    for the cells alone in which there is tissue: a quarter of the box, and a twelfth from tau on.

    Args:
        image: thorax area H, (B, 1, X, Y, Z) in [0, 1], 0 outside the lungs, and not everywhere.
        ensemble: of which `runs_whole` is true.
        tau: cells without a voxel at or above it are not asked about, nor are those that are 0 altogether.
        progress: whether a bar shows the members.

    Returns:
        (B, members, X, Y, Z) float16, each member's probability of healthy tissue; 0 where none was asked.
    """
    (box,) = boxes_round((image > 0).flatten(0, 1).any(0).numpy(force=True))
    thorax = image[:, :, *box]
    fill = [max(-length % ALIGNMENT, SMALLEST - length) for length in thorax.shape[2:]]
    thorax = torch.nn.functional.pad(thorax, [part for length in reversed(fill) for part in (0, length)])
    in_blocks = isinstance(ensemble.members[0], SubpixelUNet)
    seen = to_blocks(thorax) if in_blocks else thorax.contiguous(memory_format=torch.channels_last_3d)
    # Of each cell, the voxels that the last layer makes of one of its input.
    brightest = torch.nn.functional.max_pool3d(seen, 2).amax(1)
    cells = ((brightest > 0) & (brightest >= tau)).nonzero()
    # The fill may reach beyond the image.
    shape = [
        max(length, side.stop + more) for length, side, more in zip(image.shape[2:], box, fill, strict=True)
    ]
    origin = (box[0].start * shape[1] + box[1].start) * shape[2] + box[2].start
    edge = thorax.shape[-1] // brightest.shape[-1]
    parts = [
        (_next_to(some, brightest.shape[1:]), origin + _rows(some, edge, edge, shape))
        for some in cells.split(CELLS_AT_ONCE)
    ]
    members = ensemble.members
    probability = image.new_zeros((len(members), len(image), *shape), dtype=torch.float16)
    bar = tqdm(members, "Members", leave=False, disable=not progress)
    for member, found in zip(bar, probability.flatten(1), strict=True):
        first, between, last = _layers(member)
        finest = first(seen)
        features = [finest, between(finest)]
        weights, bias = _of_one_cell(last, [volume.shape[1] for volume in features], in_blocks)
        for (neighbours, beyond), voxels in parts:
            logits = bias
            for volume, weight in zip(features, weights, strict=True):
                by_row = volume.permute(0, 2, 3, 4, 1).flatten(0, 3)  # a view: channels lie last
                seen_by_cell = (
                    by_row.index_select(0, neighbours).index_fill_(0, beyond, 0).view(-1, len(weight))
                )
                logits = torch.addmm(logits, seen_by_cell, weight)
            found.index_copy_(0, voxels, logits.flatten().float().sigmoid().half())
    return probability.transpose(0, 1)[:, :, *map(slice, image.shape[2:])]


def _layers(member: torch.nn.Module) -> list[torch.nn.Module]:
    """Takes a U-Net apart: its first layer, all between, and its last; nothing of another network."""
    unet = member.unet if isinstance(member, SubpixelUNet) else member
    if not isinstance(unet, UNet):
        return []
    first, skip, last = unet.model.children()
    return [first, skip.get_submodule("submodule"), last] if isinstance(last, Convolution) else []


def _of_one_cell(
    last: torch.nn.Module, channels: Sequence[int], in_blocks: bool
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Writes the last layer as a matrix, by asking what it makes of each single input.

    Args:
        last: the layer.
        channels: of the features whose channels it is given together.
        in_blocks: whether its channels are the voxels of a block.

    Returns:
        Of each of the features (8 * channels, voxels of a cell), from the cell and its seven next neighbours to the
        logits; and the bias.
    """
    example = next(last.parameters())
    inputs = torch.eye(8 * sum(channels) + 1, 8 * sum(channels), device=example.device, dtype=example.dtype)
    inputs = inputs.view(-1, 2, 2, 2, sum(channels)).permute(0, 4, 1, 2, 3)
    with torch.autocast(example.device.type, enabled=False):
        made = last(inputs)[..., :2, :2, :2]
    made = (to_voxels(made) if in_blocks else made).flatten(1)
    bias = made[-1]  # of the last input, which is all zeros
    weights = (made[:-1] - bias).view(8, sum(channels), -1).split(list(channels), dim=1)
    return [weight.flatten(0, 1) for weight in weights], bias


def _next_to(cells: torch.Tensor, shape: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Finds each cell (batch, X, Y, Z) and its next neighbours in a volume: (8 * cells) rows, and those beyond it."""
    upper = torch.tensor(shape, device=cells.device)
    beyond = (_steps(cells, 1, 2) >= upper).any(-1).flatten()
    return _rows(cells, 1, 2, shape).where(~beyond, 0), beyond.nonzero()[:, 0]


def _rows(cells: torch.Tensor, scale: int, edge: int, shape: Sequence[int]) -> torch.Tensor:
    """Numbers the voxels of a cube of `edge` from each cell on, in volumes of a shape: (cells * edge^3)."""
    x, y, z = _steps(cells, scale, edge).unbind(-1)
    return (((cells[:, :1] * shape[0] + x) * shape[1] + y) * shape[2] + z).flatten()


def _steps(cells: torch.Tensor, scale: int, edge: int) -> torch.Tensor:
    steps = torch.cartesian_prod(*[torch.arange(edge, device=cells.device)] * 3)
    return cells[:, None, 1:] * scale + steps
