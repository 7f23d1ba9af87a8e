"""scripts/orthanc.py, with the real Orthanc."""

import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests

from tests.app.dicom_series import write_series
from tests.app.orthanc_server import free_port, load, orthanc, running_orthanc

REAL_SERIES = "2.16.840.1.113662.2.12.0.3057.1241703565.43"
"""The series of shared/ct/dicom_chest."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as url:
        yield url


def test_what_is_loaded_is_found_and_comes_back_as_it_was(server: str, tmp_path: Path) -> None:
    uid = write_series(tmp_path / "deep" / "er", np.zeros((6, 7, 4)), (2.0, 2.0, 3.0))
    (tmp_path / "deep" / "notes.txt").write_text("no DICOM")
    load(tmp_path, server)
    load(tmp_path, server)  # Once more: nothing is stored twice.
    (found,) = requests.get(f"{server}/series", {"SeriesInstanceUID": uid}, timeout=30).json()
    study, series = (found[tag]["Value"][0] for tag in ("0020000D", "0020000E"))
    stored = requests.get(f"{server}/studies/{study}/series/{series}/instances", timeout=30).json()
    assert len(stored) == 4
    root = server.removesuffix("/dicom-web")
    files = {requests.get(f"{root}/instances/{name}/file", timeout=30).content for name in _names(root)}
    assert {file.read_bytes() for file in (tmp_path / "deep" / "er").iterdir()} <= files


def _names(root: str) -> list[str]:
    return list(requests.get(f"{root}/instances", timeout=30).json())


@pytest.mark.real_ct
def test_real_jpeg_2000_is_taken_although_its_frames_have_an_odd_length(server: str, real_ct: Path) -> None:
    load(real_ct / "dicom_chest", server)
    found = requests.get(f"{server}/series", {"SeriesInstanceUID": REAL_SERIES}, timeout=30).json()
    assert len(found) == 1


def test_other_machines_get_no_answer_and_plugins_are_few(server: str) -> None:
    root = server.removesuffix("/dicom-web")
    assert set(requests.get(f"{root}/plugins", timeout=30).json()) == {"dicom-web", "explorer.js"}
    assert requests.get(f"{root}/system", timeout=30).json()["DicomAet"]
    own = _own_address()
    if own is None:
        pytest.skip("this machine has no address but loopback")
    elsewhere = root.replace("127.0.0.1", own)
    assert requests.get(f"{elsewhere}/system", timeout=30).status_code in (401, 403)


def _own_address() -> str | None:
    """Finds the address that packets leave by; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") else address


def test_what_is_stored_is_there_after_a_restart(tmp_path: Path) -> None:
    uid = write_series(tmp_path / "series", np.zeros((6, 7, 3)), (2.0, 2.0, 3.0))
    with running_orthanc(tmp_path / "storage") as url:
        load(tmp_path / "series", url)
    with running_orthanc(tmp_path / "storage") as url:
        assert len(requests.get(f"{url}/series", {"SeriesInstanceUID": uid}, timeout=30).json()) == 1


def test_a_second_server_on_the_same_storage_is_one_sentence(tmp_path: Path) -> None:
    with running_orthanc(tmp_path / "storage"):
        refused = orthanc("start", "--storage", tmp_path / "storage", "--port", free_port())
    assert refused.returncode == 1
    assert refused.stderr.strip() == (
        f"error: {tmp_path / 'storage'}: another Orthanc stores here; choose another folder by --storage."
    )


def test_taken_port_is_one_sentence(server: str, tmp_path: Path) -> None:
    port = server.split(":")[2].split("/")[0]
    refused = orthanc("start", "--storage", tmp_path, "--port", port)
    assert refused.returncode == 1
    assert refused.stderr.strip() == (
        f"error: Port {port}: expected a free port, another program listens: choose one by --port."
    )


def test_folder_without_dicom_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no DICOM")
    refused = orthanc("load", tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.strip() == f"error: {tmp_path}: expected DICOM files, found none in it."


def test_server_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    write_series(tmp_path / "series", np.zeros((6, 7, 3)), (2.0, 2.0, 3.0))
    refused = orthanc("load", tmp_path, "--url", f"http://127.0.0.1:{free_port()}/dicom-web")
    assert refused.returncode == 1
    assert refused.stderr.strip().splitlines()[-1].endswith("nothing answers there; is it started?")


def test_stopping_what_is_not_started_is_one_sentence() -> None:
    refused = orthanc("stop", "--port", free_port())
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: Port ")
