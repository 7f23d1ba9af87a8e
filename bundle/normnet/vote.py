"""What the ensemble calls healthy tissue: by the vote of its members (III-A, IV-E1), or by the mean of their logits."""

from typing import Final, Literal

import torch

from normnet.errors import InputError

__all__ = [
    "HEALTHY_PROBABILITY",
    "MAJORITY",
    "MEAN",
    "SUREST",
    "Votes",
    "count_votes",
    "majority",
    "mean_opinion",
    "refuse_other_votes",
    "vote_healthy",
]

HEALTHY_PROBABILITY = 0.95
"""A member calls a voxel healthy above this probability (IV-B3)."""

MAJORITY: Final = "majority"
"""In the place of a number of votes: more than half of the members', as in the paper."""

MEAN: Final = "mean"
"""In the place of a number of votes: the members' logits are averaged, and the threshold is that of their mean."""

Votes = int | Literal["majority", "mean"]
"""How the members decide: by so many votes, by the majority, by their mean."""

SUREST = 1 - 2**-11
"""As sure as a member may be of anything: the last step of float16 below 1, in which the probabilities are kept."""


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
    _refuse_other_shapes(probability)
    return (probability > threshold).sum(dim=0, dtype=torch.uint8)


def mean_opinion(probability: torch.Tensor) -> torch.Tensor:
    """Averages the members' logits: a member that is sure counts for more than one that wavers at the threshold.

    Args:
        probability: (K, X, Y, Z), each member's probability of healthy tissue, in [0, 1].

    Returns:
        (X, Y, Z) float32, the probability that belongs to the mean logit, in [1 - SUREST, SUREST].

    Raises:
        ValueError: when probability is not (K, X, Y, Z).
    """
    _refuse_other_shapes(probability)
    total = torch.zeros(probability.shape[1:], device=probability.device)
    for member in probability:
        total += torch.logit(member.float(), eps=1 - SUREST)
    return torch.sigmoid(total / len(probability))


def vote_healthy(
    probability: torch.Tensor, threshold: float = HEALTHY_PROBABILITY, votes: Votes = MAJORITY
) -> torch.Tensor:
    """Marks the voxels that the members call healthy (III-A, IV-E1; the 0.95 is that of IV-B3).

    Args:
        probability: (K, X, Y, Z), each member's probability of healthy tissue, in [0, 1].
        threshold: a member votes for a voxel when its probability is strictly above it; with "mean", the members
            together have to be (`mean_opinion`).
        votes: how many votes it takes, 1..K; "majority", more than half; "mean", none.

    Returns:
        (X, Y, Z) bool, on the device of the input.

    Raises:
        ValueError: when probability is not (K, X, Y, Z).
        InputError: when votes is nothing of these; a config or a command line may ask for it.
    """
    members = len(probability)
    refuse_other_votes(votes, members)
    if votes == MEAN:
        return mean_opinion(probability) > threshold
    needed = majority(members) if votes == MAJORITY else votes
    return count_votes(probability, threshold) >= needed


def refuse_other_votes(votes: Votes, members: int) -> None:
    """Refuses a way to decide that so many members do not have.

    Raises:
        InputError: votes is no number of 1..members, nor "majority" or "mean".
    """
    if votes not in (MAJORITY, MEAN, *range(1, members + 1)):
        raise InputError(
            f"votes: expected between 1 and {members} votes of {members} members, got {votes!r} "
            f"({MAJORITY} or {MEAN} would do)."
        )


def _refuse_other_shapes(probability: torch.Tensor) -> None:
    if probability.ndim != 4:
        raise ValueError(f"expected probabilities of shape (K, X, Y, Z), got {tuple(probability.shape)}")
