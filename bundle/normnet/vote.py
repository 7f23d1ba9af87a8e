"""The ensemble's vote for healthy tissue (IV-B3)."""

import torch

from normnet.errors import InputError

__all__ = ["HEALTHY_PROBABILITY", "count_votes", "majority", "vote_healthy"]

HEALTHY_PROBABILITY = 0.95
"""A member calls a voxel healthy above this probability (IV-B3)."""


def majority(members: int) -> int:
    """Returns the fewest votes that are more than half of the members: 3 of 5."""
    return members // 2 + 1


def count_votes(probability: torch.Tensor, threshold: float = HEALTHY_PROBABILITY) -> torch.Tensor:
    """Counts the members that call each voxel healthy.

    Args:
        probability: (K, X, Y, Z), each member's probability of healthy tissue, in [0, 1].
        threshold: a vote is a probability strictly above it.

    Returns:
        (X, Y, Z) uint8, in 0..K.

    Raises:
        ValueError: when probability is not (K, X, Y, Z).
    """
    if probability.ndim != 4:
        raise ValueError(f"expected probabilities of shape (K, X, Y, Z), got {tuple(probability.shape)}")
    return (probability > threshold).sum(dim=0, dtype=torch.uint8)


def vote_healthy(
    probability: torch.Tensor, threshold: float = HEALTHY_PROBABILITY, votes: int | None = None
) -> torch.Tensor:
    """Marks the voxels that enough members call healthy (IV-B3).

    Args:
        probability: (K, X, Y, Z), each member's probability of healthy tissue, in [0, 1].
        threshold: a member votes for a voxel when its probability is strictly above it.
        votes: how many votes it takes, 1..K; None is the majority.

    Returns:
        (X, Y, Z) bool, on the device of the input.

    Raises:
        ValueError: when probability is not (K, X, Y, Z).
        InputError: when votes is not in 1..K; a config or a command line may ask for it.
    """
    counts = count_votes(probability, threshold)
    members = probability.shape[0]
    needed = majority(members) if votes is None else votes
    if needed not in range(1, members + 1):
        raise InputError(
            f"votes: expected between 1 and {members} votes of {members} members, got {needed!r}."
        )
    return counts >= needed
