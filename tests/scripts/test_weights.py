"""Versions from the command line, by the real command."""

import subprocess
from pathlib import Path

import pytest

from monailabel_app.lib.versions import Versions
from tests.e2e.conftest import python

SCRIPT = Path(__file__).parents[2] / "scripts" / "weights.py"


@pytest.fixture
def versions(tmp_path: Path, weights: Path) -> Versions:
    """A model_dir with two versions, the second in use."""
    made = Versions(tmp_path / "model" / "versions", weights)
    made.add(weights, {"lesion_dice": 0.5})
    made.switch(made.add(weights, {}))
    return made


def run(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return python(str(SCRIPT), *map(str, words), cwd=cwd)


def test_versions_are_switched_in_their_folder_and_in_the_model_dir(
    versions: Versions, tmp_path: Path
) -> None:
    for folder, version in ((versions.folder, "1"), (versions.folder.parent, "0")):
        done = run("switch", version, "--folder", folder, cwd=tmp_path)
        assert done.stdout == f"Version {version} is in use.\n", done.stderr
        assert versions.current() == version


def test_a_folder_without_versions_is_one_sentence(tmp_path: Path) -> None:
    done = run("switch", 0, "--folder", tmp_path / "wrong", cwd=tmp_path)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"error: {tmp_path / 'wrong'}: expected a server's versions")
    assert not (tmp_path / "wrong").exists()
