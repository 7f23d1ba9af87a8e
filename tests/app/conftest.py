"""Generated chests and settings that make a server answer within seconds."""

import shutil
from pathlib import Path

import pytest

from tests.normnet.ct_files import phantom, write_nifti

OVERLAY = {"spacing": [3.6, 3.6, 5.0], "edge_depth": 0}
"""Laid over the bundle's inference.json: a coarse grid, which one window nearly covers, and whose two voxels of edge
would be most of a centimetre."""


@pytest.fixture(scope="session")
def chests(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two healthy chests, two diseased ones with their truth."""
    folder = tmp_path_factory.mktemp("chests")
    shutil.copytree(cohort, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("healthy_2*"))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of studies with one CT, `a`."""
    studies = tmp_path / "studies"
    studies.mkdir()
    write_nifti(studies / "a.nii.gz", phantom())
    return studies


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
