"""Slices ranked by lesion share, on two lungs of six slices."""

import numpy as np
import pytest

from scripts.slice_labels import scores

LEFT, RIGHT = np.s_[5:15, 5:25], np.s_[25:35, 5:25]


@pytest.fixture
def lungs() -> np.ndarray:
    mask = np.zeros((40, 30, 6), dtype=bool)
    mask[LEFT] = mask[RIGHT] = True
    return mask


def labels(left: list[int], right: list[int]) -> dict:
    lobes = {"LUL": [], "LLL": left, "RUL": [], "RML": right, "RLL": []}
    return {"infected_z": sorted({*left, *right}), "lobes": lobes}


def scored(lungs: np.ndarray, lesion: np.ndarray, marks: dict) -> dict[str, float]:
    ct = np.where(lungs, -850.0, 40.0)
    ct[lesion] = -400
    return scores(ct, lungs, lesion, (5.0, 5.0, 5.0), marks)


def test_each_lung_is_ranked_against_its_own_lobes(lungs: np.ndarray) -> None:
    lesion = np.zeros_like(lungs)
    lesion[6:10, 8:12, 4] = True  # left, in a slice marked for the left
    lesion[26:30, 8:12, 1] = True  # right, in a slice that is not marked for the right
    result = scored(lungs, lesion, labels(left=[4], right=[2]))
    assert (result["slices"], result["labelled"]) == (6, 2)
    assert result["left lung"] == 1.0
    assert result["right lung"] == pytest.approx(0.4)  # above none of the five, level with four of them
    assert result["lesion share"] == pytest.approx((1.0 - 0.5 / 4 + 0.5 * 3 / 4) / 2)


def test_a_lung_without_marks_has_no_auc(lungs: np.ndarray) -> None:
    assert np.isnan(scored(lungs, np.zeros_like(lungs), labels(left=[1], right=[]))["right lung"])


def test_slices_with_hardly_any_lung_are_left_out(lungs: np.ndarray) -> None:
    lungs[:, :, 0] = False
    lungs[5:7, 5, 0] = True
    assert scored(lungs, np.zeros_like(lungs), labels(left=[0], right=[1]))["slices"] == 5
