"""Weights on disk: strict, readable errors, never half-written."""

from pathlib import Path

import pytest
import torch

from normnet.checkpoints import load_weights, read_checkpoint, save_weights, weights_hash, write_checkpoint
from normnet.ensemble import Ensemble
from normnet.errors import InputError


def test_weights_come_back_as_they_were(tmp_path: Path) -> None:
    network = torch.nn.Linear(3, 2)
    save_weights(network, tmp_path / "a" / "w.pt")
    other = load_weights(torch.nn.Linear(3, 2), tmp_path / "a" / "w.pt")
    assert torch.equal(other.weight, network.weight)
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["w.pt"]


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.pt: there are no weights"):
        read_checkpoint(tmp_path / "nothing.pt")


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    save_weights(torch.nn.Linear(30, 20), tmp_path / "w.pt")
    content = (tmp_path / "w.pt").read_bytes()
    (tmp_path / "w.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"w\.pt: expected weights"):
        read_checkpoint(tmp_path / "w.pt")


@pytest.mark.parametrize("content", [torch.nn.Linear(4, 2).state_dict(), {"extra": torch.zeros(1)}, [1, 2]])
def test_weights_of_another_network_are_refused(tmp_path: Path, content: object) -> None:
    write_checkpoint(content, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"w\.pt: expected the 2 tensors of Linear"):
        load_weights(torch.nn.Linear(3, 2), tmp_path / "w.pt")


def test_the_weights_of_another_ensemble_say_how_many_members_they_have(tmp_path: Path) -> None:
    save_weights(Ensemble(2), tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"expected the 132 tensors .* file's 88 .* --members \(2 here\)\.$"):
        load_weights(Ensemble(3), tmp_path / "w.pt")


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    write_checkpoint({"a": 1}, tmp_path / "w.pt")
    with pytest.raises(Exception, match="pickle"):
        write_checkpoint({"a": lambda: 1}, tmp_path / "w.pt")
    assert read_checkpoint(tmp_path / "w.pt") == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["w.pt"]


def test_the_hash_follows_the_weights(tmp_path: Path) -> None:
    write_checkpoint({"a": 1}, tmp_path / "a.pt")
    write_checkpoint({"a": 2}, tmp_path / "b.pt")
    assert weights_hash(tmp_path / "a.pt") != weights_hash(tmp_path / "b.pt")
    assert len(weights_hash(tmp_path / "a.pt")) == 12


def test_a_folder_that_cannot_be_written_is_named() -> None:
    with pytest.raises(InputError, match=r"/proc/nowhere/w\.pt: weights cannot be written here \("):
        write_checkpoint({"a": 1}, "/proc/nowhere/w.pt")
