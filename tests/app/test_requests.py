"""Requests that go wrong, or are meant to: the real server, started in a folder that holds CTs of its own."""

import io
import json
import shutil
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import requests

from tests.app.conftest import OVERLAY, copy_chests, truth_of
from tests.app_server import Server, running_server


@pytest.fixture(scope="module")
def studies(chests: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_chests(chests, tmp_path_factory.mktemp("requests") / "studies")


@pytest.fixture(scope="module")
def server(studies: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "covid_0").mkdir()
    shutil.copy(studies / "healthy_1.nii.gz", elsewhere / "covid_0")
    env = {"MONAI_LABEL_AUTO_UPDATE_SCORING": "false"}
    work = tmp_path_factory.mktemp("server")
    with running_server(studies, work, env=env, cwd=elsewhere, overlay=OVERLAY) as running:
        yield running


def infer(server: Server, address: str, **params: Any) -> requests.Response:
    data = {"params": json.dumps({"device": "cpu", **params})}
    return requests.post(f"{server.url}/infer/{address}", data=data, timeout=300)


def session(server: Server, *files: Path, uncompress: bool = False) -> requests.Response:
    parts = [("files", (file.name, file.read_bytes())) for file in files]
    url = f"{server.url}/session/?uncompress={uncompress}"
    return requests.put(url, files=parts, timeout=60)


def temporary(server: Server) -> set[Path]:
    return set((server.log.parent / "tmp").rglob("*"))


def test_a_study_is_the_one_of_the_studies_not_of_the_servers_own_folder(
    server: Server, studies: Path
) -> None:
    uploaded = session(server, studies / "covid_0.nii.gz").json()["session_id"]
    expected = infer(server, f"lungs?session_id={uploaded}&output=json").json()
    answer = infer(server, "lungs?image=covid_0&output=json", save_label=True, label_tag="lungs").json()
    assert (answer["left_lung_ml"], answer["right_lung_ml"]) == (
        expected["left_lung_ml"],
        expected["right_lung_ml"],
    )
    assert (studies / "labels" / "lungs" / "covid_0.nrrd").is_file()
    info = requests.get(f"{server.url}/datastore/label/info?label=covid_0&tag=lungs", timeout=60).json()
    assert (info["model"], info["params"]["left_lung_ml"]) == ("lungs", answer["left_lung_ml"])


@pytest.mark.parametrize("image", ["", "&image=covid_0"])
def test_a_session_that_is_gone_is_a_404(server: Server, image: str) -> None:
    answer = infer(server, f"lungs?session_id=nosuch{image}")
    assert answer.status_code == 404
    assert "session 'nosuch' has expired; upload the image again" in answer.json()["detail"]


@pytest.mark.parametrize("tag", ["../../escaped", "final"])
def test_a_models_mask_is_written_under_no_path_and_over_no_correction(
    server: Server, chests: Path, studies: Path, tag: object
) -> None:
    truth = truth_of(chests, "covid_0")
    server.client.save_label("covid_0", str(truth))
    answer = infer(server, "lungs?image=covid_0", save_label=True, label_tag=tag)
    assert (answer.status_code, "label_tag: expected" in answer.json()["detail"]) == (422, True)
    batch = {"device": "cpu", "label_tag": tag}
    answer = requests.post(f"{server.url}/batch/infer/lungs", json=batch, timeout=60)
    assert (answer.status_code, "label_tag: expected" in answer.json()["detail"]) == (422, True)
    assert not list(studies.parent.rglob("escaped*"))
    kept = nib.load(studies / "labels" / "final" / "covid_0.nii.gz").get_fdata()
    np.testing.assert_array_equal(kept, nib.load(truth).get_fdata())


@pytest.mark.parametrize("version", ["wsi", "wsi_v2"])
def test_whole_slides_are_no_way_around_the_checks(server: Server, studies: Path, version: str) -> None:
    address = f"{server.url}/infer/{version}/lungs?image={studies / 'covid_0.nii.gz'}"
    wanted = {"params": {"device": "cpu", "save_label": True, "label_tag": "final"}}
    body = {"json": wanted} if version == "wsi" else {"data": {"wsi": json.dumps(wanted)}}
    answer = requests.post(address, timeout=60, **body)
    assert answer.status_code == 403
    assert answer.json()["detail"].startswith("Whole slide imaging is not for CT")


def test_the_app_is_not_loaded_again_beside_the_one_that_runs(server: Server) -> None:
    answer = requests.post(f"{server.url}/reload", timeout=60)
    assert answer.status_code == 403
    assert "start the server again" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("address", "known"),
    [
        ("batch/infer/nosuch", "model: expected one of normnet, lungs, got 'nosuch'."),
        ("train/nosuch", "model: expected one of normnet, got 'nosuch'."),
        ("scoring/nosuch", "method: expected one of disagreement, got 'nosuch'."),
    ],
)
def test_what_is_not_there_is_not_started(server: Server, address: str, known: str) -> None:
    answer = requests.post(f"{server.url}/{address}", json={"device": "cpu"}, timeout=60)
    assert (answer.status_code, answer.json()["detail"]) == (404, known)
    assert requests.get(f"{server.url}/{address.removesuffix('nosuch')}", timeout=60).status_code == 404


