"""Textures by hand, and their distributions against the literal reading."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from generator import PAPER, SynthesisSpec, textures
from generator.textures import Texture, brightness_factor, draw_texture, fill
from tests.generator import reference

SHAPE = (72, 72, 32)
BOX = (slice(6, 54), slice(0, 48), slice(0, 32))  # one side is the volume's border
DRAWS = 30

# Statistic: Welch's t of each quantity below, over the draws. Bound: |t| < 4.
BOUND = 4.0

# sigma_a, (a_L, a_U), sigma_b, mu_0: fine to coarse, the ends of the paper's ranges among them.
CASES = {
    "fine": Texture(2.0, (0.0, 0.16), 0.8, 0.8, seed=0),
    "middle": Texture(6.0, (0.05, 0.25), 1.5, 0.6, seed=0),
    "wide map": Texture(20.0, (0.02, 0.3), 1.2, 0.5, seed=0),
    "coarse salt": Texture(8.0, (0.1, 0.28), 3.0, 0.4, seed=0),
}


def measure(patch: np.ndarray) -> dict[str, float]:
    """Measures mean, spread, histogram and radial power spectrum (within slices) of one texture."""
    found = {"mean": patch.mean(), "deviation": patch.std(), "share at 1": (patch >= 1).mean()}
    for percent in (1, 10, 25, 50, 75, 90, 99):
        found[f"percentile {percent}"] = np.percentile(patch, percent)
    power = (np.abs(np.fft.fft2(patch - patch.mean(), axes=(0, 1))) ** 2).mean(2)
    x, y = (np.fft.fftfreq(size) * size for size in patch.shape[:2])
    radius = np.rint(np.hypot(x[:, None], y)).astype(int)
    for low, high in ((1, 2), (2, 4), (4, 7), (7, 11), (11, 16), (16, 24)):
        ring = power[(radius >= low) & (radius < high)].mean()
        found[f"log power, {low} to {high} cycles"] = np.log(ring + 1e-12)
    along = np.diff(patch, axis=2).std()
    return {**found, "step between slices": along}


def fast(texture: Texture) -> list[dict[str, float]]:
    patches = (fill(replace(texture, seed=seed), BOX, SHAPE) for seed in range(DRAWS))
    return [measure(patch.numpy()) for patch in patches]


def literal(texture: Texture) -> list[dict[str, float]]:
    lesion = np.zeros(SHAPE, bool)
    lesion[BOX] = True
    parameters = reference.Texture(
        texture.probability_sigma, *texture.probability, texture.salt_sigma, texture.brightness
    )
    rngs = (np.random.default_rng(seed) for seed in range(DRAWS))
    return [measure(reference.draw_patch(lesion, parameters, rng)[BOX]) for rng in rngs]


def t_values(one: list[dict[str, float]], other: list[dict[str, float]]) -> dict[str, float]:
    values = {}
    for name in one[0]:
        first, second = [draw[name] for draw in one], [draw[name] for draw in other]
        error = np.sqrt((np.var(first, ddof=1) + np.var(second, ddof=1)) / DRAWS)
        values[name] = float((np.mean(first) - np.mean(second)) / max(error, 1e-9))
    return values


@pytest.fixture(scope="module")
def expected() -> dict[str, list[dict[str, float]]]:
    return {name: literal(texture) for name, texture in CASES.items()}


Expected = dict[str, list[dict[str, float]]]


@pytest.mark.parametrize("case", CASES)
def test_texture_has_the_histogram_and_spectrum_of_the_literal_reading(case: str, expected: Expected) -> None:
    found = t_values(fast(CASES[case]), expected[case])
    assert max(map(abs, found.values())) < BOUND, found


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "change",
    [
        lambda texture: replace(texture, salt_sigma=1.1 * texture.salt_sigma),
        lambda texture: replace(texture, probability_sigma=0.6 * texture.probability_sigma),
        lambda texture: replace(texture, probability=(0.2, 0.2)),
        lambda texture: replace(texture, brightness=1.1 * texture.brightness),
    ],
    ids=["sigma_b", "sigma_a", "even probability", "mu_0"],
)
def test_bound_fails_for_a_wrong_parameter(
    case: str, change: Callable[[Texture], Texture], expected: Expected
) -> None:
    found = t_values(fast(change(CASES[case])), expected[case])
    assert max(map(abs, found.values())) > BOUND, found


def mean_over_all(smoothed: torch.Tensor, brightness: float, floor: float) -> torch.Tensor:
    """Eq. 6 without its threshold."""
    return brightness / smoothed.mean()


@pytest.mark.parametrize("case", ["fine", "middle", "wide map"])
def test_bound_fails_for_a_mean_over_all_voxels(
    case: str, expected: Expected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(textures, "brightness_factor", mean_over_all)
    found = t_values(fast(CASES[case]), expected[case])
    assert max(map(abs, found.values())) > BOUND, found


PARAMETERS = 3000

# Statistic: two-sample Kolmogorov-Smirnov on each parameter of 3000 textures. Bound: p of each above 1e-3.
PARAMETER_BOUND = 1e-3


def parameter_p_values(spec: SynthesisSpec) -> list[float]:
    rng, literal_rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    ours = [draw_texture(rng=rng, spec=spec) for _ in range(PARAMETERS)]
    theirs = [reference.draw_texture(literal_rng, PAPER) for _ in range(PARAMETERS)]
    rows = [(t.probability_sigma, *t.probability, t.salt_sigma, t.brightness) for t in ours]
    literal_rows = [(t.sigma_a, t.a_low, t.a_high, t.sigma_b, t.mu_0) for t in theirs]
    columns = zip(zip(*rows, strict=True), zip(*literal_rows, strict=True), strict=True)
    return [float(stats.ks_2samp(one, other, method="asymp").pvalue) for one, other in columns]


def test_parameters_are_distributed_as_in_the_literal_reading() -> None:
    assert min(parameter_p_values(PAPER)) > PARAMETER_BOUND


@pytest.mark.parametrize(
    "wrong",
    [
        {"probability_sigma": (2.0, 18.0)},
        {"probability_gap": 0.1},
        {"fine_probability": 0.6},
        {"coarse_sigma": (2.0, 4.0)},
        {"brightness": (0.4, 0.7)},
    ],
    ids=str,
)
def test_parameter_bound_fails_for_a_wrong_constant(wrong: dict[str, tuple[float, float] | float]) -> None:
    assert min(parameter_p_values(replace(PAPER, **wrong))) < PARAMETER_BOUND  # type: ignore[arg-type]


def test_probability_keeps_its_gap_and_stays_in_its_range() -> None:
    rng = torch.Generator().manual_seed(0)
    for _ in range(500):
        low, high = draw_texture(rng=rng).probability
        assert low >= 0 and high <= 0.3 and high - low >= 0.15


@pytest.mark.parametrize("low", [0.0, 0.1, 0.2, 0.3, 0.7, 0.85])
def test_a_range_as_wide_as_the_gap_is_its_own_only_draw(low: float) -> None:
    spec = SynthesisSpec(probability=(low, round(low + 0.15, 2)))
    drawn = draw_texture(rng=torch.Generator().manual_seed(0), spec=spec).probability
    assert drawn == pytest.approx(spec.probability, abs=1e-9)
    assert spec.probability[0] <= drawn[0] and drawn[1] <= spec.probability[1]


def test_beta_makes_the_mean_of_what_passes_the_floor_the_brightness() -> None:
    smoothed = torch.tensor([0.1, 0.2, 0.3, 0.5])  # 0.3 and 0.5 pass: mean 0.4
    assert float(brightness_factor(smoothed, 0.6, 0.2)) == pytest.approx(1.5)


def test_beta_takes_the_largest_value_where_none_passes_and_0_without_salt() -> None:
    assert float(brightness_factor(torch.tensor([0.05, 0.15]), 0.6, 0.2)) == pytest.approx(4.0)
    assert float(brightness_factor(torch.zeros(3), 0.6, 0.2)) == 0.0


def test_beta_is_that_of_the_literal_reading() -> None:
    rng = np.random.default_rng(0)
    for scale in (0.1, 0.3, 1.0):
        smoothed = (scale * rng.random(1000)).astype(np.float32)
        ours = float(brightness_factor(torch.from_numpy(smoothed), 0.5, 0.2))
        assert ours == pytest.approx(float(reference.beta(smoothed, 0.5, 0.2)), rel=1e-5)


def test_texture_is_fixed_by_its_seed_and_clipped() -> None:
    texture = CASES["fine"]
    patch = fill(texture, BOX, SHAPE)
    assert patch.shape == (48, 48, 32) and patch.dtype == torch.float32
    assert patch.min() >= 0 and patch.max() == 1
    assert torch.equal(patch, fill(texture, BOX, SHAPE))
    assert not torch.equal(patch, fill(replace(texture, seed=1), BOX, SHAPE))


def test_beta_is_the_same_to_the_bit_with_any_number_of_threads() -> None:
    volumes = [torch.rand(100, 100, 32, generator=torch.Generator().manual_seed(n)) ** 2 for n in range(8)]
    threads = torch.get_num_threads()
    found: list[list[float]] = []
    try:
        for number in (1, 2, 4):
            torch.set_num_threads(number)
            found.append([float(brightness_factor(smoothed, 0.6, 0.2)) for smoothed in volumes])
    finally:
        torch.set_num_threads(threads)
    assert found[0] == found[1] == found[2]
