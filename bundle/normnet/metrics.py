"""Scores of one case: lesions (Table III), bright voxels (Table II), and the rank AUC."""

import numpy as np

__all__ = ["BRIGHT_SCORES", "VOXEL_SCORES", "bright_voxel_scores", "rank_auc", "slice_auc", "voxel_scores"]

VOXEL_SCORES = ("DSC", "PSC", "SEN")
BRIGHT_SCORES = ("precision", "sensitivity", "specificity", "AUC")


def voxel_scores(prediction: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Scores a lesion mask voxel by voxel, as in Table III (IV-B1).

    A case without true lesions has no DSC and no SEN (NaN): it is judged by the volume called lesion, and a
    DSC of 0 or 100 would say nothing of how much that is. Its PSC is 0 when anything is called lesion. A case
    in which nothing is called lesion has no PSC (NaN).

    Args:
        prediction: lesion mask, any shape; not 0 is lesion.
        truth: lesion mask of the same shape.

    Returns:
        DSC (Dice), PSC (precision) and SEN (sensitivity), per cent.

    Raises:
        ValueError: when the shapes differ.
    """
    predicted, true = _same_shape(prediction, truth)
    hits = np.count_nonzero(predicted & true)
    called, present = np.count_nonzero(predicted), np.count_nonzero(true)
    return {
        "DSC": _per_cent(2 * hits, called + present) if present else np.nan,
        "PSC": _per_cent(hits, called),
        "SEN": _per_cent(hits, present),
    }


def bright_voxel_scores(
    healthy: np.ndarray, lesion: np.ndarray, bright: np.ndarray, probability: np.ndarray | None = None
) -> dict[str, float]:
    """Scores the network on the bright lung voxels, as in Table II (IV-D); healthy is the positive class.

    Args:
        healthy: (X, Y, Z), the vote; not 0 is healthy.
        lesion: (X, Y, Z), the true lesions; every other bright voxel is truly healthy.
        bright: (X, Y, Z), lung at or above -500 HU.
        probability: (X, Y, Z) float, the members' mean probability of healthy tissue, ranked by the AUC.

    Returns:
        precision, sensitivity, specificity and AUC, per cent; NaN where there is nothing to count, the AUC
        also without a probability.

    Raises:
        ValueError: when the shapes differ.
    """
    called, diseased = _same_shape(healthy, lesion)
    _, inside = _same_shape(healthy, bright)
    called, truly = called[inside], ~diseased[inside]
    hits = np.count_nonzero(called & truly)
    auc = np.nan if probability is None else rank_auc(probability[inside], truly)
    return {
        "precision": _per_cent(hits, np.count_nonzero(called)),
        "sensitivity": _per_cent(hits, np.count_nonzero(truly)),
        "specificity": _per_cent(np.count_nonzero(~called & ~truly), np.count_nonzero(~truly)),
        "AUC": 100 * auc,
    }


def rank_auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Computes the exact area under the ROC curve: how often a positive outranks a negative, ties by half.

    Sorts each class once, so that ten million voxels take seconds and a few hundred megabytes.

    Args:
        scores: any shape, finite; higher means positive.
        labels: same shape; not 0 is positive.

    Returns:
        In [0, 1]; NaN when a class is empty.

    Raises:
        ValueError: when the shapes differ or a score is not finite.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.shape != labels.shape:
        raise ValueError(f"expected as many scores as labels, got shapes {scores.shape} and {labels.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("expected finite scores, got NaN or infinity")
    positive = labels != 0
    ranked, others = np.sort(scores[positive]), np.sort(scores[~positive])
    if not ranked.size or not others.size:
        return np.nan
    # Twice the count of pairs in which the positive outranks: below it once more than below or equal to it.
    twice = sum(int(np.searchsorted(others, ranked, side=side).sum()) for side in ("left", "right"))
    return twice / (2 * ranked.size * others.size)


def slice_auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Tells how well a score of each slice, such as the lesion's share of its lung, finds the labelled ones.

    Args:
        scores: (slices,) float.
        labels: (slices,), not 0 where an expert saw a lesion.

    Returns:
        The exact rank AUC in [0, 1]; NaN when all slices have one label.
    """
    return rank_auc(scores, labels)


def _same_shape(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if first.shape != second.shape:
        raise ValueError(f"expected masks of one shape, got {first.shape} and {second.shape}")
    return np.asarray(first) != 0, np.asarray(second) != 0


def _per_cent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else np.nan
