"""Numbered training draws: the n-th pair is the same whoever computes it, and whenever."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from monai.transforms import Compose
from torch.utils.data import Dataset

__all__ = ["SyntheticPairs"]


class SyntheticPairs(Dataset):
    """Draws training pairs from healthy volumes; draw n depends on the seed and n alone.

    So the pairs are the same, to rounding, with any number of workers, and a training that was stopped goes on with
    the very draw it would have had. The volumes are passed through in a new order each round.

    Args:
        data: the healthy volumes.
        transform: random transforms from a volume to one or several pairs.
        draws: how many draws there are in all; as many more as give each rank the same number.
        seed: where all randomness comes from.
        start: draws that are already done, over all ranks.
        rank: which of `world_size` processes this is; they share the draws out in turn.
        world_size: number of processes.
    """

    def __init__(
        self,
        data: Sequence[dict[str, Any]],
        transform: Compose,
        draws: int,
        seed: int,
        start: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.data, self.transform = data, transform
        self.draws, self.seed, self.start = draws, seed, start
        self.rank, self.world_size = rank, world_size

    def __len__(self) -> int:
        return -(-max(0, self.draws - self.start) // self.world_size)

    def __getitem__(self, index: int) -> Any:
        number = self.start + index * self.world_size + self.rank
        lap, position = divmod(number, len(self.data))
        order = np.random.default_rng([self.seed, lap]).permutation(len(self.data))
        draw_seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        self.transform.set_random_state(seed=draw_seed)
        return self.transform(dict(self.data[int(order[position])]))
