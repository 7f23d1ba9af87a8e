import numpy as np
import pytest

from normnet.metrics import bright_voxel_scores, rank_auc, slice_auc, voxel_scores


def test_lesion_scores_by_hand():
    truth = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    prediction = np.array([1, 1, 0, 0, 1, 0, 0, 0])
    scores = voxel_scores(prediction, truth)
    assert scores == pytest.approx({"DSC": 100 * 4 / 7, "PSC": 100 * 2 / 3, "SEN": 50})


def test_a_perfect_mask_has_full_marks():
    mask = np.array([True, False])
    assert voxel_scores(mask, mask) == {"DSC": 100, "PSC": 100, "SEN": 100}


def test_a_case_without_lesions_has_no_dice_and_no_sensitivity():
    nothing, something = np.zeros(4, bool), np.ones(4, bool)
    assert voxel_scores(something, nothing) == pytest.approx(
        {"DSC": np.nan, "PSC": 0, "SEN": np.nan}, nan_ok=True
    )
    assert all(np.isnan(score) for score in voxel_scores(nothing, nothing).values())


def test_a_mask_that_misses_everything_has_no_precision():
    assert voxel_scores(np.zeros(4, bool), np.ones(4, bool)) == pytest.approx(
        {"DSC": 0, "PSC": np.nan, "SEN": 0}, nan_ok=True
    )


def test_masks_of_two_shapes_are_refused():
    with pytest.raises(ValueError, match=r"one shape, got \(2,\) and \(3,\)"):
        voxel_scores(np.zeros(2), np.zeros(3))


def test_bright_scores_count_bright_voxels_alone_with_healthy_as_positive():
    # truly healthy:     1     1     1     1    0    0    -
    healthy = np.array([1, 1, 1, 0, 1, 0, 1])
    lesion = np.array([0, 0, 0, 0, 1, 1, 0])
    bright = np.array([1, 1, 1, 1, 1, 1, 0])
    probability = np.array([0.9, 0.9, 0.9, 0.2, 0.8, 0.1, 0.0])
    scores = bright_voxel_scores(healthy, lesion, bright, probability)
    # Of 4 x 2 pairs of a healthy and a lesion voxel, only (0.2, 0.8) is the wrong way round.
    assert scores == pytest.approx({"precision": 75, "sensitivity": 75, "specificity": 50, "AUC": 87.5})


def test_bright_scores_without_a_probability_have_no_auc():
    scores = bright_voxel_scores(np.ones(2), np.array([0, 1]), np.ones(2))
    assert scores == pytest.approx(
        {"precision": 50, "sensitivity": 100, "specificity": 0, "AUC": np.nan}, nan_ok=True
    )


def test_auc_is_the_share_of_pairs_in_the_right_order_with_ties_by_half():
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 6, 60).astype(np.float32), rng.random(60) < 0.4
    positive, negative = scores[labels][:, None], scores[~labels][None]
    expected = ((positive > negative).mean() + (positive >= negative).mean()) / 2
    assert rank_auc(scores, labels) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("scores", "expected"), [([0, 1, 2, 3], 1), ([3, 2, 1, 0], 0), ([1, 1, 1, 1], 0.5)])
def test_auc_of_the_extremes(scores, expected):
    assert slice_auc(np.array(scores), np.array([0, 0, 1, 1])) == expected


def test_auc_of_one_class_is_not_a_number():
    assert np.isnan(slice_auc(np.arange(3.0), np.ones(3)))


def test_scores_that_cannot_be_ranked_are_refused():
    with pytest.raises(ValueError, match="finite"):
        rank_auc(np.array([0.5, np.nan]), np.array([0, 1]))
    with pytest.raises(ValueError, match="as many scores as labels"):
        rank_auc(np.arange(3.0), np.ones(2))
