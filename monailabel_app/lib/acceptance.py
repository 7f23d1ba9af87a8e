"""Which corrections judge new weights, and whether these may serve."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from normnet.errors import InputError

__all__ = ["Item", "Metrics", "balanced_accuracy", "mean_changes", "not_worse", "split_corrections"]

SYNTHETIC_TOLERANCE = 0.02
"""How much lower the balanced accuracy on synthetic lesions may be: the scatter of few draws."""

Item = dict[str, str]
"""A correction: the paths `image` and `label`."""

Metrics = dict[str, Any]
"""Values by name; None is not measured."""


def split_corrections(corrections: Sequence[Item], share: float) -> tuple[list[Item], list[Item]]:
    """Holds corrections out for validation: always the same scans, whatever the order, as long as the share allows.

    Args:
        corrections: items with `image` and `label`.
        share: of the corrections, rounded, at least one; 0 holds none out.

    Returns:
        Those to train on, and those to validate on. With one correction, or share 0, all of them are both.

    Raises:
        InputError: there are no corrections, or the share leaves none to train on.
    """
    if not corrections:
        raise InputError(
            "There are no corrections: expected at least one image with a final label, found none."
        )
    ordered = sorted(
        corrections, key=lambda item: hashlib.sha256(Path(item["image"]).name.encode()).hexdigest()
    )
    if len(ordered) == 1 or share == 0:
        return ordered, ordered
    count = max(1, round(share * len(ordered)))
    if count >= len(ordered):
        raise InputError(
            f"val_split: expected a share that leaves corrections to train on, got {share:g} of {len(ordered)}."
        )
    return ordered[count:], ordered[:count]


def not_worse(metrics: Mapping[str, Any]) -> bool:
    """Tells whether new weights may serve: no lower lesion Dice, and synthetic lesions not forgotten.

    Where annotators see no lesion at all the Dice is 0 whatever is called: there no more voxels may be called.

    Forgotten is measured on both sides of the threshold: networks that call hardly anything healthy keep every lesion
    out, and would forbid all learning if that side alone counted.

    Args:
        metrics: `lesion_voxels`, those of the annotators; `called_voxels`; and `lesion_dice`, `val_lesion_kept_out` and
            `val_healthy_lost`, in [0, 1], None where not measured; all but the first each with its value before under
            the same name and `_before`.
    """
    if metrics["lesion_voxels"] == 0:
        worse = metrics["called_voxels"] > metrics["called_voxels_before"]
    else:
        worse = metrics["lesion_dice"] < metrics["lesion_dice_before"]
    if worse:
        return False
    earlier, after = balanced_accuracy(metrics, "_before"), balanced_accuracy(metrics)
    return earlier is None or (after is not None and after >= earlier - SYNTHETIC_TOLERANCE)


def balanced_accuracy(metrics: Mapping[str, Any], when: str = "") -> float | None:
    """Averages the share of lesion voxels kept out and of healthy voxels found, on synthetic lesions; None unmeasured.

    Args:
        metrics: those of `not_worse`.
        when: ending of the names, "" or "_before".
    """
    kept_out, lost = (metrics.get(f"{name}{when}") for name in ("val_lesion_kept_out", "val_healthy_lost"))
    return None if kept_out is None or lost is None else (kept_out + 1 - lost) / 2


def mean_changes(changes: Sequence[Mapping[str, Metrics]]) -> Metrics:
    """Averages each metric over the members that measured it, after the training and before it."""
    means: Metrics = {}
    for when, ending in (("after", ""), ("before", "_before")):
        for name in changes[0][when]:
            values = [change[when][name] for change in changes if change[when][name] is not None]
            means[f"{name}{ending}"] = sum(values) / len(values) if values else None
    return means
