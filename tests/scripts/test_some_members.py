"""Some members of an ensemble as an ensemble of their own, by the real command."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from normnet.checkpoints import load_weights, save_weights
from normnet.ensemble import Ensemble

SCRIPT = Path(__file__).parents[2] / "scripts" / "some_members.py"


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "three.pt"
    save_weights(Ensemble(3), path, half=True)
    return path


def some_members(three: Path, output: Path, members: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(three), str(output), "--members", members]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_the_chosen_members_answer_as_they_did(three: Path, tmp_path: Path) -> None:
    output = tmp_path / "some.pt"
    done = some_members(three, output, "2,0")
    assert done.returncode == 0, done.stderr
    image = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        all_three = load_weights(Ensemble(3), three).eval()(image)
        some = load_weights(Ensemble(2), output).eval()(image)
    torch.testing.assert_close(some, all_three[:, [2, 0]])


@pytest.mark.parametrize("members", ["3", "two"])
def test_a_member_that_there_is_not_is_refused_in_one_sentence(
    three: Path, tmp_path: Path, members: str
) -> None:
    done = some_members(three, tmp_path / "some.pt", members)
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1 and "Traceback" not in done.stderr
    assert not any(tmp_path.iterdir())
