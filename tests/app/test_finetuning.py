"""Fine-tuning as the server runs it: real labels in a real datastore, tiny networks' worth of training."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from monailabel.datastore.local import LocalDatastore

from monailabel_app.lib.dicomweb import DICOMWebStudies
from monailabel_app.lib.finetuning import FineTune
from monailabel_app.lib.pacs_client import dicomweb_client
from monailabel_app.lib.training_stats import write_stats
from monailabel_app.lib.versions import Versions
from normnet import bundle_root
from normnet.errors import InputError
from tests.app.small_pacs import small_pacs
from tests.e2e.conftest import SEGMENTING, TRAINING

ROOT = Path(__file__).resolve().parents[2]
OVERLAY = {**TRAINING, **SEGMENTING, "epoch_iterations": 1}
TRAIN_AGAIN = """
import sys
from pathlib import Path
from monailabel.datastore.local import LocalDatastore
from monailabel_app.lib.finetuning import FineTune
from monailabel_app.lib.training_stats import write_stats
from monailabel_app.lib.versions import Versions
from normnet import bundle_root
model_dir, shipped, overlay, studies = map(Path, sys.argv[1:])
versions = Versions(model_dir / "versions", shipped)
task = FineTune(Path(bundle_root()), versions, model_dir, overlay, None)
task({"max_epochs": 1}, LocalDatastore(str(studies)))
"""


@pytest.fixture
def app(tmp_path: Path, weights: Path) -> tuple[FineTune, Versions]:
    overlay = tmp_path / "overlay.json"
    overlay.write_text(json.dumps(OVERLAY))
    versions = Versions(tmp_path / "model" / "versions", weights)
    return FineTune(Path(bundle_root()), versions, tmp_path / "model", overlay, None), versions


@pytest.fixture
def studies(tmp_path: Path, chests: Path) -> Path:
    folder = tmp_path / "studies"
    folder.mkdir()
    for case in ("covid_0", "covid_1"):
        shutil.copy(chests / "diseased" / f"{case}.nii.gz", folder)
    return folder


@pytest.fixture
def corrected(studies: Path, chests: Path, tmp_path: Path) -> LocalDatastore:
    """Two scans with final labels; one says that there is no lesion."""
    datastore = LocalDatastore(str(studies))
    truth = chests / "diseased" / "covid_0_lesions.nii.gz"
    datastore.save_label("covid_0", str(truth), "final", {})
    scan = nib.load(studies / "covid_1.nii.gz")
    nib.save(nib.Nifti1Image(np.zeros(scan.shape, np.uint8), scan.affine), tmp_path / "empty.nii.gz")
    datastore.save_label("covid_1", str(tmp_path / "empty.nii.gz"), "final", {})
    return datastore


def leftovers(model_dir: Path) -> set[str]:
    return {path.name for path in model_dir.iterdir()} - {"versions", "train_stats.json", ".finetuning.lock"}


def test_corrections_become_a_version(
    app: tuple[FineTune, Versions], corrected: LocalDatastore, weights: Path
) -> None:
    task, versions = app
    shipped = weights.read_bytes()
    sent_by_slicer: dict[str, Any] = {
        **task.config(),
        "max_epochs": 2,
        "val_split": 0.5,
        "model": "normnet",
        "pretrained": True,
        "model_filename": ["model.pt"],
        "gpus": "all",
        "local_rank": 0,
    }
    result = task(sent_by_slicer, corrected)
    assert versions.names() == ["0", "1"] and weights.read_bytes() == shipped
    assert result == task.stats()
    assert (result["epoch"], result["total_epochs"]) == (4, 4)  # Two members, two epochs each.
    assert "total_time" in result and 0 <= result["best_metric"] <= 1
    metrics = versions.metrics("1")
    assert (metrics["corrections"], metrics["held_out"]) == (1, 1) and not metrics["validated_on_training"]
    assert metrics["lesion_dice"] is not None and metrics["val_healthy_dice_before"] is not None
    assert versions.current() == ("1" if metrics["not_worse"] else "0")
    assert not leftovers(task.model_dir)
    json.dumps([result, metrics], allow_nan=False)


def test_restoring_trains_nothing(app: tuple[FineTune, Versions], studies: Path, weights: Path) -> None:
    task, versions = app
    versions.switch(versions.add(weights, {"lesion_dice": 0.5}))
    assert task.config()["restore"] == ["keep", "0", "1"]
    assert task({"restore": "0"}, LocalDatastore(str(studies)))["version"] == "0"
    assert versions.current() == "0" and versions.names() == ["0", "1"]
    with pytest.raises(InputError, match=r"expected a version of 0, 1, got '\.\.'"):
        task({"restore": ".."}, LocalDatastore(str(studies)))


def test_no_corrections_is_one_sentence(app: tuple[FineTune, Versions], studies: Path) -> None:
    with pytest.raises(InputError, match="There are no corrections"):
        app[0]({}, LocalDatastore(str(studies)))
    assert not leftovers(app[0].model_dir)


def test_a_pacs_that_has_stopped_is_one_sentence(app: tuple[FineTune, Versions], tmp_path: Path) -> None:
    with small_pacs() as pacs:
        studies = DICOMWebStudies(dicomweb_client(pacs.url), str(tmp_path / "cache"))
    with pytest.raises(InputError, match=r"^The corrections cannot be read: the DICOMweb server .* refused"):
        app[0]({}, studies)
    assert not leftovers(app[0].model_dir)


def test_a_version_chosen_meanwhile_stays_in_use(
    app: tuple[FineTune, Versions], corrected: LocalDatastore, weights: Path
) -> None:
    task, versions = app
    assert task.overlay
    task.overlay.write_text(json.dumps({**OVERLAY, "learning_rate": 0.0}))  # The same weights are not worse.
    chosen = versions.add(weights, {})

    def choose_while_it_trains() -> None:
        while not task.stats():
            time.sleep(0.01)
        versions.switch(chosen)

    choosing = threading.Thread(target=choose_while_it_trains, daemon=True)
    choosing.start()
    result = task({"max_epochs": 1, "val_split": 0.5}, corrected)
    choosing.join()
    assert versions.metrics("2")["not_worse"] and not result["switched"]
    assert versions.current() == chosen


@pytest.mark.parametrize(
    "option",
    [
        {"max_epochs": 0},
        {"max_epochs": "many"},
        {"val_split": -0.1},
        {"val_split": 1.0},
        {"device": "a') or ('"},
    ],
    ids=str,
)
def test_an_impossible_option_is_one_sentence(
    app: tuple[FineTune, Versions], corrected: LocalDatastore, option: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match=f"{next(iter(option))}: expected"):
        app[0](option, corrected)


def test_a_label_that_is_no_mask_is_one_sentence(
    app: tuple[FineTune, Versions], corrected: LocalDatastore, studies: Path
) -> None:
    label = studies / "labels" / "final" / "covid_0.nii.gz"
    label.write_bytes(b"not a mask")
    with pytest.raises(InputError, match=f"^{label}: expected a whole volume, but it cannot be read"):
        app[0]({}, corrected)
    assert app[1].names() == ["0"] and not leftovers(app[0].model_dir)
    assert app[0].stats() == {}
    before = write_stats(app[0].stats_path, epoch=2, total_epochs=2, best_metric=0.5, start_ts=0, version="1")
    with pytest.raises(InputError, match="expected a whole volume, but it cannot be read"):
        app[0]({}, corrected)
    assert app[0].stats() == before


def again(app: tuple[FineTune, Versions], studies: Path) -> list[str]:
    task, versions = app
    places = [task.model_dir, versions.shipped, task.overlay, studies]
    return [sys.executable, "-c", TRAIN_AGAIN, *map(str, places)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def test_a_run_ends_well_where_its_server_does_not_answer_at_127_0_0_1(studies: Path, tmp_path: Path) -> None:
    """MONAI Label asks it for scores there, which may fail after the version is in use."""
    app = ROOT / "monailabel_app"
    request = json.dumps({"model": "normnet", "restore": "0"})
    settings = {
        "MONAI_LABEL_APP_DIR": str(app),
        "MONAI_LABEL_STUDIES": str(studies),
        "MONAI_LABEL_APP_CONF": json.dumps({"model_dir": str(tmp_path / "model")}),
        "MONAI_LABEL_SERVER_PORT": "1",
        "MONAI_LABEL_SESSION_PATH": str(tmp_path / "sessions"),
        "PYTHONPATH": os.pathsep.join([str(app), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-m", "monailabel.interfaces.utils.app", "-m", "train", "-r", request]
    finished = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert "the next sample brings them" in finished.stderr + finished.stdout
    assert (tmp_path / "model" / "versions" / "current").read_text() == "0"


@pytest.mark.slow
def test_a_killed_run_leaves_the_old_weights_and_the_next_clears_up(
    app: tuple[FineTune, Versions], corrected: LocalDatastore, studies: Path
) -> None:
    task, versions = app
    process = subprocess.Popen(
        again(app, studies),
        cwd=ROOT,
        env=environment(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (task.model_dir / "work" / "models" / "member_0.pt").is_file() and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert (task.model_dir / "work").is_dir()
    # What the server read of the other process meanwhile: member 0 is done, no total_time yet.
    stats = task.stats()
    assert (stats["epoch"], stats["total_epochs"]) == (1, 2) and "total_time" not in stats
    assert versions.names() == ["0"] and versions.path() == versions.shipped
    with pytest.raises(InputError, match="There are no corrections"):
        task({}, LocalDatastore(str(studies.parent / "others")))
    assert not leftovers(task.model_dir)


@pytest.mark.slow
def test_a_full_disk_is_one_sentence(
    app: tuple[FineTune, Versions], corrected: LocalDatastore, studies: Path
) -> None:
    # No file may grow past 100 kB: a write fails half-way, as on a full disk.
    limited = ["bash", "-c", 'ulimit -f 100; exec "$@"', "bash", *again(app, studies)]
    finished = subprocess.run(
        limited, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert finished.returncode == 1
    last = finished.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ") and "write" in last and "Traceback" not in finished.stderr
    assert app[1].names() == ["0"] and not leftovers(app[0].model_dir)
