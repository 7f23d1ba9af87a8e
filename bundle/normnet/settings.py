"""What the settings of a run have to be, asked before its first CT is looked at."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from normnet.errors import InputError

__all__ = ["computes", "refuse_wrong_settings"]

PATCH_MULTIPLE = {"unet": 8, "dyn_unet": 8}
"""Voxels along a side of which a network's coarsest grid makes one, by architecture; of the others 16."""


def refuse_wrong_settings(settings: Mapping[str, Any], architecture: str = "") -> None:
    """Refuses the first setting that a run cannot work with.

    Args:
        settings: by name, each a key of `WANTED` or `patch_size`.
        architecture: of the networks, whose strides have to divide a patch.

    Raises:
        InputError: a setting is of another kind than is wanted, or out of range.
    """
    multiple = PATCH_MULTIPLE.get(architecture, 16)
    patch = (f"three multiples of {multiple}", _three(lambda side: _whole(1)(side) and side % multiple == 0))
    for name, found in settings.items():
        wanted, fits = patch if name == "patch_size" else WANTED[name]
        if not fits(found):
            raise InputError(f"{name}: expected {wanted}, found {found!r}.")


def computes(device: Any) -> bool:
    """Tells whether torch can compute on a device of this machine, by name or as torch has it."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError):
        return False
    return torch.device(device).type != "meta"  # which holds no numbers


def _whole(least: int) -> Callable[[Any], bool]:
    return lambda found: isinstance(found, int) and not isinstance(found, bool) and found >= least


def _is_number(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)


def _three(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda found: isinstance(found, list | tuple) and len(found) == 3 and all(map(fits, found))


WANTED: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(
        (
            "batch_size",
            "patches_per_slab",
            "slices_per_volume",
            "slab_slices",
            "val_interval",
            "draws",
            "members",
        ),
        ("a whole number of at least 1", _whole(1)),
    ),
    **dict.fromkeys(("num_workers", "base_seed", "seed"), ("a whole number from 0 on", _whole(0))),
    "spacing": ("three numbers of mm above 0", _three(lambda side: _is_number(side) and side > 0)),
    "learning_rate": ("a number from 0 on", lambda found: _is_number(found) and found >= 0),
    "device": ("a device of this machine, such as cpu or cuda:0", computes),
    "reduced_precision": ("true, false or null", lambda found: found in (True, False, None)),
    "save_probability": ("true or false", lambda found: found in (True, False)),
    "tau": ("a number above 0 and below 1", lambda found: _is_number(found) and 0 < found < 1),
}
"""What each setting has to be, in words and as a question."""