@pytest.mark.parametrize("key", ["disagreement", "disagreement_weights", "strategy"])
def test_no_client_sets_what_the_next_sample_is_chosen_by(server: Server, key: str) -> None:
    url, said = f"{server.url}/datastore/image", json.dumps({key: "high"})
    answers = [
        requests.put(f"{url}/info?image=covid_0", data={"info": said}, timeout=60),
        requests.put(f"{url}?image=new", data={"params": said}, files={"file": ("a.nii", b"")}, timeout=60),
    ]
    for answer in answers:
        assert answer.status_code == 422
        assert f"expected keys that are not the server's own, got {key!r}" in answer.json()["detail"]
    assert "new" not in server.client.datastore()["objects"]
    assert requests.put(f"{url}/info?image=covid_0", data={"info": '{"ward": 3}'}, timeout=60).ok
    for strategy in ("disagreement", "random"):
        assert requests.post(f"{server.url}/activelearning/{strategy}", timeout=60).ok


def test_an_archive_cannot_write_outside_its_folder(server: Server, tmp_path: Path) -> None:
    before = temporary(server)
    with tarfile.open(tmp_path / "ct.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../escaped.txt"), io.BytesIO())
    answer = session(server, tmp_path / "ct.tar", uncompress=True)
    assert (answer.status_code, "ct.tar: expected an archive" in answer.json()["detail"]) == (422, True)
    assert not temporary(server) - before


def test_a_session_of_two_cts_is_one_sentence(server: Server, studies: Path) -> None:
    uploaded = session(server, studies / "covid_0.nii.gz", studies / "covid_1.nii.gz").json()["session_id"]
    answer = infer(server, f"lungs?session_id={uploaded}")
    assert answer.status_code == 422
    assert "expected one CT, got 2: covid_0, covid_1." in answer.json()["detail"]
    answer = requests.get(f"{server.url}/session/{uploaded}?image=true", timeout=60)
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        "image: expected a session of one file, got a folder's.",
    )


def test_a_request_for_a_mask_of_nothing_is_one_sentence(server: Server) -> None:
    answer = infer(server, "normnet")
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("image: expected one of the studies, ")


def test_no_version_in_a_list_of_none_is_the_one_that_serves(server: Server) -> None:
    answer = infer(server, "normnet?image=covid_0&output=json", version=[], votes=[], skip_writer=True)
    assert answer.status_code == 200 and answer.json()["lesion_ml"] > 0


def test_a_device_that_is_none_is_one_sentence(server: Server) -> None:
    answer = infer(server, "lungs?image=covid_0", device="foo")
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("device: expected one of ")


@pytest.mark.parametrize("level", ["FOO", 5])
def test_a_log_level_that_is_none_is_one_sentence(server: Server, level: object) -> None:
    answer = infer(server, "lungs?image=covid_0", logging=level)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("logging: expected one of CRITICAL, ")


def test_an_archive_without_corrections_is_a_404(server: Server) -> None:
    for image, entry in server.client.datastore()["objects"].items():
        if "final" in entry["labels"]:
            requests.delete(f"{server.url}/datastore/label?id={image}&tag=final", timeout=60)
    answer = requests.get(f"{server.url}/datastore/dataset", timeout=60)
    assert (answer.status_code, answer.json()["detail"]) == (404, "There are no corrections yet.")


def test_the_archive_of_the_corrections_goes_with_the_reply(server: Server, chests: Path) -> None:
    server.client.save_label("covid_0", str(truth_of(chests, "covid_0")))
    before = temporary(server)
    answer = requests.get(f"{server.url}/datastore/dataset", timeout=60)
    assert (answer.status_code, answer.content[:2]) == (200, b"PK")
    end = time.monotonic() + 10
    while temporary(server) - before:
        assert time.monotonic() < end, "the archive stays in the temporary folder"
        time.sleep(0.1)
