"""What the rivals of accuracy.md call a lesion."""

import json
from pathlib import Path

import torch
from monai.data import MetaTensor

from normnet.baselines.autoencoder import SliceAutoencoder
from scripts.accuracy_cases import Case
from scripts.accuracy_rivals import Autoencoder, opened_threshold


def test_the_opening_removes_vessels_and_leaves_lumps() -> None:
    image = torch.zeros(1, 30, 30, 30)
    image[:, 2, 2, :] = 1  # a vessel
    image[:, 8:22, 8:22, 8:22] = 1
    study = {"image": image, "lungs": torch.ones_like(image)}
    found = opened_threshold(Case(study), on_ct=False)
    assert found[15, 15, 15] and not found[2, 2].any()


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
