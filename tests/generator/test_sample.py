"""Whole samples against the literal reading: how lesions change the image."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from generator import PAPER, inject, synthesize
from tests.generator import reference

SHAPE = (48, 48, 24)
SPEC = replace(PAPER, small_count=(2, 3), medium_count=(1, 3), medium_radius=(6, 12), large_probability=0)
X, Y, Z = np.ogrid[:48, :48, :24]
LUNG = np.broadcast_to(((X - 24) / 22) ** 2 + ((Y - 24) / 20) ** 2 < 1, SHAPE).copy()
IMAGE = (np.random.default_rng(7).random(SHAPE) ** 2).astype(np.float32) * LUNG
REFERENCE_DRAWS, DRAWS = 150, 200

# Statistic: two-sample Kolmogorov-Smirnov on each quantity, over the samples. Bound: p of each above 1e-3.
BOUND = 1e-3

Quantities = dict[str, list[float]]


def measure(samples: list[tuple[np.ndarray, np.ndarray]]) -> Quantities:
    inside = [result[lesion] for result, lesion in samples]
    return {
        "lesion volume, voxels": [lesion.sum() for _, lesion in samples],
        "mean in lesions": [values.mean() for values in inside],
        "median in lesions": [float(np.median(values)) for values in inside],
        "deviation in lesions": [values.std() for values in inside],
        "share brighter than before": [(result > IMAGE)[lesion].mean() for result, lesion in samples],
        "mean gain where brighter": [(result - IMAGE)[result > IMAGE].mean() for result, _ in samples],
    }


def fast_samples() -> Quantities:
    image, lung = torch.from_numpy(IMAGE), torch.from_numpy(LUNG)
    samples = []
    for seed in range(DRAWS):
        rng = torch.Generator().manual_seed(seed)
        result, lesion = synthesize(image, lung, lung_fraction=1.0, rng=rng, spec=SPEC)
        samples.append((result.numpy(), lesion.numpy()))
    return measure(samples)


@pytest.fixture(scope="module")
def literal() -> Quantities:
    rngs = (np.random.default_rng(seed) for seed in range(REFERENCE_DRAWS))
    return measure([reference.synthesize(IMAGE, LUNG, 1.0, rng, SPEC) for rng in rngs])


def p_values(one: Quantities, other: Quantities) -> dict[str, float]:
    return {name: float(stats.ks_2samp(one[name], other[name], method="asymp").pvalue) for name in one}


def test_samples_are_distributed_as_in_the_literal_reading(literal: Quantities) -> None:
    found = p_values(fast_samples(), literal)
    assert min(found.values()) > BOUND, found


def added(image: torch.Tensor, lesion: torch.Tensor, intensity: torch.Tensor) -> torch.Tensor:
    """The sum in place of the maximum."""
    return torch.where(lesion, (image + intensity).clamp_max(1), image)


def replaced(image: torch.Tensor, lesion: torch.Tensor, intensity: torch.Tensor) -> torch.Tensor:
    """The lesion in place of the maximum."""
    return torch.where(lesion, intensity, image)


@pytest.mark.parametrize("wrong", [added, replaced])
def test_bound_fails_for_another_injection(
    literal: Quantities, monkeypatch: pytest.MonkeyPatch, wrong: object
) -> None:
    monkeypatch.setattr(inject, "inject", wrong)
    found = p_values(fast_samples(), literal)
    assert min(found.values()) < BOUND, found
