"""MONAI Label 0.8.5's faults with DICOM, each in MONAI Label as it comes: a test that fails says that one is mended.

Then its workaround in monailabel_app/lib, which tests/e2e/test_orthanc.py holds, can be taken out.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import requests
import SimpleITK as sitk
from monailabel.datastore.dicom import DICOMwebClientX, DICOMWebDatastore
from monailabel.interfaces.app import MONAILabelApp

from tests.app.dicom_series import write_series
from tests.app.orthanc_server import free_port, load, running_orthanc
from tests.app_server import wait_until_up

LESION = {"params": json.dumps({"label_info": [{"name": "lesion", "idx": 1}]})}
REAL_SERIES = "2.16.840.1.113662.2.12.0.3057.1241703565.43"


@dataclass(frozen=True)
class Upstream:
    """MONAI Label's own server before a PACS with one series."""

    url: str
    pacs: str
    series: str

    def save(self, label: Path) -> requests.Response:
        url = f"{self.url}/datastore/label?image={self.series}&tag=final"
        return requests.put(url, data=LESION, files={"label": (label.name, label.read_bytes())}, timeout=60)

    def label(self, folder: Path, value: int) -> Path:
        """Writes a label on the grid of the image, with a box of this value."""
        image = requests.get(f"{self.url}/datastore/image?image={self.series}", timeout=60)
        (folder / "image.nii.gz").write_bytes(image.content)
        grid = nib.load(folder / "image.nii.gz")
        mask = np.zeros(grid.shape, np.uint8)
        mask[1:4, 1:4, 2:4] = value
        nib.save(nib.Nifti1Image(mask, grid.affine), folder / "label.nii.gz")
        return folder / "label.nii.gz"


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    work = tmp_path_factory.mktemp("upstream")
    (work / "app").mkdir()
    shutil.copy(Path(__file__).with_name("upstream_app.py"), work / "app" / "main.py")
    port = free_port()
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",  # itkimage2segimage
        "MONAI_LABEL_DICOMWEB_CACHE_PATH": str(work / "cache"),
        "MONAI_LABEL_SESSION_PATH": str(work / "sessions"),
        "OMP_NUM_THREADS": "1",
    }
    with running_orthanc(work / "orthanc") as pacs:
        series = write_series(work / "series", np.full((16, 14, 8), -1000), (2.0, 2.0, 3.0))
        load(work / "series", pacs)
        command = [sys.executable, "-m", "monailabel.main", "start_server", "--app", str(work / "app")]
        command += ["--studies", pacs, "--host", "127.0.0.1", "--port", str(port)]
        log = work / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            wait_until_up(f"http://127.0.0.1:{port}", process, log)
            yield Upstream(f"http://127.0.0.1:{port}", pacs, series)
        finally:
            process.terminate()
            process.wait(30)


def test_dicom_seg_without_label_info_is_a_404(upstream: Upstream) -> None:
    url = f"{upstream.url}/infer/corner?image={upstream.series}&output=dicom_seg"
    assert requests.post(url, data=LESION, timeout=60).status_code == 200
    assert requests.post(url, timeout=60).status_code == 404


def test_empty_final_label_is_a_500(upstream: Upstream, tmp_path: Path) -> None:
    assert upstream.save(upstream.label(tmp_path, 0)).status_code == 500


@pytest.mark.filterwarnings("ignore:No bulk data URI handler:UserWarning")
def test_lists_are_old_each_save_counts_and_a_label_read_back_is_cropped(
    upstream: Upstream, tmp_path: Path
) -> None:
    status = f"{upstream.url}/datastore/"
    assert requests.get(status, timeout=30).json()["completed"] == 0
    for _ in range(2):
        assert upstream.save(upstream.label(tmp_path, 1)).status_code == 200
    assert requests.get(status, timeout=30).json()["completed"] == 0, "lists are no longer two hours old"
    client = DICOMwebClientX(upstream.pacs)
    fresh = DICOMWebDatastore(client, {"Modality": "CT"}, cache_path=str(tmp_path / "cache"))
    assert fresh.get_labeled_images() == [upstream.series] * 2
    (pair,) = fresh.datalist()
    assert sitk.ReadImage(pair["label"]).GetSize()[2] < sitk.ReadImage(pair["image"]).GetSize()[2]


def test_unknown_model_and_image_are_a_500(upstream: Upstream) -> None:
    assert requests.post(f"{upstream.url}/infer/none?image={upstream.series}", timeout=30).status_code == 500
    assert requests.post(f"{upstream.url}/infer/corner?image=1.2.3", timeout=30).status_code == 500


@pytest.mark.real_ct
def test_compressed_slices_are_asked_for_uncompressed(upstream: Upstream, real_ct: Path) -> None:
    load(real_ct / "dicom_chest", upstream.pacs)
    assert requests.post(f"{upstream.url}/infer/corner?image={REAL_SERIES}", timeout=60).status_code == 500
    (found,) = requests.get(f"{upstream.pacs}/series", {"SeriesInstanceUID": REAL_SERIES}, timeout=30).json()
    path = f"studies/{found['0020000D']['Value'][0]}/series/{REAL_SERIES}/instances"
    (first, *_) = requests.get(f"{upstream.pacs}/{path}", timeout=30).json()
    frame = f"{path}/{first['00080018']['Value'][0]}/frames/1"
    accept = {"Accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"}
    assert requests.get(f"{upstream.pacs}/{frame}", headers=accept, timeout=30).status_code == 200
    proxied = requests.get(f"{upstream.url}/proxy/dicom/{frame}", headers=accept, timeout=30)
    assert proxied.status_code == 500


def test_binary_is_downloaded_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = MONAILabelApp.__new__(MONAILabelApp)
    app.app_dir = str(tmp_path)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv(
        "https_proxy", f"http://127.0.0.1:{free_port()}"
    )  # Nothing is fetched, whatever happens.
    with pytest.raises(Exception, match=r"github\.com"):
        app._download_dcmqi_tools()
