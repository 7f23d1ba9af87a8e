"""How far the members of the ensemble disagree: a map, and one score for the image."""

import math

import torch

from normnet.vote import HEALTHY_PROBABILITY, count_votes

__all__ = ["disagreement_score", "vote_entropy"]


def vote_entropy(
    probability: torch.Tensor, bright: torch.Tensor, threshold: float = HEALTHY_PROBABILITY
) -> torch.Tensor:
    """Measures the members' disagreement as the entropy of their votes.

    The paper votes (III-A, IV-E1) and throws the split away; the split is the ensemble's own uncertainty.

    Args:
        probability: (K, X, Y, Z), each member's probability of healthy tissue, in [0, 1].
        bright: (X, Y, Z) bool, the voxels on which the vote means anything: lung at or above tau.
        threshold: a member votes for a voxel when its probability is strictly above it.

    Returns:
        (X, Y, Z) float32, bits in [0, 1]: 0 where all agree and outside bright, 1 where the vote is split
        evenly.

    Raises:
        ValueError: when the shapes do not fit.
    """
    counts = count_votes(probability, threshold)
    if bright.shape != counts.shape:
        raise ValueError(f"expected bright voxels of shape {tuple(counts.shape)}, got {tuple(bright.shape)}")
    members = probability.shape[0]
    share = torch.arange(members + 1, device=counts.device) / members
    entropy_of_count = (torch.special.entr(share) + torch.special.entr(1 - share)) / math.log(2)
    entropy = entropy_of_count.index_select(0, counts.flatten().int()).view(counts.shape)
    return torch.where(bright, entropy, 0)


def disagreement_score(disagreement: torch.Tensor, bright: torch.Tensor) -> float:
    """Averages a disagreement map over the bright lung voxels: the image's score for active learning.

    Args:
        disagreement: (X, Y, Z) float, bits in [0, 1].
        bright: (X, Y, Z) bool, lung at or above tau.

    Returns:
        The mean in bits, in [0, 1]; 0 where no voxel is bright.
    """
    return float(disagreement[bright].double().mean()) if bool(bright.any()) else 0.0
