"""How well lesion masks agree with those of annotators."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from normnet.correction_list import held_out_studies
from normnet.lesion_labels import read_lesions
from normnet.masks import read_mask
from normnet.reading import read_ct

__all__ = ["held_out_lesion_dice", "pooled_dice"]


def held_out_lesion_dice(dataset_dir: str | Path, results_dir: str | Path) -> float | None:
    """Scores inference on the corrections that are held out.

    Args:
        dataset_dir: a folder with `dataset.json`: see `normnet.correction_list.load_corrections`.
        results_dir: holds <study>/lesion.nii.gz for each of `normnet.correction_list.held_out_studies`.

    Returns:
        See `pooled_dice`.

    Raises:
        InputError: a file is missing or cannot be read.
    """

    def masks() -> Iterable[tuple[np.ndarray, np.ndarray]]:
        for study in held_out_studies(dataset_dir):
            ct = read_ct(study["image"])
            result = read_mask(Path(results_dir) / study["study"] / "lesion.nii.gz", like=ct)
            yield result[0].numpy() > 0, read_lesions(study["exclude"], like=ct)[0].numpy() > 0

    return pooled_dice(masks())


def pooled_dice(masks: Iterable[tuple[np.ndarray, np.ndarray]]) -> float | None:
    """Computes the Dice of all scans' voxels together, so that a scan without lesions counts by what is called there.

    Args:
        masks: pairs of bool arrays of one shape: what is called lesion, and what is lesion.

    Returns:
        In [0, 1]; None when there is no lesion in any mask.
    """
    both = sizes = 0
    for called, true in masks:
        both += int(np.count_nonzero(called & true))
        sizes += int(np.count_nonzero(called) + np.count_nonzero(true))
    return 2 * both / sizes if sizes else None
