"""What accuracy.md counts, on volumes of a few voxels."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from normnet.baselines.autoencoder import SliceAutoencoder
from scripts.accuracy import error_by_disagreement, healthy_lost
from scripts.accuracy_cases import Case
from scripts.accuracy_rivals import Autoencoder, opened_threshold
from scripts.real_ct import false_percent


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


def test_lost_tissue_is_counted_for_members_and_for_the_vote() -> None:
    lost = healthy_lost(case([3, 2, 1, 0], 3, [False] * 4))
    assert lost == {"member 0": 25, "member 1": 50, "member 2": 75, "the vote": 50}


def test_the_opening_removes_vessels_and_leaves_lumps() -> None:
    image = torch.zeros(1, 30, 30, 30)
    image[:, 2, 2, :] = 1  # a vessel
    image[:, 8:22, 8:22, 8:22] = 1
    study = {"image": image, "lungs": torch.ones_like(image)}
    found = opened_threshold(Case(study), on_ct=False)
    assert found[15, 15, 15] and not found[2, 2].any()


def test_one_member_of_a_case_is_a_case() -> None:
    one = case([3, 2], 3, [False, False]).of_member(2)
    assert one.study["pred"][:, :, 0, 0].tolist() == [[1, 0]]
    with pytest.raises(IndexError):
        one.study["pred"][1]


def test_the_autoencoder_marks_what_it_cannot_rebuild_inside_the_lungs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(SliceAutoencoder().state_dict(), tmp_path / "ae.pt")
    (tmp_path / "ae_threshold.json").write_text(json.dumps({"threshold": 0.3}))
    grid = torch.diag(torch.tensor([0.8, 0.8, 1.0, 1.0]))
    image = MetaTensor(torch.zeros(1, 64, 64, 8), affine=grid)
    image[:, 16:48, 16:48] = 1  # an untrained network rebuilds nothing bright
    lungs = MetaTensor(torch.ones(1, 64, 64, 8), affine=grid)
    lungs[:, 32:] = 0
    lesion = Autoencoder(tmp_path).lesion
    for on_ct in (False, True):
        study = {"image": image, "lungs": lungs, "lung_mask": lungs, "ct": image}
        found = lesion(Case(study), on_ct=on_ct)
        assert found[20:30, 20:44].mean() > 0.9
        assert not found[32:].any() and not found[:12].any()


def test_a_marked_nodule_is_no_false_lesion(tmp_path: Path) -> None:
    lungs = np.ones((10, 10, 1), dtype=np.uint8)
    lesion, nodule = np.zeros_like(lungs), np.zeros_like(lungs)
    lesion[:3], nodule[:2] = 1, 1
    for name, mask in {"lungs": lungs, "lesion": lesion, "nodule": nodule}.items():
        nib.save(nib.Nifti1Image(mask, np.eye(4)), tmp_path / f"{name}.nii.gz")
    assert false_percent(tmp_path / "none.nii.gz", tmp_path) == 30
    assert false_percent(tmp_path / "nodule.nii.gz", tmp_path) == 100 * 10 / 80
