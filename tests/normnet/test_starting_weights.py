"""A member taken out of an ensemble's weights."""

from pathlib import Path

import pytest
import torch

from normnet.checkpoints import save_weights
from normnet.ensemble import Ensemble
from normnet.errors import InputError
from normnet.starting_weights import count_members, member_of_ensemble


@pytest.fixture
def ensemble() -> Ensemble:
    torch.manual_seed(0)
    return Ensemble(members=2)


@pytest.fixture
def path(ensemble: Ensemble, tmp_path: Path) -> Path:
    save_weights(ensemble, tmp_path / "model.pt")
    return tmp_path / "model.pt"


def test_a_member_has_its_own_weights(ensemble: Ensemble, path: Path) -> None:
    taken, own = member_of_ensemble(path, 1).state_dict(), ensemble.members[1].state_dict()
    assert taken.keys() == own.keys() and all(torch.equal(taken[name], own[name]) for name in own)
    assert count_members(path) == 2


def test_a_member_too_many_or_of_another_kind_is_one_sentence(path: Path) -> None:
    with pytest.raises(InputError, match="with a member 2, got members 0 to 1"):
        member_of_ensemble(path, 2)
    with pytest.raises(InputError, match="architecture 'dyn_unet'"):
        member_of_ensemble(path, 0, "dyn_unet")


def test_weights_of_one_member_alone_are_no_ensemble(ensemble: Ensemble, tmp_path: Path) -> None:
    save_weights(ensemble.members[0], tmp_path / "member_0.pt")
    with pytest.raises(InputError, match="expected the weights of an ensemble"):
        member_of_ensemble(tmp_path / "member_0.pt", 0)
