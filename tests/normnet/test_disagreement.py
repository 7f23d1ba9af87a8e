import math

import pytest
import torch

from normnet.disagreement import disagreement_score, vote_entropy


def ladder(members: int) -> torch.Tensor:
    """A row of voxels: the first has 0 votes, the last has all."""
    probability = torch.zeros(members, members + 1, 1, 1)
    for votes in range(members + 1):
        probability[:votes, votes] = 1
    return probability


def test_entropy_of_five_members_by_hand():
    bright = torch.ones(6, 1, 1, dtype=torch.bool)
    one = -(0.2 * math.log2(0.2) + 0.8 * math.log2(0.8))
    two = -(0.4 * math.log2(0.4) + 0.6 * math.log2(0.6))
    entropy = vote_entropy(ladder(5), bright)
    assert entropy.dtype == torch.float32
    assert entropy.flatten().tolist() == pytest.approx([0, one, two, two, one, 0], abs=1e-6)


def test_an_even_split_is_one_bit():
    entropy = vote_entropy(ladder(2), torch.ones(3, 1, 1, dtype=torch.bool))
    assert entropy.flatten().tolist() == pytest.approx([0, 1, 0], abs=1e-6)


def test_voxels_that_are_not_bright_have_no_disagreement():
    bright = torch.tensor([True, False, True]).reshape(3, 1, 1)
    assert vote_entropy(ladder(2), bright).count_nonzero() == 0


def test_the_threshold_decides_what_a_vote_is():
    probability = torch.tensor([0.7, 0.3]).reshape(2, 1, 1, 1)
    bright = torch.ones(1, 1, 1, dtype=torch.bool)
    assert vote_entropy(probability, bright).item() == 0
    assert vote_entropy(probability, bright, threshold=0.5).item() == pytest.approx(1)


def test_the_score_is_the_mean_over_bright_voxels():
    disagreement = torch.tensor([1.0, 0.5, 0.0, 0.0]).reshape(4, 1, 1)
    bright = torch.tensor([True, True, True, False]).reshape(4, 1, 1)
    assert disagreement_score(disagreement, bright) == pytest.approx(0.5)
    assert disagreement_score(disagreement, torch.zeros_like(bright)) == 0


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"shape \(3, 1, 1\), got \(1, 1, 1\)"):
        vote_entropy(ladder(2), torch.ones(1, 1, 1, dtype=torch.bool))
