"""The device that a client chose."""

from typing import Any

import torch
from monailabel.utils.others.generic import device_list, name_to_device

from normnet.errors import InputError

__all__ = ["chosen_device"]

KINDS = ("cpu", "cuda", "mps")
"""What computes; torch's `meta`, for one, is a device that holds no numbers."""


def chosen_device(choice: Any) -> str:
    """Names torch's device; a client's text goes into a config only after torch has understood it.

    Args:
        choice: a name, as clients show it or as torch does; a list counts by its head; None or "" is the GPU where
            there is one.

    Raises:
        InputError: there is no such device.
    """
    try:
        name = choice[0] if isinstance(choice, list) and choice else choice
        device = torch.device(name_to_device(name or None))
        if device.type not in KINDS:
            raise ValueError(device.type)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"device: expected one of {', '.join(device_list())}, got {choice!r}.") from error
    return str(device)
