"""OHIF in a real browser: from the study list to a coloured lesion on the pane.

NORMNET_PICTURES=<folder> keeps the screenshots there; PLAYWRIGHT_CORE=<folder of the npm package> spares its install.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from generator.chest import make_chest
from generator.pathology import add_pathology
from tests.app.conftest import OVERLAY
from tests.app.dicom_series import write_series
from tests.app.orthanc_server import load, running_orthanc
from tests.app_server import running_server

pytestmark = pytest.mark.browser

STEPS = Path(__file__).with_name("ohif.mjs")
SHAPE, SPACING = (192, 168, 96), (1.8, 1.8, 2.5)
CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="session")
def playwright(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """playwright-core, which drives Debian's Chromium."""
    if not CHROMIUM.exists() or not shutil.which("node"):
        pytest.skip("Chromium or node is not installed: apt-get install chromium nodejs npm")
    if "PLAYWRIGHT_CORE" in os.environ:
        return Path(os.environ["PLAYWRIGHT_CORE"])
    folder = tmp_path_factory.mktemp("npm")
    command = ["npm", "install", "--no-audit", "--no-fund", "playwright-core"]
    installed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip(f"playwright-core cannot be installed from npm: {installed.stderr[-300:]}")
    return folder / "node_modules" / "playwright-core"


@pytest.mark.parametrize(
    ("source", "model"),
    [
        ("generated", "normnet"),
        pytest.param("real", "lungs", marks=pytest.mark.real_ct),
    ],  # Its lungs are clear.
)
def test_annotator_sees_on_the_ct_what_the_model_finds(
    source: str, model: str, playwright: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if source == "real":
        folder = request.getfixturevalue("real_ct") / "dicom_chest" / "series"
    else:
        folder = tmp_path / "series"
        ct, _ = add_pathology(make_chest(0, shape=SHAPE, spacing=SPACING), rng=np.random.default_rng(0))
        write_series(folder, ct, SPACING)
    study = str(pydicom.dcmread(next(folder.iterdir()), stop_before_pixels=True).StudyInstanceUID)
    pictures = Path(os.environ.get("NORMNET_PICTURES", tmp_path))
    pictures.mkdir(parents=True, exist_ok=True)
    screenshot = pictures / f"ohif_{source}.png"
    env = {"MONAI_LABEL_AUTO_UPDATE_SCORING": "false"}
    with (
        running_orthanc(tmp_path / "orthanc") as pacs,
        running_server(pacs, tmp_path / "server", env=env, overlay=OVERLAY) as server,
    ):
        load(folder, pacs)
        words = ["node", STEPS, playwright, server.url, study, model, screenshot, "0.3"]
        seen = subprocess.run(map(str, words), capture_output=True, text=True, check=False, timeout=600)
    assert seen.returncode == 0, seen.stderr
    found = json.loads(seen.stdout)
    assert "CT" in found["listed"]
    assert [name.strip() for name in found["models"]] == ["normnet", "lungs"]
    assert found["status"] == 200
    assert found["before"]["coloured"] == 0
    assert found["after"]["greys"] > 64, "the panes show no CT"
    assert found["after"]["coloured"] > 100
