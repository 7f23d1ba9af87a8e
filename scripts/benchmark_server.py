"""Measures the real server on one CT: seconds until it answers, to the first mask and to the next ones, and its memory.

python scripts/benchmark_server.py CT.nii.gz [--repeats 2] [--threads 2] [--scoring]
"""

import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fire
import psutil
from monailabel.client import MONAILabelClient
from resident_memory import resident_gib
from server_answers import started

from normnet.errors import InputError, report_input_errors
from normnet.reading import read_ct

APP = Path(__file__).resolve().parents[1] / "monailabel_app"
START_SECONDS = 300.0
"""Longest that a server may take to answer on a busy machine."""


@fire.decorators.SetParseFns(ct=str)
def benchmark_server(ct: str, *, repeats: int = 2, threads: int | None = None, scoring: bool = False) -> None:
    """Starts the server by the README's command on a folder with this CT alone, and asks it for the lesions.

    The first mask is that of a server that has just begun to answer: it loads the weights and whatever the first
    request loads. Times are a client's, from the request to the mask on disk. The most memory that the server's
    process has held resident is read from Linux.

    Args:
        ct: a NIfTI, NRRD or MHA file.
        repeats: masks after the first one.
        threads: of PyTorch in the server; None is as many as there are cores.
        scoring: whether the server scores the CT from its start, as it does by default, in a process beside the
            first request; without it, the server alone is measured.
    """
    report_input_errors()
    read_ct(ct)
    threads = threads or multiprocessing.cpu_count()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "studies").mkdir()
        shutil.copy(ct, work / "studies")
        begin = time.perf_counter()
        with _server(work, threads, scoring) as (url, process):
            print(f"{Path(ct).name}, {threads} threads, scoring {'on' if scoring else 'off'}")
            seconds, held = time.perf_counter() - begin, resident_gib("VmRSS", process.pid)
            print(f"answers after    {seconds:8.1f} s, {held:.2f} GiB")
            client = MONAILabelClient(url, tmpdir=str(work))
            (image,) = client.datastore()["objects"]
            for number in range(repeats + 1):
                seconds, load = _mask(client, image)
                name = "first mask" if number == 0 else "next mask"
                print(f"{name:17}{seconds:8.1f} s, {load['lesion_ml']:.1f} of {load['lung_ml']:.0f} mL")
            print(f"peak memory      {resident_gib('VmHWM', process.pid):8.2f} GiB")


def _mask(client: MONAILabelClient, image: str) -> tuple[float, dict[str, float]]:
    """Times one request; gives the reply's params too."""
    start = time.perf_counter()
    _, params = client.infer("normnet", image, {"result_extension": ".nrrd", "result_dtype": "uint8"})
    return time.perf_counter() - start, params


@contextmanager
def _server(work: Path, threads: int, scoring: bool) -> Iterator[tuple[str, psutil.Process]]:
    """Runs the server until the block ends; gives its address and process once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "monailabel.main", "start_server", "--app", str(APP)]
    command += ["--studies", str(work / "studies"), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--conf", "model_dir", str(work / "model")]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "MONAI_LABEL_AUTO_UPDATE_SCORING": str(scoring).lower(),
        "MONAI_LABEL_SESSION_PATH": str(work / "sessions"),
    }
    log = work / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    process = psutil.Process(server.pid)
    try:
        url = f"http://127.0.0.1:{port}"
        if not started(server, f"{url}/info/", START_SECONDS):
            raise InputError(f"The server did not start; its log ends:\n{log.read_text()[-2000:]}")
        yield url, process
    finally:
        for one in [*process.children(recursive=True), process]:
            one.terminate()
        server.wait()


if __name__ == "__main__":
    fire.Fire(benchmark_server)
