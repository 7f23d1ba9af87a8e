"""Tiny settings, so that the real commands finish in seconds."""

import json
import os
import subprocess
import sys
from pathlib import Path

from normnet import bundle_root

CONFIGS = Path(bundle_root()) / "configs"
COARSE = {"spacing": [3.6, 3.6, 5.0]}
TRAINING = {
    **COARSE,
    "patch_size": [48, 48, 16],
    "slab_slices": 16,
    "batch_size": 4,
    "patches_per_slab": 2,
    "synthesis": {"small_radius": [1, 3], "medium_radius": [3, 6], "large_radius": [6, 10]},
    "max_iterations": 4,
    "epoch_iterations": 2,
    "num_workers": 0,
    "reduced_precision": False,
}
SEGMENTING = {**COARSE, "members": 2, "edge_depth": 0}


def bundle_command(run_id: str, configs: list[str], folder: Path = CONFIGS, **settings: object) -> list[str]:
    """Words of `python -m monai.bundle run`, without the interpreter."""
    files = [str(folder / f"{name}.json") for name in configs]
    options = {
        "config_file": json.dumps(files) if len(files) > 1 else files[0],
        "meta_file": folder / "metadata.json",
        "logging_file": folder / "logging.conf",
        **settings,
    }
    return ["-m", "monai.bundle", "run", run_id, *(f"--{key}={value}" for key, value in options.items())]


def python(*words: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs this interpreter as a user would."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **(env or {})}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
