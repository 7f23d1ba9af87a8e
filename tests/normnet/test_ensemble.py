"""The ensemble: a channel a member, merged strictly; and how it is run, and other networks are."""

from pathlib import Path

import pytest
import torch

from normnet.checkpoints import load_weights, save_weights
from normnet.ensemble import Ensemble, merge_members
from normnet.errors import InputError
from normnet.inferers import EnsembleInferer, has_reduced_precision
from normnet.network import ARCHITECTURES, member_network


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_every_architecture_maps_a_window_to_logits_of_its_size(architecture: str) -> None:
    network = member_network(architecture).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 1, 32, 32, 16)).shape == (1, 1, 32, 32, 16)


def test_an_unknown_architecture_is_named() -> None:
    with pytest.raises(ValueError, match="basic_unet"):
        member_network("unett")


def test_each_channel_is_the_probability_of_its_member(tmp_path: Path) -> None:
    torch.manual_seed(0)
    members = [member_network().half().float().eval() for _ in range(3)]  # as the file rounds them
    paths = [tmp_path / f"member_{number}.pt" for number in range(3)]
    for member, path in zip(members, paths, strict=True):
        save_weights(member, path)
    merge_members(paths, tmp_path / "model.pt")
    ensemble = load_weights(Ensemble(members=3), tmp_path / "model.pt").eval()
    window = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        probability = ensemble(window)
        assert probability.shape == (1, 3, 16, 16, 16)
        for number, member in enumerate(members):
            assert torch.allclose(probability[:, number], torch.sigmoid(member(window))[:, 0])


def test_a_member_of_another_architecture_is_refused(tmp_path: Path) -> None:
    save_weights(member_network("dyn_unet"), tmp_path / "member_0.pt")
    with pytest.raises(InputError, match="member_0"):
        merge_members([tmp_path / "member_0.pt"], tmp_path / "model.pt")
    assert not (tmp_path / "model.pt").exists()


def test_no_members_are_no_ensemble(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.pt: expected the weights of one member at least"):
        merge_members([], tmp_path / "model.pt")
    assert not list(tmp_path.iterdir())


class Brightness(torch.nn.Module):
    """Gives the image and its complement."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([image, 1 - image], dim=1)


def test_windows_of_another_network_that_is_local_change_nothing() -> None:
    image = torch.rand(1, 1, 40, 30, 20)
    result = EnsembleInferer(roi_size=(16, 16, 16), reduced=False)(image, Brightness())
    assert result.dtype == torch.float16
    result = result.float()
    assert torch.allclose(result[0, 0], image[0, 0], atol=5e-4)
    assert torch.allclose(result[0, 1], 1 - image[0, 0], atol=5e-4)


@pytest.mark.parametrize(
    ("processor", "reduced"),
    [
        ({"architecture": "x86_64", "cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": True}, True),
        ({"architecture": "x86_64", "cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": False}, False),
        ({"architecture": "x86_64", "cpu_name": "AMD EPYC", "avx512_bf16": True, "amx_bf16": False}, True),
        ({"architecture": "x86_64", "cpu_name": "AMD EPYC", "avx512_bf16": False, "amx_bf16": False}, False),
        ({"architecture": "aarch64"}, False),
    ],
)
def test_bfloat16_is_taken_where_it_was_measured_quicker(
    processor: dict[str, str | bool], reduced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: processor)
    assert has_reduced_precision(torch.device("cpu")) is reduced


def test_reduced_precision_stays_close() -> None:
    torch.manual_seed(0)
    network, image = Ensemble(members=2).eval(), torch.rand(1, 1, 32, 32, 16)
    exact = EnsembleInferer(reduced=False)(image, network)
    reduced = EnsembleInferer(reduced=True)(image, network)
    assert float((exact - reduced).abs().max()) < 0.02


def test_a_thorax_that_does_not_fit_the_networks_strides_is_no_trouble() -> None:
    torch.manual_seed(0)
    network, image = Ensemble(members=1).eval(), torch.rand(1, 1, 21, 30, 11)
    padded = torch.nn.functional.pad(image, (0, 21, 0, 2, 0, 11))
    with torch.no_grad():
        expected = network(padded)[..., :21, :30, :11]
    result = EnsembleInferer(reduced=False)(image, network)
    assert float((result - expected).abs().max()) < 1e-3


def test_a_thorax_without_lung_is_an_error() -> None:
    with pytest.raises(ValueError, match="darker than the window"):
        EnsembleInferer(reduced=False)(torch.zeros(1, 1, 16, 16, 16), Brightness())
