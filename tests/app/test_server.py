"""The real server over a local folder, through MONAI Label's own client."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
import requests
from monailabel.client import MONAILabelClient

from tests.app.conftest import OVERLAY, copy_chests, truth_of
from tests.app_server import Server, running_server
from tests.e2e.conftest import bundle_command, python


@pytest.fixture(scope="module")
def studies(chests: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_chests(chests, tmp_path_factory.mktemp("served") / "studies")
    (folder / "broken.nii.gz").write_bytes(b"no image")
    (folder / "UPPER.NII.GZ").write_bytes(b"not offered")
    return folder


@pytest.fixture(scope="module")
def server(studies: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(studies, tmp_path_factory.mktemp("server"), overlay=OVERLAY) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> MONAILabelClient:
    return server.client


@pytest.fixture(scope="module")
def by_command(studies: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same scan by the bundle's own command."""
    work = tmp_path_factory.mktemp("command")
    settings = {**OVERLAY, "dataset_dir": studies / "covid_0.nii.gz", "output_dir": work}
    done = python(*bundle_command("run", ["inference"], **settings), cwd=work)
    assert done.returncode == 0, done.stderr[-2000:]
    return work / "covid_0"


def infer(client: MONAILabelClient, image: str, tmp_path: Path, **params: object) -> tuple[Path, dict]:
    client._tmpdir = str(tmp_path)
    file, reply = client.infer("normnet", image, {"result_extension": ".nii.gz", **params})
    return Path(file), reply


def test_what_the_server_offers(client: MONAILabelClient) -> None:
    info = client.info()
    assert info["models"]["normnet"]["labels"] == {"lesion": 1}
    assert set(info["models"]["lungs"]["labels"]) == {"left lung", "right lung"}
    assert {"disagreement", "random"} <= set(info["strategies"])
    assert "disagreement" in info["scoring"]
    options = info["models"]["normnet"]["config"]
    assert options["healthy_probability"] == 0.99
    assert {"votes", "growing_steps", "lungs_backend", "device", "version"} <= set(options)


def test_what_the_server_does_not_offer_stands_in_its_log(server: Server) -> None:
    assert server.log.read_text().count("not offered are 1 of the scans found here ('UPPER.NII.GZ')") == 1


def test_the_mask_is_the_commands_mask(client: MONAILabelClient, by_command: Path, tmp_path: Path) -> None:
    expected = nib.load(by_command / "lesion.nii.gz")
    file, reply = infer(client, "covid_0", tmp_path)
    served = nib.load(file)
    assert np.array_equal(np.asarray(served.dataobj), np.asarray(expected.dataobj))
    assert np.allclose(served.affine, expected.affine, atol=1e-4)
    assert np.asarray(served.dataobj).any()
    report = json.loads((by_command / "report.json").read_text())
    for entry in ("lesion_ml", "lesion_percent_of_lung", "left", "right", "lesions", "weights"):
        assert reply[entry] == report[entry]
    assert reply["label_names"] == {"lesion": 1}


def test_the_same_mask_as_nrrd(client: MONAILabelClient, by_command: Path, tmp_path: Path) -> None:
    file, _ = infer(client, "covid_0", tmp_path, result_extension=".nrrd", result_dtype="uint8")
    voxels, header = nrrd.read(str(file))
    expected = nib.load(by_command / "lesion.nii.gz")
    assert voxels.dtype == np.uint8
    assert np.array_equal(voxels, np.asarray(expected.dataobj))
    assert header["space"] == "left-posterior-superior"
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ expected.affine
    assert np.allclose(header["space directions"].T, lps[:3, :3], atol=1e-4)
    assert np.allclose(header["space origin"], lps[:3, 3], atol=1e-4)


def test_options_change_the_mask(client: MONAILabelClient, tmp_path: Path) -> None:
    _, seed = infer(client, "covid_0", tmp_path, growing_steps=0)
    _, grown = infer(client, "covid_0", tmp_path)
    assert 0 < seed["lesion_ml"] < grown["lesion_ml"]


def test_an_empty_mask_is_an_answer(client: MONAILabelClient, tmp_path: Path) -> None:
    # Where one vote above 0 is enough, everything is healthy.
    file, reply = infer(client, "healthy_0", tmp_path, healthy_probability=0.0, votes="1")
    assert reply["lesion_ml"] == 0
    assert not np.asarray(nib.load(file).dataobj).any()


def test_the_lungs(client: MONAILabelClient, by_command: Path, tmp_path: Path) -> None:
    client._tmpdir = str(tmp_path)
    file, reply = client.infer("lungs", "covid_0", {"result_extension": ".nii.gz"})
    sides = np.asarray(nib.load(file).dataobj)
    assert np.array_equal(sides > 0, np.asarray(nib.load(by_command / "lungs.nii.gz").dataobj) > 0)
    assert reply["left_lung_ml"] > 0
    assert reply["right_lung_ml"] > 0


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("infer/nothing?image=covid_0", 404, "nothing"),
        ("infer/normnet?image=nobody", 404, "no image 'nobody'"),
        ("infer/normnet?image=../../etc/passwd", 422, "not a path"),
        ("infer/normnet?image=/etc/passwd", 422, "not a path"),
        ("infer/normnet?image=broken", 422, "broken.nii.gz"),
    ],
)
def test_what_cannot_be_is_answered_in_a_sentence(
    server: Server, address: str, status: int, words: str
) -> None:
    answer = requests.post(f"{server.url}/{address}", data={"params": "{}"}, timeout=60)
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text


