"""A folded network gives the same result."""

import pytest
import torch

from normnet.ensemble import Ensemble
from normnet.folding import folded
from normnet.network import ARCHITECTURES


def trained_looking(network: torch.nn.Module) -> torch.nn.Module:
    """Gives batch normalisation other numbers than those it starts from."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            for value in (module.running_mean, module.running_var, module.weight.data, module.bias.data):
                value.uniform_(0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_a_folded_ensemble_gives_the_same_probabilities(architecture: str) -> None:
    network, window = trained_looking(Ensemble(2, architecture)), torch.rand(1, 1, 32, 48, 16)
    with torch.no_grad():
        torch.testing.assert_close(folded(network)(window), network(window), atol=1e-5, rtol=0)


def test_folding_removes_normalisation_and_leaves_the_network_as_it_is() -> None:
    network = Ensemble(1, "unet").eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    kinds = {type(module) for module in folded(network).modules()}
    assert torch.nn.BatchNorm3d not in kinds
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
