"""Two annotators at work while the server trains: right answers, no label lost, and nobody waits for /info."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import requests
from monailabel.client import MONAILabelClient

from tests.app.conftest import OVERLAY, copy_chests, truth_of
from tests.app_server import running_server
from tests.e2e.conftest import TRAINING

pytestmark = pytest.mark.slow  # minutes of real commands and servers

INFERENCES, THREADS = 20, 4
INFO_S = 2.0
"""Longest that /info may take, seconds."""

IMAGES = ("covid_0", "covid_1", "healthy_0", "healthy_1")


def test_two_clients_while_the_server_trains(chests: Path, tmp_path: Path) -> None:
    studies = copy_chests(chests, tmp_path / "studies")
    overlay = {**TRAINING, **OVERLAY}
    with running_server(
        studies, tmp_path / "server", env={"MONAI_LABEL_AUTO_UPDATE_SCORING": "false"}, overlay=overlay
    ) as server:
        clients = [MONAILabelClient(server.url, str(folder(tmp_path / name)), name) for name in "ab"]
        expected = {image: mask(clients[0], image) for image in IMAGES}
        labels = {image: label_for(chests, studies, image, tmp_path) for image in IMAGES}
        clients[0].save_label("covid_1", str(labels["covid_1"]))
        clients[0].train_start("normnet", {"max_epochs": 50, "device": "cpu"})
        waits: list[float] = []
        over = threading.Event()
        watcher = threading.Thread(target=watch, args=(server.url, over, waits))
        watcher.start()

        def work(number: int) -> bool:
            client, image = clients[number % 2], IMAGES[number % len(IMAGES)]
            client.save_label(image, str(labels[image]), tag=f"round_{number}")
            return bool(np.array_equal(mask(client, image), expected[image]))

        with ThreadPoolExecutor(THREADS) as threads:
            right = list(threads.map(work, range(INFERENCES)))
        trained_throughout = clients[0].train_status(check_if_running=True)
        over.set()
        watcher.join()
        objects = clients[0].datastore()["objects"]
        clients[0].train_stop()
    assert all(right)
    assert trained_throughout
    assert len(waits) > INFERENCES
    assert max(waits) < INFO_S
    for number in range(INFERENCES):
        assert f"round_{number}" in objects[IMAGES[number % len(IMAGES)]]["labels"]
        assert (studies / "labels" / f"round_{number}" / f"{IMAGES[number % len(IMAGES)]}.nii.gz").is_file()


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def mask(client: MONAILabelClient, image: str) -> np.ndarray:
    file, _ = client.infer("normnet", image, {"result_extension": ".nii.gz", "device": "cpu"})
    return np.asarray(nib.load(file).dataobj)


def label_for(chests: Path, studies: Path, image: str, out: Path) -> Path:
    """A patient's truth; of a healthy chest the empty mask."""
    if image.startswith("covid"):
        return truth_of(chests, image)
    ct = nib.load(studies / f"{image}.nii.gz")
    empty = out / f"{image}_empty.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros(ct.shape, np.uint8), ct.affine), empty)
    return empty


def watch(url: str, over: threading.Event, waits: list[float]) -> None:
    while not over.is_set():
        started = time.monotonic()
        requests.get(f"{url}/info/", timeout=60).raise_for_status()
        waits.append(time.monotonic() - started)
        time.sleep(0.1)
