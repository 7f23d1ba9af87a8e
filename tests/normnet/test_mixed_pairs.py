"""Draws from two sources in turn: the same one for a number, whoever draws it."""

from typing import Any

import torch
from monai.data import DataLoader
from monai.transforms import Compose, RandShiftIntensityd

from normnet.mixed_pairs import MixedPairs
from normnet.synthetic_pairs import SyntheticPairs

SHIFT = 0.25


def source(value: float, cases: int = 2) -> SyntheticPairs:
    volumes: list[dict[str, Any]] = [
        {"image": torch.full((1, 2, 2, 2), value + case)} for case in range(cases)
    ]
    return SyntheticPairs(
        volumes, Compose([RandShiftIntensityd("image", offsets=SHIFT, prob=1.0)]), draws=8, seed=3
    )


def values(workers: int = 0, **options: int) -> list[float]:
    mixed = MixedPairs([source(10.0), source(100.0, cases=3)], **{"draws": 8, **options})
    loader = DataLoader(mixed, batch_size=1, num_workers=workers)
    return [float(batch["image"][0, 0, 0, 0, 0]) for batch in loader]


def test_sources_take_turns() -> None:
    assert [value < 50 for value in values()] == [True, False] * 4


def test_each_source_deals_its_own_draws_in_order() -> None:
    alone = [float(source(10.0)[draw]["image"][0, 0, 0, 0]) for draw in range(4)]
    assert values()[0::2] == alone


def test_every_case_of_a_source_comes_before_one_comes_again() -> None:
    cases = [round(value - 100) for value in values(draws=12)[1::2]]
    assert sorted(cases[:3]) == sorted(cases[3:]) == [0, 1, 2]


def test_workers_do_not_change_the_draws() -> None:
    assert values() == values(workers=2)


def test_a_later_start_gives_the_rest_of_the_draws() -> None:
    assert values()[3:] == values(start=3)


def test_ranks_share_the_draws_out_in_turn() -> None:
    assert values()[0::2] == values(rank=0, world_size=2)
    assert values()[1::2] == values(rank=1, world_size=2)
