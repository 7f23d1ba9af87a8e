"""One CT through the bundle's inference, in a process of its own, with what it took."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import torch
from bundle_process import bundle_command

from normnet.checkpoints import weights_hash
from normnet.errors import InputError

__all__ = ["results_name", "segment"]


def segment(ct: Path, out: Path, weights: Path, members: int, **settings: object) -> dict[str, Any]:
    """Segments a CT, unless that was done before from the same file, by the same weights and settings.

    Args:
        ct: the CT.
        out: gets the folder of results and <name>.run.json.
        weights: of the ensemble.
        members: of the ensemble.
        **settings: further ones of inference.json, by name.

    Returns:
        The report, and minutes, peak memory in GiB and the machine.

    Raises:
        InputError: the CT was not segmented.
    """
    report, record = out / results_name(ct) / "report.json", out / f"{results_name(ct)}.run.json"
    depends = json.loads(json.dumps({"ct": ct, "members": members, **settings}, default=str))
    same = report.is_file() and record.is_file() and _weights_of(report) == weights_hash(weights)
    if not same or json.loads(record.read_text()).get("settings") != depends:
        places = {"dataset_dir": ct, "output_dir": out, "checkpoint": weights}
        command = bundle_command("run", ["inference.json"], {**places, "members": members, **settings})
        started = time.monotonic()
        process = subprocess.Popen(command)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)  # else it waits for the process again
        if process.returncode:
            raise InputError(f"{ct}: was not segmented; its own message stands above.")
        run = {
            "minutes": (time.monotonic() - started) / 60,
            "peak_gib": usage.ru_maxrss / 2**20,  # Linux counts KiB.
            "machine": _machine(),
            "settings": depends,
        }
        record.write_text(json.dumps(run), encoding="utf-8")
    return {**json.loads(report.read_text()), **json.loads(record.read_text())}


def results_name(ct: Path) -> str:
    """The name of a CT's folder of results: a file's or a series'."""
    return ct.name.removesuffix(".nii.gz")


def _weights_of(report: Path) -> str:
    return str(json.loads(report.read_text())["weights"])


def _machine() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {os.cpu_count()} cores, {torch.get_num_threads()} torch threads"
