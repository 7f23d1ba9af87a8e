"""An ensemble of U-Nets over a whole thorax in one run: no window, no rim, its last layer at the tissue asked about."""

from collections.abc import Iterator, Sequence
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

LEAD_STEP = 6
"""Each member's volume begins so many voxels, modulo `ALIGNMENT`, further before the tissue than the last one's.

Halving makes what a U-Net says depend on where its volume begins. Members that begin at one place err there together,
and their mean with them: so they begin at different ones (docs/networks.md)."""

SMALLEST = 32
"""Least length of an axis, voxels: with one voxel left along z, PyTorch 2.13's strided convolutions in bfloat16 give
noise or NaN on a CPU with matrix tiles (AMX)."""

CELLS_AT_ONCE = 2**12
"""Cells of which the last layer's input is gathered at once: 8 MB of float32, which stay in the processor's cache."""


NOWHERE = -(2**40)
"""A place beyond a volume: whatever rows are counted from it are below 0."""


def runs_whole(network: object) -> TypeGuard[Ensemble]:
    """Tells whether a network is an ensemble of U-Nets that end in one transposed convolution."""
    return isinstance(network, Ensemble) and all(_layers(member) for member in network.members)


def probability_in_lungs(
    image: torch.Tensor, ensemble: Ensemble, *, tau: float = 0.0, progress: bool = False
) -> torch.Tensor:
    """Asks every member about the tissue in the lungs; where it answers, as a run over a box round it all does.

    Each runs over its whole box but for its last layer, which has a quarter of the operations and most of the memory.
    That one makes a cell of voxels of eight neighbours of its input, so it is run for the cells alone in which there
    is tissue: a quarter of the box, and a twelfth from tau on.

    Args:
        image: thorax area H, (B, 1, X, Y, Z) in [0, 1], 0 outside the lungs, and not everywhere.
        ensemble: of which `runs_whole` is true.
        tau: cells without a voxel at or above it are not asked about, nor are those that are 0 altogether.
        progress: whether a bar shows the members.

    Returns:
        (B, members, X, Y, Z) float16, each member's probability of healthy tissue; 0 where none was asked.
    """
    (box,) = boxes_round((image > 0).flatten(0, 1).any(0).numpy(force=True))
    members, thorax = ensemble.members, image[:, :, *box]
    in_blocks = isinstance(members[0], SubpixelUNet)
    scale = 2 if in_blocks else 1  # voxels along an axis of what a network sees as one
    if in_blocks:
        thorax = to_blocks(_filled(thorax, scale))
    thorax = thorax.contiguous(memory_format=torch.channels_last_3d)
    brightest = thorax.amax(1, keepdim=True)
    kind = thorax.device.type
    if torch.is_autocast_enabled(kind):  # once for all members
        thorax = thorax.to(torch.get_autocast_dtype(kind))
    # One more takes what lies beyond the image.
    probability = image.new_zeros((len(members), image.numel() + 1), dtype=torch.float16)
    bar = tqdm(members, "Members", leave=False, disable=not progress)
    for number, (member, found) in enumerate(zip(bar, probability, strict=True)):
        lead = number * LEAD_STEP % ALIGNMENT
        seen, brightest_seen = (
            _filled(volume, ALIGNMENT // scale, lead=lead // scale, least=SMALLEST // scale)
            for volume in (thorax, brightest)
        )
        start = [side.start - lead for side in box]
        for cells, logits in _logits_of_cells(member, seen, _cells_with_tissue(brightest_seen, tau)):
            voxels, beyond = _rows_of_cubes(cells, 2 * scale, image.shape[2:], start)
            answers = logits.flatten().float().sigmoid().half()
            found.index_copy_(0, voxels.masked_fill(beyond, image.numel()), answers)
    return probability[:, :-1].unflatten(1, (len(image), *image.shape[2:])).transpose(0, 1)


def _cells_with_tissue(brightest: torch.Tensor, tau: float) -> torch.Tensor:
    """Finds the cells, each the voxels that the last layer makes of one of its input: (cells, 4), batch first."""
    of_cells = torch.nn.functional.max_pool3d(brightest, 2)[:, 0]
    return ((of_cells > 0) & (of_cells >= tau)).nonzero()


def _logits_of_cells(
    member: torch.nn.Module, seen: torch.Tensor, wanted: torch.Tensor
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Runs a member, but its last layer for some cells alone.

    Args:
        member: a U-Net.
        seen: a thorax as the U-Net itself sees it, (B, channels, X, Y, Z).
        wanted: (cells, 4), batch first.

    Yields:
        Some of the cells, and the logits of their voxels, (cells, voxels of a cell).
    """
    first, between, last = _layers(member)
    finest = first(seen)
    features = [finest, between(finest)]
    weights, bias = _of_one_cell(
        last, [volume.shape[1] for volume in features], isinstance(member, SubpixelUNet)
    )
    for cells in wanted.split(CELLS_AT_ONCE):
        neighbours, beyond = _rows_of_cubes(cells, 2, finest.shape[2:], (0, 0, 0), step=1)
        logits = bias
        for volume, weight in zip(features, weights, strict=True):
            by_row = volume.permute(0, 2, 3, 4, 1).flatten(0, 3)  # a view: channels lie last
            by_neighbour = by_row.index_select(0, neighbours.masked_fill(beyond, 0))
            by_neighbour.index_fill_(0, beyond.nonzero()[:, 0], 0)
            logits = torch.addmm(logits, by_neighbour.view(len(cells), -1), weight)
        yield cells, logits


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


def _rows_of_cubes(
    cells: torch.Tensor, edge: int, shape: Sequence[int], start: Sequence[int], *, step: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers the voxels of a cube at each cell, in volumes (B, X, Y, Z).

    Args:
        cells: (cells, 4), batch first.
        edge: of the cube, voxels.
        shape: X, Y, Z.
        start: voxel at which the first cell lies.
        step: voxels from one cell to the next along an axis; by default the cubes lie side by side.

    Returns:
        (cells * edge^3) rows, and whether each lies beyond the volumes.
    """
    along = torch.arange(edge, device=cells.device)
    rows = cells[:, 0, None, None, None]
    for axis, (length, first) in enumerate(zip(shape, start, strict=True), start=1):
        places = cells[:, axis, None] * (step or edge) + first + along
        places = places.masked_fill((places < 0) | (places >= length), NOWHERE)
        rows = rows * length + places.unflatten(1, [edge if other == axis else 1 for other in (1, 2, 3)])
    rows = rows.flatten()
    return rows, rows < 0


def _filled(volume: torch.Tensor, multiple: int, *, lead: int = 0, least: int = 0) -> torch.Tensor:
    """Puts so many voxels of 0 before a volume (B, channels, X, Y, Z), and behind it what makes its sides multiples."""
    fill: list[int] = []
    for length in reversed(volume.shape[2:]):
        fill += [lead, max(-(length + lead) % multiple, least - lead - length)]
    return torch.nn.functional.pad(volume, fill)
