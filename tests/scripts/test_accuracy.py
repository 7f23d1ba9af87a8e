"""What accuracy.md counts, on volumes of a few voxels."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from normnet import bundle_root
from scripts.accuracy import error_by_disagreement, healthy_lost
from scripts.accuracy_cases import Case
from scripts.accuracy_page import TEMPLATE


def case(votes: list[int], members: int, truth: list[bool]) -> Case:
    """A row of bright voxels, each called healthy by so many of the members."""
    probability = torch.zeros(members, len(votes), 1, 1)
    for voxel, count in enumerate(votes):
        probability[:count, voxel] = 1
    image = torch.ones(1, len(votes), 1, 1)
    return Case({"image": image, "lungs": image, "pred": probability}, np.array(truth).reshape(-1, 1, 1))


def test_a_lesion_voted_healthy_and_healthy_tissue_that_is_not_are_wrong() -> None:
    agreed, split = error_by_disagreement(case([3, 0, 2, 1], 3, [True, True, True, False]))
    assert (agreed["minority"], agreed["voxels"], agreed["wrong"]) == (0, 50, 50)  # 3 votes for a lesion
    assert (split["minority"], split["voxels"], split["wrong"]) == (1, 50, 100)


def test_lost_tissue_is_counted_for_members_vote_and_mean() -> None:
    lost = healthy_lost(case([3, 2, 1, 0], 3, [False] * 4))
    assert lost == {"member 0": 25, "member 1": 50, "member 2": 75, "the vote": 50, "the mean": 75}


def test_one_member_of_a_case_is_a_case() -> None:
    one = case([3, 2], 3, [False, False]).of_member(2)
    assert one.study["pred"][:, :, 0, 0].tolist() == [[1, 0]]
    with pytest.raises(IndexError):
        one.study["pred"][1]


def test_the_committed_page_has_the_templates_words() -> None:
    committed = (Path(bundle_root()) / "docs" / "accuracy.md").read_text()
    for words in re.split(r"\{\w+\}", TEMPLATE):
        assert words.strip() in committed
    assert "as the paper did" not in committed
