"""Fine-tuning by the real command: corrected scans and synthetic lesions, from an ensemble's weights."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from normnet.checkpoints import read_checkpoint
from normnet.training import completed_iterations
from tests.e2e.conftest import TRAINING, bundle_command, python

pytestmark = pytest.mark.slow  # minutes of real commands and servers

SCORES = {
    "val_healthy_dice",
    "val_lesion_kept_out",
    "val_healthy_lost",
    "val_correction_healthy_dice",
    "val_correction_lesion_kept_out",
}


@pytest.fixture(scope="module")
def corrected(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two corrected scans: the label of the first holds its lesions' slices only, as a SEG read back does."""
    folder = tmp_path_factory.mktemp("corrected")
    for case in ("covid_0", "covid_1"):
        shutil.copy(cohort / "diseased" / f"{case}.nii.gz", folder)
    whole = nib.load(cohort / "diseased" / "covid_0_lesions.nii.gz")
    slices = np.flatnonzero(np.asarray(whole.dataobj).any(axis=(0, 1)))
    nib.save(whole.slicer[:, :, slices[0] : slices[-1] + 1], folder / "covid_0_label.nii.gz")
    shutil.copy(cohort / "diseased" / "covid_1_lesions.nii.gz", folder / "covid_1_label.nii.gz")
    items = [{"image": f"covid_{n}.nii.gz", "label": f"covid_{n}_label.nii.gz"} for n in (0, 1)]
    lists = {"corrections": items[:1], "corrections_validation": items[1:]}
    (folder / "dataset.json").write_text(json.dumps(lists))
    return folder


def settings(dataset: Path, weights: Path, out: Path, **more: object) -> dict[str, object]:
    return {**TRAINING, "dataset_dir": dataset, "checkpoint": weights, "output_dir": out, "member": 1, **more}


def test_a_member_learns_from_corrections(corrected: Path, weights: Path, tmp_path: Path) -> None:
    shipped = weights.read_bytes()
    words = bundle_command("training", ["train", "finetune"], **settings(corrected, weights, tmp_path))
    finished = python(*words, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert weights.read_bytes() == shipped
    assert completed_iterations(tmp_path / "member_1" / "checkpoint.pt") == 4
    tuned = read_checkpoint(tmp_path / "models" / "member_1.pt")
    start = read_checkpoint(weights)
    steps = [
        float((tuned[name] - start[f"members.1.{name}"]).abs().max()) for name in tuned if "weight" in name
    ]
    # Adam moves no weight further than about the learning rate in one of the four iterations.
    assert 0 < max(steps) < 1e-3
    metrics = json.loads((tmp_path / "member_1" / "metrics.json").read_text())
    assert set(metrics["before"]) == set(metrics["after"]) == SCORES
    assert metrics["before"] != metrics["after"]


def test_a_scan_without_lesions_is_a_correction_beside_healthy_cts(
    cohort: Path, weights: Path, tmp_path: Path
) -> None:
    image = cohort / "healthy" / "healthy_0.nii.gz"
    scan = nib.load(image)
    nib.save(nib.Nifti1Image(np.zeros(scan.shape, np.uint8), scan.affine), tmp_path / "empty.nii.gz")
    lists = {
        "corrections": [{"image": str(image), "label": "empty.nii.gz"}],
        "training": [{"image": str(cohort / "healthy" / "healthy_1.nii.gz")}],
        "validation": [{"image": str(cohort / "healthy" / "healthy_2.nii.gz")}],
    }
    (tmp_path / "dataset.json").write_text(json.dumps(lists))
    out = tmp_path / "out"
    words = bundle_command(
        "training", ["train", "finetune"], **settings(tmp_path, weights, out, max_iterations=2)
    )
    finished = python(*words, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    metrics = json.loads((out / "member_1" / "metrics.json").read_text())
    assert metrics["after"]["val_correction_lesion_kept_out"] is None  # There is no lesion to keep out.
    weights_after = read_checkpoint(out / "models" / "member_1.pt")
    assert all(torch.isfinite(value).all() for value in weights_after.values())


def test_another_patients_label_is_one_sentence(corrected: Path, weights: Path, tmp_path: Path) -> None:
    label = nib.load(corrected / "covid_1_label.nii.gz")
    elsewhere = label.affine.copy()
    elsewhere[2, 3] += 5000
    nib.save(nib.Nifti1Image(np.asarray(label.dataobj), elsewhere), tmp_path / "label.nii.gz")
    lists = {"corrections": [{"image": str(corrected / "covid_1.nii.gz"), "label": "label.nii.gz"}]}
    (tmp_path / "dataset.json").write_text(json.dumps(lists))
    words = bundle_command("training", ["train", "finetune"], **settings(tmp_path, weights, tmp_path / "out"))
    finished = python(*words, cwd=tmp_path)
    assert finished.returncode == 1
    last = finished.stderr.strip().splitlines()[-1]
    assert (
        last.startswith(f"error: {tmp_path / 'label.nii.gz'}: expected lesions of") and "outside it" in last
    )
    assert "Traceback" not in finished.stderr
