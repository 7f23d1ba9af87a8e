"""An ensemble of U-Nets over a whole thorax in one run: no window, no rim, little outside the lungs."""

from typing import TypeGuard

import torch
from monai.networks.blocks import Convolution
from monai.networks.nets import UNet
from tqdm import tqdm

from normnet.boxes import boxes_in_cubes
from normnet.ensemble import Ensemble
from normnet.network import SubpixelUNet, to_blocks, to_voxels

__all__ = ["CUBE", "probability_in_lungs", "runs_whole"]

ALIGNMENT = 16
"""A volume is filled up to multiples of it, voxels: four halvings, the most that a U-Net here has."""

SMALLEST = 32
"""Least length of an axis, voxels: with one voxel left along z, PyTorch 2.13's strided convolutions in bfloat16 give
noise or NaN on a CPU with matrix tiles (AMX)."""

CUBE = 96
"""Edge of the cubes in which the lungs are looked for, voxels: smaller ones hug them, larger ones are fewer."""


def runs_whole(network: object) -> TypeGuard[Ensemble]:
    """Tells whether a network is an ensemble of U-Nets that end in one transposed convolution."""
    return isinstance(network, Ensemble) and all(_layers(member) for member in network.members)


def probability_in_lungs(image: torch.Tensor, ensemble: Ensemble, *, progress: bool = False) -> torch.Tensor:
    """Asks every member about the lungs; the same as asking about the whole volume at once, but for rounding.

    Members share their input. Each runs over the whole thorax but for its last layer, which has a fifth of the
    operations and most of the memory. That one sees only the next cell of its input, so it is run in boxes round the
    lungs alone.

    Args:
        image: thorax area H, (B, 1, X, Y, Z) in [0, 1], 0 outside the lungs.
        ensemble: of which `runs_whole` is true.
        progress: whether a bar shows the members.

    Returns:
        (B, members, X, Y, Z) float16, each member's probability of healthy tissue; 0 far from any lung.
    """
    batch, _, *shape = image.shape
    fill = [part for length in reversed(shape) for part in (0, max(-length % ALIGNMENT, SMALLEST - length))]
    image = torch.nn.functional.pad(image, fill)
    in_blocks = isinstance(ensemble.members[0], SubpixelUNet)
    seen = to_blocks(image) if in_blocks else image.contiguous(memory_format=torch.channels_last_3d)
    cell = 4 if in_blocks else 2  # voxels to one of what the last layer is given
    lungs = torch.nn.functional.max_pool3d(image, cell).amax((0, 1)) > 0
    boxes = boxes_in_cubes(lungs.cpu().numpy(), CUBE // cell)
    members = ensemble.members
    probability = image.new_zeros((batch, len(members), *image.shape[2:]), dtype=torch.float16)
    bar = tqdm(members, "Members", leave=False, disable=not progress)
    for member, found in zip(bar, probability.unbind(1), strict=True):
        first, between, last = _layers(member)
        finest = first(seen)
        coarser = between(finest)
        for box in boxes:
            near = tuple(slice(side.start, side.stop + 1) for side in box)
            logits = last(torch.cat((finest[:, :, *near], coarser[:, :, *near]), dim=1))
            logits = to_voxels(logits) if in_blocks else logits
            inside = tuple(slice(side.start * cell, side.stop * cell) for side in box)
            x, y, z = (side.stop - side.start for side in inside)
            found[:, *inside] = logits[:, 0, :x, :y, :z].float().sigmoid()
    return probability[:, :, : shape[0], : shape[1], : shape[2]]


def _layers(member: torch.nn.Module) -> list[torch.nn.Module]:
    """Takes a U-Net apart: its first layer, all between, and its last; nothing of another network."""
    unet = member.unet if isinstance(member, SubpixelUNet) else member
    if not isinstance(unet, UNet):
        return []
    first, skip, last = unet.model.children()
    return [first, skip.get_submodule("submodule"), last] if isinstance(last, Convolution) else []
