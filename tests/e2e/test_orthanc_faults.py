"""Orthanc that stops before, in and after the fetching of a series: an answer in words, nothing lost, works again."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import requests
import SimpleITK as sitk

from generator.chest import make_chest
from generator.pathology import add_pathology
from tests.app.conftest import OVERLAY
from tests.app.dicom_series import write_series
from tests.app.orthanc_server import load, orthanc, process_of, running_orthanc
from tests.app.slow_line import SlowLine, slow_line
from tests.app_server import Server, running_server

SHAPE, SPACING, FINER = (96, 84, 48), (3.6, 3.6, 5.0), 3
"""A chest of few voxels, each repeated along the axes: 20 MB, which take a moment to fetch."""


RUNNING = "PRE - Transform (LoadCTd)"
"""What the server's log says when the CT is read, and the lung network begins: it runs for seconds, the others for a
tenth of one."""

CUT_AFTER = 5_000_000
"""Bytes of the series that have passed the line when Orthanc is killed."""


@dataclass
class Hospital:
    """A PACS that may be killed and started again, a server before it, and the one series that it holds."""

    port: int
    storage: Path
    line: SlowLine
    server: Server
    series: str

    @property
    def fetched(self) -> Path:
        """The server's folder for what comes from the PACS."""
        (folder,) = (self.server.log.parent / "dicom").iterdir()
        return folder

    def kill(self) -> None:
        """Ends Orthanc as a power cut would."""
        process = process_of(self.storage)
        process.kill()
        process.wait(30)

    def start_again(self) -> None:
        """Starts Orthanc over the same storage, at the same port."""
        started = orthanc("start", "--storage", self.storage, "--port", self.port)
        assert started.returncode == 0, started.stderr

    def save(self, label: Path) -> requests.Response:
        """Saves a final label."""
        return requests.put(
            f"{self.server.url}/datastore/label?image={self.series}&tag=final",
            data={"params": json.dumps({"label_info": [{"name": "lesion", "idx": 1}]})},
            files={"label": (label.name, label.read_bytes())},
            timeout=120,
        )

    def infer(self) -> requests.Response:
        """Asks for the lesions."""
        url = f"{self.server.url}/infer/normnet?image={self.series}&output=image"
        return requests.post(url, data={"params": '{"result_extension": ".nrrd"}'}, timeout=300)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    work = tmp_path_factory.mktemp("hospital")
    chest = make_chest(0, shape=SHAPE, spacing=SPACING)
    ct, _ = add_pathology(chest, rng=np.random.default_rng(0))
    for axis in range(3):
        ct = ct.repeat(FINER, axis)
    x, y, z = (step / FINER for step in SPACING)
    series = write_series(work / "series", ct, (x, y, z))
    env = {"MONAI_LABEL_AUTO_UPDATE_SCORING": "false"}
    with running_orthanc(work / "orthanc") as pacs:
        load(work / "series", pacs)
        port = int(pacs.removesuffix("/dicom-web").rpartition(":")[2])
        with (
            slow_line(port) as line,
            running_server(
                f"http://127.0.0.1:{line.port}/dicom-web", work / "server", env=env, overlay=OVERLAY
            ) as server,
        ):
            yield Hospital(port, work / "orthanc", line, server, series)


def wait_for(done: Callable[[], bool]) -> None:
    """Waits by the millisecond, so that the moment is not missed."""
    end = time.monotonic() + 120
    while not done():
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.001)


def test_pacs_that_has_stopped_is_a_502_in_words(hospital: Hospital) -> None:
    hospital.kill()
    addresses = ["info/", f"proxy/dicom/qido/studies?SeriesInstanceUID={hospital.series}"]
    answers = [requests.get(f"{hospital.server.url}/{address}", timeout=60) for address in addresses]
    hospital.start_again()
    for answer in answers:
        assert answer.status_code == 502
        assert "DICOMweb server" in answer.json()["detail"]


def test_pacs_killed_while_it_sends_a_series(hospital: Hospital) -> None:
    """A part of a series is no series: it would be kept, and lesions beyond its end would never be seen."""
    begin = hospital.line.passed
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(hospital.infer)
        wait_for(lambda: hospital.line.passed > begin + CUT_AFTER)
        hospital.kill()
        answer = asked.result()
    assert answer.status_code == 502, answer.text[:500]
    assert "ended after" in answer.json()["detail"]
    left = [path.name for path in hospital.fetched.iterdir() if not path.name.endswith(".lock")]
    assert not [name for name in left if hospital.series in name or name.startswith(".series")]
    hospital.start_again()
    assert hospital.infer().status_code == 200
    assert len(list((hospital.fetched / hospital.series).iterdir())) == SHAPE[2] * FINER


@pytest.mark.slow
def test_pacs_killed_while_the_networks_run(hospital: Hospital, tmp_path: Path) -> None:
    """The series is here by now: the answer is whole. A label cannot be sent, and is said not to be kept."""
    expected = hospital.infer().content
    log = hospital.server.log
    runs = log.read_text().count(RUNNING)
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(hospital.infer)
        wait_for(lambda: log.read_text().count(RUNNING) > runs)
        hospital.kill()
        assert not asked.done()
        answer = asked.result()
    assert answer.status_code == 200, answer.text[:500]
    assert answer.content == expected
    label = tmp_path / "label.nrrd"
    label.write_bytes(answer.content)
    refused = hospital.save(label)
    hospital.start_again()
    assert refused.status_code == 502
    assert "DICOMweb server" in refused.json()["detail"]
    status = f"{hospital.server.url}/datastore/"
    assert requests.get(status, timeout=30).json()["completed"] == 0
    assert hospital.save(label).status_code == 200
    assert requests.get(status, timeout=30).json()["completed"] == 1
    (pair,) = requests.get(f"{status}?output=train", timeout=60).json()
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(label)))
    assert mask.any()
    assert (sitk.GetArrayFromImage(sitk.ReadImage(pair["label"])) == mask).all()


@pytest.mark.slow
def test_pacs_that_is_silent_is_a_502_after_a_while(hospital: Hospital) -> None:
    process = process_of(hospital.storage)
    process.suspend()
    try:
        answer = hospital.infer()
    finally:
        process.resume()
    assert answer.status_code == 502
    assert "timed out" in answer.json()["detail"]
    assert hospital.infer().status_code == 200
