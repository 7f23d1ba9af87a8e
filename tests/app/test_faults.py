"""A server that is killed, or whose disk is full: nothing is lost, and it works again after a restart."""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import psutil
import pytest
import requests

from tests.app.conftest import OVERLAY, copy_chests, truth_of
from tests.app_server import Server, running_server, server_command
from tests.e2e.conftest import TRAINING

pytestmark = pytest.mark.slow  # minutes of real commands and servers

QUIET = {"MONAI_LABEL_AUTO_UPDATE_SCORING": "false"}


def kill(server: Server) -> None:
    """Takes the server and all that it started away at once, as a power cut would."""
    family = psutil.Process(server.process.pid).children(recursive=True)
    for process in [*family, server.process]:
        os.kill(process.pid, signal.SIGKILL)
    server.process.wait()


def test_killed_while_labels_are_saved(chests: Path, tmp_path: Path) -> None:
    studies = copy_chests(chests, tmp_path / "studies")
    truth = truth_of(chests, "covid_0")
    with running_server(studies, tmp_path / "server", env=QUIET, overlay=OVERLAY) as server:
        server.client.save_label("covid_0", str(truth))

        def save_again_and_again() -> None:
            try:
                while True:
                    with truth.open("rb") as label:
                        files = {"label": ("label.nii.gz", label)}
                        requests.put(f"{server.url}/datastore/label?image=covid_0", files=files, timeout=10)
            except requests.RequestException:
                pass

        saving = threading.Thread(target=save_again_and_again)
        saving.start()
        time.sleep(1.5)
        kill(server)
        saving.join()
    label = studies / "labels" / "final" / "covid_0.nii.gz"
    assert np.asarray(nib.load(label).dataobj).any()
    with running_server(studies, tmp_path / "again", env=QUIET, overlay=OVERLAY) as server:
        assert server.client.info()["datastore"]["completed"] == 1
        assert server.client.infer("normnet", "covid_0", {"result_extension": ".nrrd"})[1]["lung_ml"] > 0


def test_killed_in_training(chests: Path, tmp_path: Path) -> None:
    studies = copy_chests(chests, tmp_path / "studies")
    overlay = {**TRAINING, **OVERLAY}
    with running_server(studies, tmp_path / "server", env=QUIET, overlay=overlay) as server:
        client = server.client
        before = client.infer("normnet", "covid_0", {"result_extension": ".nrrd"})[1]
        client.save_label("covid_0", str(truth_of(chests, "covid_0")))
        client.train_start("normnet", {"max_epochs": 1000, "device": "cpu"})
        end = time.monotonic() + 180
        while not any((tmp_path / "server" / "model").rglob("checkpoint.pt")):
            assert time.monotonic() < end, "training did not write a checkpoint"
            time.sleep(0.5)
        kill(server)
    with running_server(studies, tmp_path / "server", env=QUIET, overlay=overlay) as server:
        info = server.client.info()
        assert info["datastore"]["completed"] == 1
        assert info["models"]["normnet"]["config"]["version"] == ["current", "0"]
        after = server.client.infer("normnet", "covid_0", {"result_extension": ".nrrd"})[1]
        assert (after["lesion_ml"], after["weights"]) == (before["lesion_ml"], before["weights"])


def test_a_full_disk_refuses_a_label_and_keeps_the_old_one(chests: Path, tmp_path: Path) -> None:
    """No file may grow beyond the limit, as on a full disk."""
    studies = copy_chests(chests, tmp_path / "studies")
    truth = truth_of(chests, "covid_0")
    label = studies / "labels" / "final" / "covid_0.nii.gz"
    with running_server(studies, tmp_path / "server", env=QUIET, overlay=OVERLAY) as server:
        server.client.save_label("covid_0", str(truth))
        before = label.read_bytes()
        limit = str(truth.stat().st_size // 2)
        subprocess.run(["prlimit", f"--pid={server.process.pid}", f"--fsize={limit}:unlimited"], check=True)
        with truth.open("rb") as upload:
            files = {"label": ("label.nii.gz", upload)}
            answer = requests.put(f"{server.url}/datastore/label?image=covid_0", files=files, timeout=60)
        assert answer.status_code in (422, 507)
        assert "File too large" in answer.json()["detail"]
        assert label.read_bytes() == before
        unlimited = ["prlimit", f"--pid={server.process.pid}", "--fsize=unlimited:unlimited"]
        subprocess.run(unlimited, check=True)
        server.client.save_label("covid_0", str(truth))


def test_without_weights_it_says_which_command_makes_them(chests: Path, tmp_path: Path) -> None:
    studies = copy_chests(chests, tmp_path / "studies")
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    command = [*server_command(studies, 0), "--conf", "bundle", str(bundle)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "python scripts/train_ensemble.py HEALTHY_DIR" in done.stdout + done.stderr
