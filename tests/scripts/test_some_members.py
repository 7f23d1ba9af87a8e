"""Some members of an ensemble as an ensemble of their own, by the real command."""

from pathlib import Path

import pytest
import torch

from normnet.checkpoints import load_weights, save_weights
from normnet.ensemble import Ensemble
from tests.e2e.conftest import python

SCRIPT = Path(__file__).parents[2] / "scripts" / "some_members.py"


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "three.pt"
    save_weights(Ensemble(3), path, half=True)
    return path


def test_the_chosen_members_answer_as_they_did(three: Path, tmp_path: Path) -> None:
    output = tmp_path / "some.pt"
    done = python(str(SCRIPT), str(three), str(output), "--members", "2,0", cwd=tmp_path)
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
    done = python(str(SCRIPT), str(three), str(tmp_path / "some.pt"), "--members", members, cwd=tmp_path)
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1 and "Traceback" not in done.stderr
    assert not any(tmp_path.iterdir())
