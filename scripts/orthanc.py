"""A DICOM server for this machine alone: Debian's Orthanc with DICOMweb, by the settings in orthanc.json.

python scripts/orthanc.py start [--storage DIR] [--port 8042]
python scripts/orthanc.py load DICOM_DIR [--url http://127.0.0.1:8042/dicom-web]
python scripts/orthanc.py stop [--port 8042]
"""

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import uuid
from contextlib import closing
from pathlib import Path

import fire
import pydicom
import requests
from server_answers import started, waited
from tqdm import tqdm

from normnet.dicom import is_dicom
from normnet.errors import InputError, report_input_errors

CONFIG = Path(__file__).with_suffix(".json")
STORAGE = "~/.local/share/normnet/orthanc"
PORT = 8042
URL = f"http://127.0.0.1:{PORT}/dicom-web"

START_SECONDS, STOP_SECONDS = 30.0, 10.0
"""Longer than Orthanc takes to open, and to close, a store of many thousand series."""

TIMEOUT_SECONDS = 60.0
"""To store one file."""


@fire.decorators.SetParseFns(storage=str)
def start(storage: str = STORAGE, port: int = PORT) -> None:
    """Starts Orthanc in the background and returns when it answers.

    It answers this machine alone, without a password; it takes no DICOM but through DICOMweb.

    Args:
        storage: where Orthanc keeps what it is given, its log and the settings it was started with.
        port: of HTTP.
    """
    report_input_errors()
    program, settings = _program(), json.loads(CONFIG.read_text(encoding="utf-8"))
    missing = [plugin for plugin in settings["Plugins"] if not Path(plugin).is_file()]
    if missing:
        raise InputError(f"{missing[0]}: DICOMweb is not installed: sudo apt-get install orthanc-dicomweb.")
    if _taken(port):
        raise InputError(f"Port {port}: expected a free port, another program listens: choose one by --port.")
    folder = Path(storage).expanduser().resolve()
    settings |= {"HttpPort": port, "StorageDirectory": str(folder), "IndexDirectory": str(folder)}
    log = folder / "orthanc.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _wait_for_index(folder)
        (folder / "orthanc.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
        with log.open("w", encoding="utf-8") as output:
            words = [program, str(folder / "orthanc.json")]
            server = subprocess.Popen(words, stdout=output, stderr=output, start_new_session=True)
    except OSError as error:
        raise InputError(f"{folder}: Orthanc cannot store here ({error.strerror}).") from error
    if not started(server, f"http://127.0.0.1:{port}/system", START_SECONDS):
        server.kill()
        raise InputError(f"{log}: Orthanc did not start; its log ends: {_last_line(log)}")
    print(f"Orthanc answers at http://127.0.0.1:{port}/dicom-web and stores in {folder}.")


@fire.decorators.SetParseFns(dicom_dir=str, url=str)
def load(dicom_dir: str, url: str = URL) -> None:
    """Sends all DICOM files of a folder to a DICOMweb server (STOW-RS).

    Args:
        dicom_dir: searched at any depth.
        url: of the server.
    """
    report_input_errors()
    folder = Path(dicom_dir)
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of DICOM files, but there is no such folder.")
    files = sorted(path for path in folder.rglob("*") if is_dicom(path))
    if not files:
        raise InputError(f"{folder}: expected DICOM files, found none in it.")
    series = set()
    for file in tqdm(files, desc="Loading", unit="file"):
        try:
            series.add(str(pydicom.dcmread(file, stop_before_pixels=True).SeriesInstanceUID))
        except Exception as error:  # pydicom raises whatever the damaged bytes lead to.
            raise InputError(f"{file}: expected DICOM, but its header is corrupt.") from error
        try:
            _store(file.read_bytes(), url.rstrip("/"))
        except requests.RequestException as error:
            raise InputError(f"{file}: could not be stored at {url}: {_reason(error)}") from error
    print(f"Stored {len(files)} files of {len(series)} series.")


def stop(port: int = PORT) -> None:
    """Stops the Orthanc of this machine and returns when its port is free; what it stores stays.

    Args:
        port: of HTTP.
    """
    report_input_errors()
    try:
        requests.post(f"http://127.0.0.1:{port}/tools/shutdown", timeout=TIMEOUT_SECONDS).raise_for_status()
    except requests.RequestException as error:
        raise InputError(f"Port {port}: Orthanc could not be stopped: {_reason(error)}") from error
    if not waited(lambda: not _taken(port), STOP_SECONDS):
        raise InputError(f"Port {port}: Orthanc was told to stop {STOP_SECONDS:g} s ago and still listens.")


def _store(instance: bytes, url: str) -> None:
    """Sends one file as it is: dicomweb-client writes it anew, which breaks JPEG 2000 of an odd length."""
    boundary = uuid.uuid4().hex
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    body = head + instance + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": kind, "Accept": "application/dicom+json"}
    requests.post(f"{url}/studies", body, headers=headers, timeout=TIMEOUT_SECONDS).raise_for_status()


def _program() -> str:
    search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])  # Debian's place, no user's PATH.
    program = shutil.which("Orthanc", path=search)
    if program is None:
        raise InputError("Orthanc is not installed: sudo apt-get install orthanc orthanc-dicomweb.")
    return program


def _wait_for_index(folder: Path) -> None:
    """Waits until an Orthanc that was told to stop has let go of its index: it frees its port before."""
    index = folder / "index"
    if index.is_file():
        try:
            with closing(sqlite3.connect(index, timeout=STOP_SECONDS)) as database:
                database.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise InputError(
                f"{folder}: another Orthanc stores here; choose another folder by --storage."
            ) from error


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it is empty."


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"the server answered {error.response.status_code}."
    return "nothing answers there; is it started?"


if __name__ == "__main__":
    fire.Fire({"start": start, "load": load, "stop": stop})
