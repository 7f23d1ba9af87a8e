"""Weights and training checkpoints on disk, never half-written."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import torch

from normnet.errors import InputError

__all__ = ["load_weights", "read_checkpoint", "save_weights", "weights_hash", "write_checkpoint"]

HASH_LENGTH = 12
"""Hexadecimal digits of a weights' hash that reports show."""


def write_checkpoint(content: Any, path: str | Path) -> None:
    """Saves beside the path, then renames: the path holds the old content or the new one, never half of it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save(content, file)
        beside.chmod(0o644)  # mkstemp keeps its files to their owner
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


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


def save_weights(network: torch.nn.Module, path: str | Path) -> None:
    """Saves a network's weights, float32, contiguous."""
    write_checkpoint({name: value.cpu().contiguous() for name, value in network.state_dict().items()}, path)


def load_weights(network: torch.nn.Module, path: str | Path) -> torch.nn.Module:
    """Loads weights, strictly, and returns the network.

    Raises:
        InputError: the file is missing, unreadable, or holds the weights of another network.
    """
    weights = read_checkpoint(path)
    try:
        network.load_state_dict(weights, strict=True)
    except (RuntimeError, TypeError, AttributeError) as error:
        wanted = len(network.state_dict())
        found = len(weights) if hasattr(weights, "__len__") else type(weights).__name__
        raise InputError(
            f"{path}: expected the {wanted} tensors of {type(network).__name__}, but the file's {found} do not fit it."
        ) from error
    return network


def weights_hash(path: str | Path) -> str:
    """Names the exact weights: the first digits of the file's SHA-256."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:HASH_LENGTH]
