"""A compared method by the real commands, from healthy CTs to scores; every overlay takes a training step."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from normnet.baselines.threshold import chosen_threshold
from normnet.checkpoints import read_checkpoint
from normnet.evaluation import evaluate_folder
from normnet.training import completed_iterations
from tests.e2e.conftest import COARSE, CONFIGS, TRAINING, bundle_command, python

pytestmark = pytest.mark.slow  # minutes of real commands and servers

OVERLAYS = sorted(path.stem for path in (CONFIGS / "baselines").glob("*.json"))
NO_NETWORK = "bright_lung"
TINY = {
    **COARSE,
    "image_size": 32,
    "median_size": 3,
    "slab_slices": 16,
    "synthesis": TRAINING["synthesis"],
    "num_workers": 0,
    "epoch_iterations": 2,
}


def test_every_method_of_table_iii_has_an_overlay() -> None:
    assert len(OVERLAYS) == 11 + 1
    assert NO_NETWORK in OVERLAYS


@pytest.mark.parametrize("method", [name for name in OVERLAYS if name != NO_NETWORK])
def test_every_overlay_builds_a_method_that_learns_and_scores(method: str) -> None:
    parser = ConfigParser()
    parser.read_config([CONFIGS / "baseline.json", CONFIGS / "baselines" / f"{method}.json"])
    parser["image_size"], parser["device"] = 32, torch.device("cpu")
    assert parser.get_parsed_content("method") == method
    torch.manual_seed(0)
    network, optimizer = (parser.get_parsed_content(name) for name in ("network", "optimizer"))
    slices = torch.rand(4, 1, 32, 32)
    before = [weight.clone() for weight in network.parameters()]
    network.train()
    network(slices).backward()
    optimizer.step()
    assert any(not torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True))
    if method == "restoration":
        network.steps = 2
    with torch.no_grad():
        anomaly, healthy = network.eval().score(slices)
    assert anomaly.shape == healthy.shape == slices.shape
    assert float(anomaly.min()) >= 0


def test_a_method_is_trained_stopped_resumed_calibrated_and_scored(cohort: Path, tmp_path: Path) -> None:
    settings = {**TINY, "ckpt_dir": tmp_path / "models", "output_dir": tmp_path / "runs"}

    def run(run_id: str, data: str, **more: object) -> str:
        configs = ["baseline", "baselines/bayesian_vae"]
        command = bundle_command(run_id, configs, dataset_dir=cohort / data, **settings, **more)
        finished = python(*command, cwd=tmp_path)
        assert finished.returncode == 0, finished.stderr
        return finished.stderr

    run("training", "healthy", max_iterations=2)
    checkpoint = tmp_path / "runs" / "bayesian_vae" / "checkpoint.pt"
    assert completed_iterations(checkpoint) == 2
    assert "Training bayesian_vae: 100%" in run("training", "healthy", max_iterations=4)
    resumed = read_checkpoint(tmp_path / "models" / "bayesian_vae.pt")
    whole_dir = tmp_path / "whole"
    settings["ckpt_dir"], settings["output_dir"] = whole_dir / "models", whole_dir / "runs"
    settings["cache_dir"] = tmp_path / "runs" / "cache"
    run("training", "healthy", max_iterations=4)
    whole = read_checkpoint(whole_dir / "models" / "bayesian_vae.pt")
    assert all(torch.allclose(resumed[name], whole[name], atol=1e-6) for name in whole)

    run("calibrating", "healthy")
    run("segmenting", "diseased")
    threshold = chosen_threshold(whole_dir / "models" / "bayesian_vae_threshold.json")
    results = whole_dir / "runs" / "bayesian_vae" / "results"
    ct = nib.load(cohort / "diseased" / "covid_0.nii.gz")
    anomaly, lesion, lungs = (
        nib.load(results / "covid_0" / f"{name}.nii.gz") for name in ("anomaly", "lesion", "lungs")
    )
    assert anomaly.shape == ct.shape
    assert np.allclose(anomaly.affine, ct.affine)
    assert anomaly.get_data_dtype() == np.float32
    assert not anomaly.get_fdata()[lungs.get_fdata() == 0].any()
    assert np.array_equal(lesion.get_fdata() > 0, anomaly.get_fdata() > np.float32(threshold))
    rows = evaluate_folder(results, cohort / "diseased", tmp_path / "scores.csv")
    assert [row["case"] for row in rows] == ["covid_0", "covid_1"]
    assert all(np.isfinite(float(row["SEN"])) for row in rows)


def test_bright_lung_needs_no_training_and_gives_masks(cohort: Path, tmp_path: Path) -> None:
    settings = {**TINY, "ckpt_dir": tmp_path / "models", "output_dir": tmp_path / "runs"}
    for run_id, data in (("training", "healthy"), ("calibrating", "healthy"), ("segmenting", "diseased")):
        configs = ["baseline", f"baselines/{NO_NETWORK}"]
        command = bundle_command(run_id, configs, dataset_dir=cohort / data, **settings)
        finished = python(*command, cwd=tmp_path)
        assert finished.returncode == 0, finished.stderr
    results = tmp_path / "runs" / NO_NETWORK / "results"
    rows = evaluate_folder(results, cohort / "diseased", tmp_path / "scores.csv")
    assert all(float(row["DSC"]) > 5 for row in rows)


def test_segmenting_without_a_threshold_is_one_sentence(cohort: Path, tmp_path: Path) -> None:
    settings = {**TINY, "ckpt_dir": tmp_path / "models", "output_dir": tmp_path / "runs"}
    command = bundle_command(
        "segmenting", ["baseline", "baselines/ae"], dataset_dir=cohort / "diseased", **settings
    )
    finished = python(*command, cwd=tmp_path)
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    assert finished.stderr.strip().splitlines()[-1].startswith("error: ")
