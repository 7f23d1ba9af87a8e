"""The lungs that all methods of a comparison see: found once for each CT, and read from a file ever after."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ct_with_lungs import reads_with_lungs
from nnunet_training import save_volume
from tqdm import tqdm

from normnet.studies import beside_ct, find_studies, load_datalist
from normnet.whole_file import written_whole

__all__ = ["healthy_with_lungs", "labelled_with_lungs", "with_lungs"]


def with_lungs(
    healthy: Path, tests: Mapping[str, Path], out: Path, backend: str
) -> tuple[Path, dict[str, Path]]:
    """Finds the lungs of all CTs, so that every config can take them by `lungs_backend` `file`.

    Args:
        healthy: healthy CTs, as of `normnet.studies.load_datalist`.
        tests: folders of CTs with their masks, by name.
        out: gets a folder for each of them; lungs that are there are not found again.
        backend: of the lungs, as of `inference.json`; with `file` they lie beside the CTs already.

    Returns:
        The folders with lungs that take the place of `healthy` and `tests`.
    """
    if backend == "file":
        return healthy, dict(tests)
    labelled = {name: labelled_with_lungs(folder, out / name, backend) for name, folder in tests.items()}
    return healthy_with_lungs(healthy, out / "healthy_lungs", backend), labelled


def labelled_with_lungs(folder: Path, out: Path, backend: str) -> Path:
    """Lays a labelled set out again, by links, with <case>_lungs.nii.gz beside every CT.

    Args:
        folder: CTs with their masks; nothing is written there, and lungs that lie there are passed over.
        out: the new folder; lungs that it holds are not found again.
        backend: of the lungs, as of `inference.json`.

    Returns:
        `out`.
    """
    if not out.is_dir():
        unfinished = out.with_name(f".{out.name}")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(
            folder, unfinished, ignore=shutil.ignore_patterns("*_lungs.*"), copy_function=os.symlink
        )
        unfinished.rename(out)
    for study in tqdm(find_studies(out), desc=f"Finding lungs: {out.name}", unit="CT"):
        find_lungs(study, beside_ct(study["image"], "lungs"), backend)
    return out


def healthy_with_lungs(folder: Path, out: Path, backend: str) -> Path:
    """Writes OUT/dataset.json, which lists the healthy CTs of a folder with their lungs, and the lungs.

    Args:
        folder: as of `normnet.studies.load_datalist`.
        out: the new folder; lungs that it holds are not found again.
        backend: of the lungs, as of `train.json`.

    Returns:
        `out`.
    """
    out.mkdir(parents=True, exist_ok=True)
    listed: dict[str, list[dict[str, Any]]] = {"training": load_datalist(folder, "training")}
    listed["validation"] = load_datalist(folder, "validation")
    for section, items in listed.items():
        for index, item in enumerate(tqdm(items, desc=f"Finding lungs: {section}", unit="CT")):
            item["lungs"] = str(find_lungs(item, out / f"{section}_{index}_lungs.nii.gz", backend))
    with written_whole(out / "dataset.json") as beside:
        beside.write_text(json.dumps(listed, indent=1), encoding="utf-8")
    return out


def find_lungs(item: Mapping[str, Any], path: Path, backend: str) -> Path:
    """Writes the lungs of one CT to a path, unless they are there."""
    if not path.is_file():
        found: Any = reads_with_lungs(backend)(dict(item))
        with written_whole(path) as beside:
            save_volume(found["lungs"], np.uint8, beside)
    return path
