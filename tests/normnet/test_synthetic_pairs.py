"""Numbered draws: the same pair for a number, whoever draws it."""

from typing import Any

import torch
from monai.data import DataLoader
from monai.transforms import Compose, RandGaussianNoised

from normnet.synthetic_pairs import SyntheticPairs

VOLUMES: list[dict[str, Any]] = [{"image": torch.full((1, 2, 2, 2), float(case))} for case in range(3)]


def pairs(**options: int) -> SyntheticPairs:
    chain = Compose([RandGaussianNoised(keys="image", prob=1.0)])
    return SyntheticPairs(VOLUMES, chain, **{"draws": 12, "seed": 5, **options})


def images(dataset: SyntheticPairs, workers: int = 0) -> list[torch.Tensor]:
    return [batch["image"][0] for batch in DataLoader(dataset, batch_size=1, num_workers=workers)]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_workers_do_not_change_the_draws() -> None:
    assert same(images(pairs()), images(pairs(), workers=3))


def test_a_later_start_gives_the_rest_of_the_draws() -> None:
    assert same(images(pairs())[7:], images(pairs(start=7)))


def test_ranks_share_the_draws_out_in_turn() -> None:
    whole = images(pairs())
    assert same(whole[0::2], images(pairs(rank=0, world_size=2)))
    assert same(whole[1::2], images(pairs(rank=1, world_size=2)))


def test_fewer_draws_than_ranks_give_each_rank_one() -> None:
    whole = images(pairs())
    for rank in range(5):
        assert same(whole[rank : rank + 1], images(pairs(draws=4, rank=rank, world_size=5)))


def test_every_round_holds_every_volume_once() -> None:
    values = [
        round(float(image.mean())) for image in images(SyntheticPairs(VOLUMES, Compose([]), 12, seed=5))
    ]
    assert [sorted(values[i : i + 3]) for i in (0, 3, 6, 9)] == [[0, 1, 2]] * 4


def test_another_seed_gives_other_draws() -> None:
    assert not same(images(pairs()), images(pairs(seed=6)))
