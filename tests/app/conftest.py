"""Generated chests and settings that make a server answer within seconds."""

import shutil
from pathlib import Path

import pytest

from generator.cohort import write_cohort

OVERLAY = {"spacing": [3.6, 3.6, 5.0], "window": [48, 48, 16]}
"""Laid over the bundle's inference.json: a coarse grid."""


@pytest.fixture(scope="session")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two healthy chests, two diseased ones with their truth, at 3.6 x 3.6 x 5 mm."""
    folder = tmp_path_factory.mktemp("chests")
    write_cohort(folder, healthy=2, diseased=2, shape=(96, 84, 48), spacing=(3.6, 3.6, 5.0))
    return folder


def copy_chests(chests: Path, folder: Path) -> Path:
    """Puts all chests flat into a folder, which is made: what an annotator has."""
    folder.mkdir(parents=True)
    for path in sorted(chests.rglob("*.nii.gz")):
        if not path.name.endswith("_lesions.nii.gz"):
            shutil.copy(path, folder / path.name)
    return folder


def truth_of(chests: Path, image: str) -> Path:
    """Finds the exact lesions of a generated chest."""
    (path,) = chests.rglob(f"{image}_lesions.nii.gz")
    return path