def test_params_cannot_open_a_file_of_the_server(server: Server, tmp_path: Path) -> None:
    secret = tmp_path / "secret.nii.gz"
    secret.write_bytes(b"secret")
    params = json.dumps({"image": str(secret)})
    answer = requests.post(f"{server.url}/infer/normnet?image=nobody", data={"params": params}, timeout=60)
    assert answer.status_code == 404
    images = requests.post(f"{server.url}/batch/infer/normnet", json={"images": [str(secret)]}, timeout=60)
    assert images.status_code == 404


@pytest.mark.parametrize("method", ["put", "delete"])
def test_weights_cannot_be_changed_from_outside(server: Server, method: str) -> None:
    answer = requests.request(method, f"{server.url}/model/normnet", files={"file": b"x"}, timeout=60)
    assert answer.status_code == 403


def test_an_upload_that_is_no_image_leaves_nothing(server: Server, studies: Path) -> None:
    temporary = server.log.parent / "tmp"
    before = sorted([*studies.iterdir(), *temporary.iterdir()])
    answer = requests.put(
        f"{server.url}/datastore/image?image=new", files={"file": ("new.nii.gz", b"no image")}, timeout=60
    )
    assert answer.status_code == 422
    assert "image new" in answer.json()["detail"]
    assert sorted([*studies.iterdir(), *temporary.iterdir()]) == before


@pytest.mark.parametrize("tag", ["../../outside", "/tmp/outside"])
def test_labels_cannot_leave_the_studies(server: Server, chests: Path, tag: str) -> None:
    with truth_of(chests, "covid_0").open("rb") as label:
        answer = requests.put(
            f"{server.url}/datastore/label",
            params={"image": "covid_0", "tag": tag},
            files={"label": ("label.nii.gz", label)},
            timeout=60,
        )
    assert answer.status_code == 422


def wait(client: MONAILabelClient, url: str, timeout: float = 240) -> dict:
    """Waits until a background task has ended; gives its last status."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        answer = requests.get(url, params={"check_if_running": True}, timeout=30)
        status = requests.get(url, timeout=30).json() if answer.status_code == 404 else {"status": "RUNNING"}
        # MONAI Label knows the process a moment after it takes the task, and drops it a moment before it notes the end.
        if status["status"] not in ("SUBMITTED", "RUNNING"):
            return status
        time.sleep(0.5)
    raise AssertionError(f"{url} still runs after {timeout} s")


def test_scores_choose_the_next_sample(client: MONAILabelClient, server: Server, studies: Path) -> None:
    wait(client, f"{server.url}/scoring/")
    objects = client.datastore()["objects"]
    scores = {image: entry["image"]["info"].get("disagreement") for image, entry in objects.items()}
    assert scores.pop("broken") is None
    assert all(0 <= score <= 1 for score in scores.values())
    first = client.next_sample("disagreement", {})
    assert first["id"] == max(scores, key=lambda image: scores[image])
    assert client.next_sample("disagreement", {})["id"] != first["id"]


def test_batch_goes_on_after_a_bad_study(client: MONAILabelClient, server: Server, studies: Path) -> None:
    answer = requests.post(f"{server.url}/batch/infer/normnet?images=all", json={"device": "cpu"}, timeout=60)
    assert answer.status_code == 200
    assert wait(client, f"{server.url}/batch/infer")["status"] == "DONE"
    made = sorted(path.name for path in (studies / "labels" / "original").iterdir())
    assert len([name for name in made if name.startswith(("healthy", "covid"))]) == 4
    assert not any(name.startswith("broken") for name in made)


def test_slicers_calls_in_slicers_order(
    client: MONAILabelClient, server: Server, chests: Path, studies: Path, tmp_path: Path
) -> None:
    client._tmpdir = str(tmp_path)
    assert client.info()["datastore"]["total"] == 5
    sample = client.next_sample("random", {"client_id": "Slicer"})
    assert client.datastore()["objects"][sample["id"]]
    session = client.create_session(str(studies / "healthy_1.nii.gz"))["session_id"]
    assert client.get_session(session)
    params = {"result_extension": ".nrrd", "result_dtype": "uint8", "device": "cpu"}
    file, reply = client.infer("normnet", "", params, session_id=session)
    assert nrrd.read(str(file))[0].dtype == np.uint8
    assert reply["label_names"] == {"lesion": 1}
    client.remove_session(session)
    file, _ = client.infer("normnet", "covid_1", params)
    truth = str(truth_of(chests, "covid_1"))
    saved = client.save_label("covid_1", truth, params={"label_info": [{"name": "lesion", "idx": 1}]})
    assert saved["image"] == "covid_1"
    label = client.download_label("covid_1", "final")
    assert (np.asarray(nib.load(label).dataobj) == np.asarray(nib.load(truth).dataobj)).all()
    assert client.info()["datastore"]["completed"] == 1


def test_the_log_is_there(client: MONAILabelClient, server: Server) -> None:
    client.infer("lungs", "covid_0", {"result_extension": ".nrrd"})
    answer = requests.get(f"{server.url}/logs/", {"html": "false", "lines": 100}, timeout=30)
    assert answer.status_code == 200
    assert "covid_0" in answer.text


def test_batch_over_the_unlabelled_leaves_labelled_scans_alone(
    client: MONAILabelClient, server: Server, chests: Path, studies: Path
) -> None:
    client.save_label("covid_1", str(truth_of(chests, "covid_1")))
    made = studies / "labels" / "original"
    for path in made.iterdir():
        path.write_bytes(b"before")
    address = f"{server.url}/batch/infer/normnet?images=unlabeled"
    assert requests.post(address, json={"device": "cpu"}, timeout=60).status_code == 200
    assert wait(client, f"{server.url}/batch/infer")["status"] == "DONE"
    rewritten = {path.name.split(".")[0] for path in made.iterdir() if path.read_bytes() != b"before"}
    assert rewritten == {"covid_0", "healthy_0", "healthy_1"}
