import pytest
import torch

from normnet.vote import MEAN, SUREST, count_votes, majority, mean_opinion, vote_healthy


def members(*probabilities: float) -> torch.Tensor:
    """One voxel, a probability for each member."""
    return torch.tensor(probabilities).reshape(-1, 1, 1, 1)


def test_three_of_five_is_a_majority_and_two_is_not():
    assert vote_healthy(members(0.99, 0.99, 0.99, 0.1, 0.1)).all()
    assert not vote_healthy(members(0.99, 0.99, 0.9, 0.1, 0.1)).any()


@pytest.mark.parametrize(("count", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_a_majority_is_more_than_half(count, needed):
    assert majority(count) == needed


def test_a_probability_at_the_threshold_is_no_vote():
    assert not vote_healthy(members(0.95)).any()
    assert vote_healthy(members(0.9501)).all()


def test_the_number_of_votes_and_the_threshold_can_be_chosen():
    split = members(0.99, 0.6, 0.6, 0.1, 0.1)
    assert vote_healthy(split, votes=1).all()
    assert vote_healthy(split, votes=1.0).all()  # as a command line may give it
    assert torch.equal(vote_healthy(split, votes="majority"), vote_healthy(split))
    assert vote_healthy(split, threshold=0.5).all()
    assert not vote_healthy(split, threshold=0.5, votes=4).any()


def test_votes_are_counted_voxel_by_voxel():
    probability = torch.zeros(2, 3, 1, 1)
    probability[0, 1:] = 1
    probability[1, 2] = 1
    assert count_votes(probability).flatten().tolist() == [0, 1, 2]


@pytest.mark.parametrize("votes", [0, 4])
def test_an_impossible_number_of_votes_is_refused(votes):
    with pytest.raises(ValueError, match=f"between 1 and 3 votes of 3 members, got {votes}"):
        vote_healthy(torch.zeros(3, 2, 2, 2), votes=votes)


def test_a_volume_without_members_is_refused():
    with pytest.raises(ValueError, match=r"\(K, X, Y, Z\), got \(2, 2, 2\)"):
        vote_healthy(torch.zeros(2, 2, 2))


def test_the_mean_is_that_of_the_logits():
    odds = members(9 / 10, 1 / 2, 1 / 10, 9 / 10, 1 / 2)  # 9:1, 1:1, 1:9, 9:1 and 1:1, together 9:1
    ratio = 9 ** (1 / 5)
    assert mean_opinion(odds).item() == pytest.approx(ratio / (1 + ratio), abs=1e-6)


def test_a_sure_member_outweighs_one_that_wavers():
    unsure = members(0.94, 0.94, 0.999)
    assert not vote_healthy(unsure).any()
    assert vote_healthy(unsure, votes=MEAN).all()
    assert not vote_healthy(members(0.96, 0.96, 0.01), votes=MEAN).any()


def test_no_member_is_surer_than_float16_can_say():
    sure = members(1.0, 1.0).half()
    assert mean_opinion(sure).item() == pytest.approx(SUREST, abs=1e-6)
    assert mean_opinion(members(1.0, 0.0)).item() == pytest.approx(0.5)


@pytest.mark.parametrize("votes", ["majority", MEAN])
def test_probabilities_without_members_are_refused(votes):
    with pytest.raises(ValueError, match="expected probabilities of shape"):
        vote_healthy(torch.zeros(2, 2, 2), votes=votes)


@pytest.mark.parametrize("votes", ["most", None])
def test_an_unknown_way_to_decide_is_refused(votes):
    with pytest.raises(ValueError, match=f"got {votes!r}"):
        vote_healthy(members(0.9), votes=votes)
