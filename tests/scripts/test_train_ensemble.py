"""Members that lie there are merged as their configs say."""

from pathlib import Path

import pytest
import torch
from train_ensemble import train_ensemble

from normnet.checkpoints import load_weights, save_weights
from normnet.ensemble import Ensemble
from normnet.errors import InputError
from normnet.network import member_network


@pytest.mark.parametrize(("configs", "architecture"), [("train", "subpixel_unet"), ("train,paper", "unet")])
def test_the_architecture_is_that_of_the_configs(configs: str, architecture: str, tmp_path: Path) -> None:
    member = member_network(architecture)
    save_weights(member, tmp_path / "member_0.pt")
    train_ensemble(
        str(tmp_path), members=1, ckpt_dir=str(tmp_path), output_dir=str(tmp_path), configs=configs
    )
    merged = load_weights(Ensemble(1, architecture), tmp_path / "model.pt").state_dict()
    for name, value in member.state_dict().items():
        torch.testing.assert_close(merged[f"members.0.{name}"], value, atol=1e-3, rtol=0)


@pytest.mark.parametrize("members", [0, -1, 2.0, "two"])
def test_a_number_of_members_that_cannot_be_is_refused_and_the_weights_stay(
    members: object, tmp_path: Path
) -> None:
    (tmp_path / "model.pt").write_bytes(b"an ensemble")
    with pytest.raises(InputError, match=f"--members: expected a whole number of .* found {members!r}"):
        train_ensemble(str(tmp_path), members=members, ckpt_dir=str(tmp_path))  # type: ignore[arg-type]
    assert (tmp_path / "model.pt").read_bytes() == b"an ensemble"
