"""f-AnoGAN: two parts, each of which trains its own networks; the encoder maps back."""

import torch
from torch.nn import functional

from normnet.baselines.f_anogan import CRITIC_STEPS, FAnoGAN

SIZE = 32


def moved(method: FAnoGAN, slices: torch.Tensor) -> set[str]:
    """Names the networks that one batch gives a gradient."""
    method.zero_grad(set_to_none=True)
    method.train()
    method(slices).backward()
    return {name.partition(".")[0] for name, weight in method.named_parameters() if weight.grad is not None}


def test_each_part_trains_its_own_networks() -> None:
    torch.manual_seed(0)
    method = FAnoGAN(gan_iterations=CRITIC_STEPS, image_size=SIZE, latent_size=8)
    slices = torch.rand(4, 1, SIZE, SIZE)
    parts = [moved(method, slices) for _ in range(CRITIC_STEPS + 1)]
    assert parts == [{"critic"}] * (CRITIC_STEPS - 1) + [{"critic", "generator"}, {"encoder"}]


def test_the_count_of_batches_travels_with_the_weights() -> None:
    method = FAnoGAN(gan_iterations=1, image_size=SIZE, latent_size=8)
    method(torch.rand(2, 1, SIZE, SIZE))
    resumed = FAnoGAN(gan_iterations=1, image_size=SIZE, latent_size=8)
    resumed.load_state_dict(method.state_dict())
    assert moved(resumed, torch.rand(2, 1, SIZE, SIZE)) == {"encoder"}


def test_the_penalty_wants_a_slope_of_one() -> None:
    torch.manual_seed(0)
    method = FAnoGAN(gan_iterations=1, image_size=SIZE, latent_size=8)
    real, drawn = torch.rand(2, 4, 1, SIZE, SIZE)
    method.critic = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(SIZE**2, 1))
    weight = method.critic[1].weight
    with torch.no_grad():
        weight.div_(weight.norm())
        gap = method.critic(drawn).mean() - method.critic(real).mean()
    assert torch.allclose(method.critic_loss(real, drawn), gap, atol=1e-5)


def test_the_encoder_finds_the_codes_that_the_generator_drew_from() -> None:
    torch.manual_seed(0)
    method = FAnoGAN(gan_iterations=0, image_size=SIZE, latent_size=8)
    with torch.no_grad():
        drawn = method.generator.eval()(torch.randn(16, 8))
        before = functional.mse_loss(method.eval().reconstruct(drawn), drawn)
    optimizer = torch.optim.Adam(method.parameters(), lr=2e-3, betas=(0.0, 0.9))
    for _ in range(60):
        optimizer.zero_grad(set_to_none=True)
        method.train()
        method(drawn).backward()
        optimizer.step()
    with torch.no_grad():
        after = functional.mse_loss(method.eval().reconstruct(drawn), drawn)
    assert float(after) < 0.5 * float(before)
