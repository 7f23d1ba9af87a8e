"""The ensemble: members trained apart, merged into one network (III-A, IV-B3)."""

from collections.abc import Sequence
from pathlib import Path

import torch

from normnet.checkpoints import load_weights, save_weights
from normnet.errors import InputError
from normnet.network import ARCHITECTURE, member_network

__all__ = ["MEMBERS", "Ensemble", "merge_members"]

MEMBERS = 5
"""Networks in the ensemble (III-A)."""


class Ensemble(torch.nn.Module):
    """Asks every member: (B, 1, X, Y, Z) in, (B, members, X, Y, Z) probability of healthy tissue out.

    Args:
        members: number of networks.
        architecture: of each member, a key of `normnet.network.ARCHITECTURES`.
    """

    def __init__(self, members: int = MEMBERS, architecture: str = ARCHITECTURE) -> None:
        super().__init__()
        self.members = torch.nn.ModuleList(member_network(architecture) for _ in range(members))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Gives each member's probability, in [0, 1], a channel each."""
        probabilities = []
        for member in self.members:
            probabilities.append(torch.sigmoid(member(image)))
        return torch.cat(probabilities, dim=1)


def merge_members(
    member_paths: Sequence[str | Path], output: str | Path, *, architecture: str = ARCHITECTURE
) -> None:
    """Writes the weights of members trained apart as the weights of one `Ensemble`, in float16.

    Five members are 13 MB so; in float32 they would be over the 25 MB that a model zoo takes.

    Args:
        member_paths: the members' weights, in order.
        output: the ensemble's weights.
        architecture: of each member.

    Raises:
        InputError: there is no member; a file is missing or holds other weights than the architecture's.
    """
    if not member_paths:
        raise InputError(f"{output}: expected the weights of one member at least to merge, found none.")
    ensemble = Ensemble(len(member_paths), architecture)
    for member, path in zip(ensemble.members, member_paths, strict=True):
        load_weights(member, path)
    save_weights(ensemble, output, half=True)
