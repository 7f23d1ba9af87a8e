"""Training by the real command: from any folder, resumed after a kill, in parallel, as an ensemble."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from normnet.checkpoints import load_weights, read_checkpoint
from normnet.ensemble import Ensemble
from normnet.training import completed_iterations
from tests.e2e.conftest import CONFIGS, TRAINING, bundle_command, python

ROOT = CONFIGS.parents[1]
RESUME_TOLERANCE = 1e-6
"""Largest difference of a weight between a run that was killed and one that was not, in float32 on a CPU."""


def settings(cohort: Path, out: Path, **more: object) -> dict[str, object]:
    return {
        **TRAINING,
        "dataset_dir": cohort / "healthy",
        "ckpt_dir": out / "models",
        "output_dir": out / "runs",
        **more,
    }


@pytest.fixture(scope="module")
def trained(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Member 0, trained from a folder that has nothing to do with the project."""
    out = tmp_path_factory.mktemp("trained")
    finished = python(*bundle_command("training", ["train"], **settings(cohort, out)), cwd=out)
    assert finished.returncode == 0, finished.stderr
    assert "Training member 0: 100%" in finished.stderr
    return out


def test_training_writes_a_member_a_checkpoint_and_curves(trained: Path) -> None:
    assert completed_iterations(trained / "runs" / "member_0" / "checkpoint.pt") == 4
    assert (trained / "models" / "member_0.pt").is_file()
    assert list((trained / "runs" / "member_0").glob("events.out.tfevents.*"))


def test_killed_training_resumes_to_the_same_weights(trained: Path, cohort: Path, tmp_path: Path) -> None:
    command = bundle_command("training", ["train"], **settings(cohort, tmp_path))
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    checkpoint = tmp_path / "runs" / "member_0" / "checkpoint.pt"
    while not checkpoint.is_file() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert completed_iterations(checkpoint) == 2
    assert not (tmp_path / "models" / "member_0.pt").exists()
    finished = python(*command, cwd=ROOT)
    assert finished.returncode == 0, finished.stderr
    resumed = read_checkpoint(tmp_path / "models" / "member_0.pt")
    whole = read_checkpoint(trained / "models" / "member_0.pt")
    assert all(torch.allclose(resumed[name], whole[name], atol=RESUME_TOLERANCE) for name in whole)


def test_the_ensemble_skips_what_is_trained_and_merges(trained: Path, cohort: Path) -> None:
    options = [f"--{key}={value}" for key, value in settings(cohort, trained).items() if key != "dataset_dir"]
    script = str(ROOT / "scripts" / "train_ensemble.py")
    finished = python(script, str(cohort / "healthy"), "--members=2", *options, cwd=CONFIGS.parent)
    assert finished.returncode == 0, finished.stderr
    assert "Member 0 is trained already" in finished.stdout
    ensemble = load_weights(Ensemble(members=2), trained / "models" / "model.pt")
    first, second = (member.state_dict() for member in ensemble.members)
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_a_warm_start_goes_on_from_the_ensembles_weights_and_resumes(
    cohort: Path, weights: Path, tmp_path: Path
) -> None:
    start = read_checkpoint(weights)

    def run(iterations: int) -> str:
        options = settings(cohort, tmp_path, member=1, checkpoint=weights, max_iterations=iterations)
        finished = python(*bundle_command("training", ["train", "warm_start"], **options), cwd=tmp_path)
        assert finished.returncode == 0, finished.stderr
        return finished.stderr

    run(2)
    assert completed_iterations(tmp_path / "runs" / "member_1" / "checkpoint.pt") == 2
    trained = read_checkpoint(tmp_path / "models" / "member_1.pt")
    steps = [
        float((trained[name] - start[f"members.1.{name}"]).abs().max())
        for name in trained
        if "weight" in name
    ]
    # Adam moves no weight further than about the learning rate, 0.002, in one of the two iterations.
    assert 0 < max(steps) < 0.01
    assert "2/4" in (bar := run(4)) and "0/4" not in bar
    assert completed_iterations(tmp_path / "runs" / "member_1" / "checkpoint.pt") == 4


def test_two_processes_train_one_member(cohort: Path, tmp_path: Path) -> None:
    words = bundle_command(
        "training", ["train", "multi_gpu_train"], **settings(cohort, tmp_path, max_iterations=2)
    )
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    finished = python(*launcher, *words, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert (tmp_path / "models" / "member_0.pt").is_file()
    assert finished.stderr.count("Training member 0: 100%") >= 1


def test_an_empty_folder_is_one_sentence(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    finished = python(
        *bundle_command("training", ["train"], dataset_dir=empty, output_dir=tmp_path), cwd=tmp_path
    )
    assert finished.returncode == 1
    assert finished.stderr.strip().splitlines()[-1].startswith(f"error: {empty}: expected")
    assert "Traceback" not in finished.stderr
