"""Fine-tuning by the real server: weights that are worse do not serve, better ones do, older ones come back."""

import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monailabel.client import MONAILabelClient

from monailabel_app.lib.acceptance import split_corrections
from tests.app.conftest import OVERLAY, copy_chests, truth_of
from tests.app_server import Server, fine_tune, running_server
from tests.e2e.conftest import TRAINING

pytestmark = pytest.mark.slow  # minutes of real commands and servers

FAST = {**TRAINING, **OVERLAY, "learning_rate": 0.003, "epoch_iterations": 10, "healthy_probability": 0.5}
"""train.json's own learning rate, which moves the weights within a minute. On this coarse grid, which they were not
trained on, the shipped weights are sure of nothing: at 0.99 all that is bright is a lesion before and after."""

HALF = {"val_split": 0.5, "max_epochs": 2}
"""Options of a training: one of two corrections is held out."""

PATIENTS = ("covid_0", "covid_1")
COMMAND = Path(__file__).resolve().parents[2] / "scripts" / "weights.py"


def masks(client: MONAILabelClient, tmp_path: Path, version: str = "current") -> dict[str, np.ndarray]:
    """Segments both patients."""
    client._tmpdir = str(tmp_path)
    options = {"result_extension": ".nii.gz", "device": "cpu", "version": version}
    files = {patient: client.infer("normnet", patient, options)[0] for patient in PATIENTS}
    return {patient: np.asarray(nib.load(file).dataobj) for patient, file in files.items()}


def served(server: Server) -> str:
    """The hash of the weights that answer now."""
    params = {"result_extension": ".nrrd", "device": "cpu"}
    return str(server.client.infer("normnet", PATIENTS[0], params)[1]["weights"])


def dice(mask: np.ndarray, truth: Path) -> float:
    lesion = np.asarray(nib.load(truth).dataobj) > 0
    return float(
        2 * np.count_nonzero(lesion & (mask > 0)) / (np.count_nonzero(lesion) + np.count_nonzero(mask))
    )


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(first[patient], second[patient]) for patient in PATIENTS)


def test_better_weights_serve_worse_ones_do_not_and_older_ones_come_back(
    chests: Path, tmp_path: Path
) -> None:
    """An annotator corrects two patients, then calls one of them healthy, which contradicts the one held out."""
    studies = copy_chests(chests, tmp_path / "studies")
    names = [{"image": f"{patient}.nii.gz", "label": ""} for patient in PATIENTS]
    held_out = split_corrections(names, 0.5)[1][0]["image"].removesuffix(".nii.gz")
    (trained,) = set(PATIENTS) - {held_out}
    truth = truth_of(chests, held_out)
    conf = {"overlay": FAST, "healthy": chests / "healthy"}
    env = {"MONAI_LABEL_AUTO_UPDATE_SCORING": "false"}
    with running_server(studies, tmp_path / "server", env=env, **conf) as server:
        client = server.client
        client._tmpdir = str(tmp_path)
        shipped, at_first = served(server), masks(client, tmp_path)

        for patient in PATIENTS:
            client.save_label(patient, str(truth_of(chests, patient)))
        stats = fine_tune(server, **HALF)
        assert (stats["version"], stats["switched"]) == ("1", True)
        assert stats["metrics"]["lesion_dice"] > stats["metrics"]["lesion_dice_before"]
        learnt, better = served(server), masks(client, tmp_path)
        assert learnt != shipped
        assert dice(better[held_out], truth) > dice(at_first[held_out], truth)

        scan = nib.load(studies / f"{trained}.nii.gz")
        nib.save(nib.Nifti1Image(np.zeros(scan.shape, np.uint8), scan.affine), tmp_path / "empty.nii.gz")
        client.save_label(trained, str(tmp_path / "empty.nii.gz"))
        stats = fine_tune(server, **HALF)
        assert (stats["version"], stats["switched"]) == ("2", False)
        assert stats["metrics"]["from_version"] == "1"
        assert stats["metrics"]["lesion_dice"] < stats["metrics"]["lesion_dice_before"]
        assert client.info()["models"]["normnet"]["config"]["version"] == ["current", "0", "1", "2"]
        assert served(server) == learnt
        assert same(masks(client, tmp_path), better)
        worse = masks(client, tmp_path, "2")
        assert dice(worse[held_out], truth) < dice(better[held_out], truth)

        fine_tune(server, restore="0")
        assert served(server) == shipped
        assert same(masks(client, tmp_path), at_first)
        words = ["switch", "1", f"--folder={tmp_path / 'server' / 'model' / 'versions'}"]
        done = subprocess.run(
            [sys.executable, str(COMMAND), *words], capture_output=True, text=True, check=False
        )
        assert done.stdout == "Version 1 is in use.\n", done.stderr
        assert served(server) == learnt
        assert same(masks(client, tmp_path), better)


def test_a_training_that_is_stopped_changes_nothing(chests: Path, tmp_path: Path) -> None:
    studies = copy_chests(chests, tmp_path / "studies")
    env = {"MONAI_LABEL_AUTO_UPDATE_SCORING": "false"}
    with running_server(studies, tmp_path / "server", env=env, overlay=FAST) as server:
        client, shipped = server.client, served(server)
        client.save_label("covid_0", str(truth_of(chests, "covid_0")))
        client.train_start("normnet", {"device": "cpu", "max_epochs": 1000})
        end = time.monotonic() + 300
        while not client.info()["train_stats"]["normnet"].get("epoch"):
            assert time.monotonic() < end, "no epoch was trained"
            time.sleep(0.5)
        assert client.train_status(check_if_running=True)
        stats = client.info()["train_stats"]["normnet"]
        assert 0 < stats["epoch"] < stats["total_epochs"] == 5 * 1000
        assert {"best_metric", "current_time", "start_ts"} <= set(stats)
        client.train_stop()
        assert not client.train_status(check_if_running=True)
        assert client.info()["models"]["normnet"]["config"]["version"] == ["current", "0"]
        assert served(server) == shipped
        stats = fine_tune(server, max_epochs=1)
        assert (stats["version"], stats["epoch"], stats["total_epochs"]) == ("1", 5, 5)
