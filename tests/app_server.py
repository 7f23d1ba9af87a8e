"""Starts the real MONAI Label server on a free port, as a user would, for tests."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from monailabel.client import MONAILabelClient

APP = Path(__file__).parents[1] / "monailabel_app"
START_S = 120.0
"""Longest time a server may take to start on a busy machine, seconds."""

TRAIN_S = 600.0
"""Longest time that a training of few iterations may take there, seconds."""


@dataclass
class Server:
    """A running server: its address, its process and the file its output goes to."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def client(self) -> MONAILabelClient:
        """MONAI Label's own client."""
        return MONAILabelClient(self.url)


@contextmanager
def running_server(
    studies: Path | str,
    work: Path,
    *,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    **conf: object,
) -> Iterator[Server]:
    """Runs the app on loopback until the block ends.

    Args:
        studies: a folder, or a DICOMweb address.
        work: where the log, the fine-tuned weights and all temporary files go.
        env: more environment variables.
        cwd: the folder that it is started in; this process's own by default.
        **conf: `--conf NAME VALUE`; a dictionary is written to a file, whose path is the value.
    """
    work.mkdir(parents=True, exist_ok=True)
    (work / "tmp").mkdir(exist_ok=True)
    conf = {"model_dir": work / "model", **conf}
    words = []
    for name, value in conf.items():
        if isinstance(value, dict):
            path = work / f"{name}.json"
            path.write_text(json.dumps(value))
            value = path
        words += ["--conf", name, str(value)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = work / "server.log"
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(work / "tmp"),
        "MONAI_LABEL_SESSION_PATH": str(work / "sessions"),
        "MONAI_LABEL_DICOMWEB_CACHE_PATH": str(work / "dicom"),
        **(env or {}),
    }
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*server_command(studies, port), *words], stdout=output, stderr=output, env=environment, cwd=cwd
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_up(url, process, log)
        yield Server(url, process, log)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def server_command(studies: Path | str, port: int) -> list[str]:
    """Gives the README's plain command."""
    start = [sys.executable, "-m", "monailabel.main", "start_server", "--app", str(APP)]
    return [*start, "--studies", str(studies), "--host", "127.0.0.1", "--port", str(port)]


def wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Waits for the first answer; a server that ends before is an error with its last words."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}:\n{log.read_text()[-3000:]}")
        try:
            answer = requests.get(f"{url}/info/", timeout=5)
            if answer.status_code != 401:  # with authentication on, that is an answer too
                answer.raise_for_status()
            return
        except requests.RequestException:
            time.sleep(0.3)
    raise RuntimeError(f"the server did not answer within {START_S:.0f} s:\n{log.read_text()[-3000:]}")


def fine_tune(server: Server, **options: object) -> dict[str, Any]:
    """Trains as Slicer's button does, and waits for the end; gives the stats."""
    client = server.client
    client.train_start("normnet", {"device": "cpu", **options})
    end = time.monotonic() + TRAIN_S
    # Not check_if_running: it does not see a training before its process is there.
    while (status := client.train_status()["status"]) in ("SUBMITTED", "RUNNING"):
        assert time.monotonic() < end, "the training does not end"
        time.sleep(0.5)
    assert status == "DONE", server.log.read_text()[-2000:]
    return dict(client.info()["train_stats"]["normnet"])
