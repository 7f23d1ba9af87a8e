"""The bundle's own command, and other scripts, each time in a process of its own."""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bundle_configs import CONFIGS
from monai.bundle import run

from normnet.errors import report_input_errors

__all__ = ["bundle", "bundle_command", "run_script"]

DESCRIBED = {
    "meta_file": str(CONFIGS / "metadata.json"),
    "logging_file": str(CONFIGS / "logging.conf"),
}
"""What every run of the bundle names beside its configs."""

PRELOADED = [
    "monai.bundle",
    "monai.engines",
    "monai.handlers",
    "monai.transforms",
    "normnet.evaluation",
    "normnet.results",
    "normnet.training",
]
"""What every run imports. A server process does so once and forks itself for each run: the import takes longer than
many a small run."""


def bundle_command(run_id: str, configs: Sequence[str], settings: Mapping[str, object]) -> list[str]:
    """Lists the words of `python -m monai.bundle run RUN_ID`; arguments as of `bundle`."""
    files = [str(CONFIGS / name) for name in configs]
    options = {"config_file": str(files) if len(files) > 1 else files[0], **DESCRIBED, **settings}
    words = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "monai.bundle", "run", run_id, *words]


def run_script(script: str, *words: object, **options: object) -> None:
    """Runs another script of this folder with these words and --options, and ends this process where it fails."""
    path = Path(__file__).with_name(script)
    arguments = [f"--{name}={value}" for name, value in options.items()]
    finished = subprocess.run([sys.executable, str(path), *map(str, words), *arguments], check=False)
    if finished.returncode != 0:
        raise SystemExit(finished.returncode)


def bundle(run_id: str, configs: Sequence[str], settings: Mapping[str, object]) -> float:
    """Runs `python -m monai.bundle run RUN_ID` with its imports done, and ends this process where that one fails.

    Args:
        run_id: such as training.
        configs: files of bundle/configs, each on top of the ones before.
        settings: for the configs, by name.

    Returns:
        Processor time that it took, minutes.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    words = {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()}
    seconds = context.Value("d")
    files = [str(CONFIGS / name) for name in configs]
    process = context.Process(target=_run, args=(run_id, files, words, seconds))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)
    return seconds.value / 60


def _run(run_id: str, files: list[str], settings: dict[str, object], seconds: Any) -> None:
    report_input_errors()
    try:
        run(run_id=run_id, config_file=files, **DESCRIBED, **settings)
    except Exception as error:
        # A process of multiprocessing prints a traceback by itself, and asks no hook.
        sys.excepthook(type(error), error, error.__traceback__)
        sys.exit(1)
    seconds.value = sum(os.times()[:4])
