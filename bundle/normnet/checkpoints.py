"""Weights and training checkpoints on disk, never half-written."""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from normnet.errors import InputError
from normnet.whole_file import written_whole

__all__ = [
    "fit_weights",
    "load_weights",
    "read_checkpoint",
    "save_weights",
    "weights_hash",
    "write_checkpoint",
]

HASH_LENGTH = 12
"""Hexadecimal digits of a weights' hash that reports show."""


def write_checkpoint(content: Any, path: str | Path) -> None:
    """Saves beside the path, then renames: the path holds the old content or the new one, never half of it.

    Raises:
        InputError: the disk is full, or the folder cannot be written.
    """
    path = Path(path)
    saved = io.BytesIO()
    torch.save(content, saved)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as beside:
            beside.write_bytes(saved.getbuffer())
    except OSError as error:
        raise InputError(f"{path}: weights cannot be written here ({error.strerror}).") from error


def read_checkpoint(path: str | Path) -> Any:
    """Loads tensors and plain values, on the CPU.

    Raises:
        InputError: the file is missing or no checkpoint.
    """
    if not Path(path).is_file():
        raise InputError(
            f"{path}: there are no weights here; train them, or name another file by --checkpoint."
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(
            f"{path}: expected weights saved by torch.save, but the file cannot be read as such."
        ) from error


def save_weights(network: torch.nn.Module, path: str | Path, *, half: bool = False) -> None:
    """Saves a network's weights, contiguous.

    Args:
        network: whose weights.
        path: where to.
        half: float16 in the place of float32: half the file; `load_weights` gives them back as float32.
    """
    weights = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    if half:
        weights = {
            name: value.half() if value.is_floating_point() else value for name, value in weights.items()
        }
    write_checkpoint(weights, path)


def load_weights(network: torch.nn.Module, path: str | Path) -> torch.nn.Module:
    """Loads weights, strictly, and returns the network.

    Raises:
        InputError: the file is missing, unreadable, or holds the weights of another network.
    """
    return fit_weights(network, read_checkpoint(path), path)


def fit_weights(network: torch.nn.Module, weights: Any, path: str | Path) -> torch.nn.Module:
    """Puts the weights that a file held into a network, strictly, and returns it.

    Raises:
        InputError: they are those of another network.
    """
    try:
        network.load_state_dict(weights, strict=True)
    except (RuntimeError, TypeError, AttributeError) as error:
        wanted = len(network.state_dict())
        found = len(weights) if hasattr(weights, "__len__") else type(weights).__name__
        names = [str(name).split(".") for name in weights] if isinstance(weights, Mapping) else []
        members = len({name[1] for name in names if name[0] == "members" and len(name) > 1})
        here = f" ({members} here)" if members else ""
        raise InputError(
            f"{path}: expected the {wanted} tensors of {type(network).__name__}, but the file's {found} do not fit it; "
            f"other networks want their --architecture and number of --members{here}."
        ) from error
    return network


def weights_hash(path: str | Path) -> str:
    """Names the exact weights: the first digits of the file's SHA-256."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:HASH_LENGTH]
