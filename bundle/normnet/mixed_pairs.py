"""Numbered training draws from several sources in turn, such as corrected scans and synthetic lesions."""

from collections.abc import Sequence
from typing import Any

from torch.utils.data import Dataset

from normnet.synthetic_pairs import SyntheticPairs

__all__ = ["MixedPairs"]


class MixedPairs(Dataset):
    """Deals draws from the sources in turn; draw n depends on the sources' seeds and n alone.

    Args:
        sources: numbered draws, each from its first one.
        draws: how many draws there are in all.
        start: draws that are already done, over all ranks.
        rank: which of `world_size` processes this is; they share the draws out in turn.
        world_size: number of processes.
    """

    def __init__(
        self,
        sources: Sequence[SyntheticPairs],
        draws: int,
        start: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.sources, self.draws, self.start = list(sources), draws, start
        self.rank, self.world_size = rank, world_size

    def __len__(self) -> int:
        return max(0, self.draws - self.start) // self.world_size

    def __getitem__(self, index: int) -> Any:
        number = self.start + index * self.world_size + self.rank
        draw, source = divmod(number, len(self.sources))
        return self.sources[source][draw]
