"""The average of ensembles, by the real command."""

from pathlib import Path

import torch

from normnet.checkpoints import save_weights
from normnet.ensemble import Ensemble
from tests.e2e.conftest import python

SCRIPT = Path(__file__).parents[2] / "scripts" / "average_ensembles.py"


def ensemble(path: Path, members: int, seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    network = Ensemble(members)
    for name, value in network.state_dict().items():
        if "running" in name:
            value.copy_(torch.rand_like(value))
    save_weights(network, path)
    return network.state_dict()


def test_every_weight_is_the_mean_of_the_files(tmp_path: Path) -> None:
    parts = [ensemble(tmp_path / f"{seed}.pt", members=2, seed=seed) for seed in range(3)]
    output = tmp_path / "averaged.pt"
    done = python(
        str(SCRIPT), str(output), *(str(tmp_path / f"{seed}.pt") for seed in range(3)), cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    averaged = torch.load(output, weights_only=True)
    assert averaged.keys() == parts[0].keys()
    for name, value in averaged.items():
        if value.is_floating_point():
            mean = torch.stack([part[name] for part in parts]).mean(dim=0)
            torch.testing.assert_close(value.float(), mean, atol=1e-3, rtol=1e-3)


def test_ensembles_of_other_members_are_refused_in_one_sentence(tmp_path: Path) -> None:
    for members in (1, 2):
        ensemble(tmp_path / f"{members}.pt", members, seed=0)
    output = tmp_path / "averaged.pt"
    for files in (["2.pt", "1.pt"], ["2.pt"]):
        done = python(str(SCRIPT), str(output), *files, cwd=tmp_path)
        assert done.returncode != 0
        assert len(done.stderr.strip().splitlines()) == 1 and "Traceback" not in done.stderr
        assert not output.exists()
