"""How well lesion masks agree with those of annotators."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from normnet.correction_list import held_out_studies
from normnet.lesion_labels import read_lesions
from normnet.masks import read_mask
from normnet.reading import read_ct

__all__ = ["Agreement", "held_out_agreement", "pooled_agreement"]


@dataclass(frozen=True)
class Agreement:
    """Voxels of scans together, so that a scan without lesions counts by what is called there.

    Attributes:
        called: how many are called lesion.
        true: how many are lesion.
        both: how many are called so and are.
    """

    called: int
    true: int
    both: int

    @property
    def dice(self) -> float | None:
        """The Dice of all voxels, in [0, 1]; None when there is no lesion in any mask."""
        sizes = self.called + self.true
        return 2 * self.both / sizes if sizes else None


def held_out_agreement(dataset_dir: str | Path, results_dir: str | Path) -> Agreement:
    """Scores inference on the corrections that are held out.

    Args:
        dataset_dir: a folder with `dataset.json`: see `normnet.correction_list.load_corrections`.
        results_dir: holds <study>/lesion.nii.gz for each of `normnet.correction_list.held_out_studies`.

    Raises:
        InputError: a file is missing or cannot be read.
    """

    def masks() -> Iterable[tuple[np.ndarray, np.ndarray]]:
        for study in held_out_studies(dataset_dir):
            ct = read_ct(study["image"])
            result = read_mask(Path(results_dir) / study["study"] / "lesion.nii.gz", like=ct)
            yield result[0].numpy() > 0, read_lesions(study["exclude"], like=ct)[0].numpy() > 0

    return pooled_agreement(masks())


def pooled_agreement(masks: Iterable[tuple[np.ndarray, np.ndarray]]) -> Agreement:
    """Counts voxels over all scans.

    Args:
        masks: pairs of bool arrays of one shape: what is called lesion, and what is lesion.
    """
    called = true = both = 0
    for called_mask, true_mask in masks:
        called += int(np.count_nonzero(called_mask))
        true += int(np.count_nonzero(true_mask))
        both += int(np.count_nonzero(called_mask & true_mask))
    return Agreement(called, true, both)
