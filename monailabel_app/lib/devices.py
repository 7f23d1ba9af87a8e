"""The device that a client chose."""

from typing import Any

import torch
from monailabel.utils.others.generic import device_list, name_to_device

from normnet.errors import InputError
from normnet.settings import computes

__all__ = ["chosen_device"]


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
        device = name_to_device(name or None)
    except (TypeError, AttributeError, KeyError):  # no name at all
        device = None
    if device is None or not computes(device):
        raise InputError(f"device: expected one of {', '.join(device_list())}, got {choice!r}.")
    return str(torch.device(device))
