"""Each method's own idea, on slices small enough to reason about."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from normnet.baselines.autoencoder import SliceAutoencoder, brighter_than
from normnet.baselines.bayesian_vae import BayesianVAE
from normnet.baselines.bright_lung import BrightLung
from normnet.baselines.constrained_vae import ConstrainedVAE
from normnet.baselines.context_vae import ContextVAE, cut_squares
from normnet.baselines.gmvae import GMVAE, Mixture
from normnet.baselines.kl_gradient import KLGradient
from normnet.baselines.restoration import Restoration
from normnet.baselines.vae import VAE, kl_to_standard_normal

SIZE = 32


@pytest.fixture
def slices() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(4, 1, SIZE, SIZE)


def trained(method: nn.Module, slices: torch.Tensor, steps: int = 40, rate: float = 3e-3) -> nn.Module:
    """Trains as the trainer does, and gives the method ready to score."""
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(method.parameters(), lr=rate)
    method.train()
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        method(slices).backward()
        optimizer.step()
    return method.eval()


def disc(brightness: float = 1.0) -> torch.Tensor:
    """One slice (1, 1, S, S) with a disc in its middle."""
    axis = torch.arange(SIZE) - SIZE / 2
    inside = axis[:, None] ** 2 + axis[None] ** 2 < 9**2
    return brightness * inside.float()[None, None]


def test_the_dense_bottleneck_is_a_vector_and_the_spatial_one_a_map(slices: torch.Tensor) -> None:
    assert VAE(SIZE, 128).encode(slices).shape == (4, 128)
    assert VAE(128, 128, spatial=True).encode(torch.rand(2, 1, 128, 128)).shape == (2, 128, 8, 8)


def test_a_size_that_cannot_be_halved_four_times_is_refused() -> None:
    with pytest.raises(ValueError, match="16 divides, got 40"):
        SliceAutoencoder(40)


def test_what_was_not_learnt_is_the_anomaly() -> None:
    method = trained(SliceAutoencoder(SIZE, 8), disc(0.4).repeat(8, 1, 1, 1), steps=80)
    ill = disc(0.4)
    ill[..., 14:18, 14:18] = 1.0
    with torch.no_grad():
        anomaly, _ = method.score(ill)
    assert float(anomaly[..., 14:18, 14:18].mean()) > 4 * float(anomaly.mean())


def test_bright_lung_is_the_slice_itself() -> None:
    anomaly, reconstruction = BrightLung().score(disc(0.4))
    assert torch.equal(anomaly, disc(0.4))
    assert not reconstruction.any()


def test_only_what_is_too_bright_counts() -> None:
    assert brighter_than(torch.tensor([0.8, 0.2]), torch.tensor([0.5, 0.5])).tolist() == pytest.approx(
        [0.3, 0.0]
    )


def test_kl_is_nothing_for_the_standard_normal_and_half_the_square_of_a_shift() -> None:
    mean, log_variance = torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.zeros(2, 2)
    assert kl_to_standard_normal(mean, log_variance).tolist() == [0.0, 12.5]


def test_the_kl_weight_pulls_the_codes_to_the_standard_normal(slices: torch.Tensor) -> None:
    loose, tight = (trained(VAE(SIZE, 8, kl_weight=weight), slices) for weight in (0.0, 1.0))
    with torch.no_grad():
        divergence = [kl_to_standard_normal(*vae.distribution(slices)).mean() for vae in (loose, tight)]
    assert divergence[1] < 0.5 * divergence[0]


def test_a_square_of_each_slice_is_blanked_elsewhere_each_time() -> None:
    torch.manual_seed(0)
    cut = cut_squares(torch.ones(6, 1, SIZE, SIZE), 8)
    assert (cut == 0).flatten(1).sum(dim=1).tolist() == [64] * 6
    rows, columns = (torch.nonzero(cut[0, 0] == 0)[:, axis].unique() for axis in (0, 1))
    assert len(rows) == len(columns) == 8
    assert not torch.equal(cut[0], cut[1])


def test_the_context_is_encoded_from_the_masked_slice(slices: torch.Tensor) -> None:
    method = ContextVAE(crop_size=8, image_size=SIZE, latent_size=8).eval()
    seen, made = [], []
    method.layers.encode.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    method.layers.decode.register_forward_hook(lambda _, inputs, output: made.append(output))
    slices = slices + 1.0
    loss = method(slices)
    assert (seen[0] == 0).sum() == 0
    assert (seen[1] == 0).flatten(1).sum(dim=1).tolist() == [64] * 4
    whole, filled_in = (functional.l1_loss(rebuilt, slices) for rebuilt in made)
    with torch.no_grad():
        divergence = kl_to_standard_normal(*method.distribution(slices)).mean()
    expected = (whole + filled_in + method.kl_weight * divergence).detach()
    assert float(loss.detach()) == pytest.approx(float(expected), rel=1e-5)


def test_the_distance_between_the_codes_of_input_and_reconstruction_is_in_the_loss(
    slices: torch.Tensor,
) -> None:
    # Not "after a short training they lie nearer": that hangs on the seed and on the processor.
    vae = ConstrainedVAE(image_size=SIZE, latent_size=8).eval()

    def loss(weight: float) -> float:
        torch.manual_seed(0)  # the same draw of the code
        vae.constraint_weight = weight
        return float(vae(slices).detach())

    assert loss(3.0) - loss(0.0) == pytest.approx(3 * (loss(1.0) - loss(0.0)), rel=1e-3)
    with torch.no_grad():
        code = vae.encode(slices)
        rebuilt = vae.decode(code)
        expected = float((vae.encode(rebuilt) - code).square().mean())
        vae.constraint_weight = 1.0
        assert float(vae.further_loss(slices, code, rebuilt)) == pytest.approx(expected, rel=1e-5)
        assert float(vae.further_loss(slices, code, slices)) == 0
    assert expected > 0 and loss(1.0) > loss(0.0)


def test_dropout_stays_on_when_slices_are_scored(slices: torch.Tensor) -> None:
    method = BayesianVAE(dropout=0.2, samples=1, image_size=SIZE, latent_size=8).eval()
    with torch.no_grad():
        first, second = method.reconstruct(slices), method.reconstruct(slices)
        method.samples = 30
        third, fourth = method.reconstruct(slices), method.reconstruct(slices)
        still = VAE.reconstruct(method, slices), VAE.reconstruct(method, slices)
    assert not torch.equal(first, second)
    assert (third - fourth).abs().mean() < 0.5 * (first - second).abs().mean()
    assert torch.equal(*still)


def test_kl_gradient_is_the_map(slices: torch.Tensor) -> None:
    method = KLGradient(image_size=SIZE, latent_size=8).eval().double()
    slices = slices.double()
    with torch.no_grad():
        anomaly, _ = method.score(slices)
        moved = slices.clone()
        moved[1, 0, 10, 20] += 1e-5
        before, after = (kl_to_standard_normal(*method.distribution(image)) for image in (slices, moved))
    slope = float((after - before)[1] / 1e-5)
    assert float(anomaly[1, 0, 10, 20]) == pytest.approx(abs(slope), rel=1e-2)


def test_restoration_lowers_its_objective_and_takes_the_lesion_away() -> None:
    method = trained(
        Restoration(steps=60, image_size=SIZE, latent_size=8), disc(0.4).repeat(8, 1, 1, 1), steps=80
    )
    ill = disc(0.4)
    ill[..., 12:20, 12:20] = 0.8
    with torch.no_grad():
        anomaly, restored = method.score(ill)
        before, after = method.objective(ill, ill), method.objective(restored, ill)
    assert float(after) < float(before)
    assert float(anomaly[..., 12:20, 12:20].mean()) > 4 * float(anomaly.mean())


def test_a_restoration_that_asks_the_network_less_often_lowers_the_objective_too() -> None:
    method = trained(
        Restoration(steps=60, renewal=5, image_size=SIZE, latent_size=8),
        disc(0.4).repeat(8, 1, 1, 1),
        steps=80,
    )
    asked = []
    method.layers.encode.register_forward_hook(lambda *_: asked.append(1))
    ill = disc(0.4)
    ill[..., 12:20, 12:20] = 0.8
    with torch.no_grad():
        anomaly, restored = method.score(ill)
        assert len(asked) == 12
        assert float(method.objective(restored, ill)) < float(method.objective(ill, ill))
    assert float(anomaly[..., 12:20, 12:20].mean()) > 4 * float(anomaly.mean())


def test_the_total_variation_holds_the_restoration_back(slices: torch.Tensor) -> None:
    method = Restoration(steps=20, image_size=SIZE, latent_size=8).eval()

    def variation(weight: float) -> float:
        method.tv_weight = weight
        with torch.no_grad():
            return float((method.reconstruct(slices) - slices).diff(dim=-1).abs().sum())

    assert variation(1.8) < 0.5 * variation(0.0)


def test_a_code_belongs_to_the_component_it_lies_in() -> None:
    mixture = Mixture(mean=torch.tensor([[[0.0, 0.0], [5.0, 5.0]]]), log_variance=torch.zeros(1, 2, 2))
    code = torch.tensor([[5.0, 5.0]])
    assert mixture.posterior(code)[0].tolist() == pytest.approx([0.0, 1.0], abs=1e-6)
    assert mixture.divergence(code, torch.zeros(1, 2))[0].tolist() == pytest.approx([25.0, 0.0])


def test_two_kinds_of_slices_come_to_use_more_than_one_component() -> None:
    torch.manual_seed(0)
    kinds = torch.cat([disc(0.9).repeat(4, 1, 1, 1), 0.9 - disc(0.9).repeat(4, 1, 1, 1)])
    method = trained(
        GMVAE(components=3, image_size=SIZE, latent_size=4, kl_weight=1e-2), kinds, steps=150, rate=3e-3
    )
    with torch.no_grad():
        noise = method.to_noise(method.layers.encode(kinds))[:, :1]
        belonging = method.mixture(noise).posterior(method.encode(kinds)).argmax(dim=1)
    assert belonging[0] != belonging[-1]
