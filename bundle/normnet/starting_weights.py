"""A member that starts from the weights it has in an ensemble."""

from pathlib import Path

import torch

from normnet.checkpoints import read_checkpoint
from normnet.errors import InputError
from normnet.network import ARCHITECTURE, member_network

__all__ = ["count_members", "member_of_ensemble"]

PREFIX = "members."


def member_of_ensemble(
    checkpoint: str | Path, member: int, architecture: str = ARCHITECTURE
) -> torch.nn.Module:
    """Builds one member of an ensemble with its weights.

    Args:
        checkpoint: the ensemble's weights.
        member: its number, from 0.
        architecture: a key of `normnet.network.ARCHITECTURES`.

    Raises:
        InputError: the file is missing or no ensemble's, has no such member, or one of another architecture.
    """
    weights = _ensemble_weights(checkpoint)
    prefix = f"{PREFIX}{member}."
    own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    if not own:
        raise InputError(
            f"{checkpoint}: expected an ensemble with a member {member}, got members 0 to {_count(weights) - 1}."
        )
    network = member_network(architecture)
    try:
        network.load_state_dict(own, strict=True)
    except RuntimeError as error:
        raise InputError(
            f"{checkpoint}: expected members of architecture {architecture!r}, got others."
        ) from error
    return network


def count_members(checkpoint: str | Path) -> int:
    """Counts the members of an ensemble's weights.

    Raises:
        InputError: the file is missing or no ensemble's.
    """
    return _count(_ensemble_weights(checkpoint))


def _ensemble_weights(checkpoint: str | Path) -> dict[str, torch.Tensor]:
    weights = read_checkpoint(checkpoint)
    if not isinstance(weights, dict) or not any(str(name).startswith(PREFIX) for name in weights):
        raise InputError(f"{checkpoint}: expected the weights of an ensemble, got others.")
    return weights


def _count(weights: dict[str, torch.Tensor]) -> int:
    return len({name.split(".")[1] for name in weights if name.startswith(PREFIX)})
