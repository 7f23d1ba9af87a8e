"""Starts the real Orthanc by scripts/orthanc.py, for tests; they skip where it is not installed."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "orthanc.py"
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


def free_port() -> int:
    """Finds a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def orthanc(*words: object) -> subprocess.CompletedProcess[str]:
    """Runs scripts/orthanc.py as a user would."""
    command = [sys.executable, str(SCRIPT), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def skip_without_orthanc() -> None:
    """Skips a test where Debian's packages are not installed."""
    if not shutil.which("Orthanc", path="/usr/sbin:/usr/bin:/usr/local/bin") or not PLUGIN.is_file():
        pytest.skip("Orthanc is not installed: apt-get install orthanc orthanc-dicomweb")


@contextmanager
def running_orthanc(storage: Path) -> Iterator[str]:
    """Runs Orthanc until the block ends; gives its DICOMweb address."""
    skip_without_orthanc()
    port = free_port()
    started = orthanc("start", "--storage", storage, "--port", port)
    assert started.returncode == 0, started.stderr
    try:
        yield f"http://127.0.0.1:{port}/dicom-web"
    finally:
        orthanc("stop", "--port", port)


def process_of(storage: Path) -> psutil.Process:
    """Finds the Orthanc that runs over this storage."""
    settings = str(storage / "orthanc.json")
    (found,) = (one for one in psutil.process_iter(["cmdline"]) if settings in (one.info["cmdline"] or []))
    return found


def load(folder: Path, url: str) -> None:
    """Sends a folder of DICOM there."""
    loaded = orthanc("load", folder, "--url", url)
    assert loaded.returncode == 0, loaded.stderr
