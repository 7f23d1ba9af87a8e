"""The constants of the paper, and what a spec refuses."""

from dataclasses import replace
from typing import Any

import pytest

from generator import PAPER, SPECS, SynthesisSpec


def test_paper_spec_holds_the_numbers_of_section_iii_c() -> None:
    assert (PAPER.small_count, PAPER.small_radius) == ((5, 10), (3, 10))
    assert (PAPER.medium_count, PAPER.medium_radius) == ((5, 10), (10, 32))
    assert (PAPER.large_probability, PAPER.large_radius) == (0.2, (32, 64))
    assert PAPER.probability_sigma == (2, 20)
    assert (PAPER.probability, PAPER.probability_gap) == ((0, 0.3), 0.15)
    assert (PAPER.fine_sigma, PAPER.coarse_sigma, PAPER.fine_probability) == ((0.8, 2), (2, 5), 0.7)
    assert (PAPER.brightness, PAPER.brightness_floor) == ((0.4, 0.8), 0.2)


def test_specs_are_named_after_the_rows_of_table_v() -> None:
    assert list(SPECS) == ["paper", "wide", "fixed_shapes", "fixed_probability_maps", "fixed_salt_noise"]


def test_wide_goes_beyond_the_paper_in_brightness_and_in_small_lesions_alone() -> None:
    wide = SPECS["wide"]
    assert (wide.small_count, wide.small_radius, wide.brightness) == ((5, 15), (2, 10), (0.35, 1.0))
    changed = {
        "small_count": PAPER.small_count,
        "small_radius": PAPER.small_radius,
        "brightness": PAPER.brightness,
    }
    assert replace(wide, **changed) == PAPER


def test_lists_from_json_make_the_same_spec_as_pairs() -> None:
    assert SynthesisSpec(small_radius=[3, 10]) == PAPER  # type: ignore[arg-type]
    assert hash(SynthesisSpec(small_radius=[3, 10])) == hash(PAPER)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("small_radius", (10, 3)),
        ("small_radius", (0, 3)),
        ("medium_count", (1, 2, 3)),
        ("medium_count", 5),
        ("medium_count", "5"),
        ("medium_count", ("few", "many")),
        ("large_probability", [0.1, 0.2]),
        ("counts_follow_lung", "yes"),
        ("medium_count", (-1, 2)),
        ("large_radius", (float("nan"), 5)),
        ("small_radius", (3, float("inf"))),
        ("large_probability", 1.5),
        ("brightness_floor", -0.1),
        ("probability", (0.0, 0.1)),
        ("probability", (0.0, 1.2)),
        ("fine_sigma", (0.1, 2)),
        ("deformation_smoothness", (0, 0.5)),
    ],
)
def test_impossible_values_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=field):
        replace(PAPER, **{field: value})
