"""The threshold that turns an anomaly map into a lesion mask: the paper's choice, and one that needs no label."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import DataLoader
from monai.engines.utils import default_prepare_batch
from torch.utils.data import Dataset
from tqdm import tqdm

from normnet.baselines.anomaly_results import write_masks
from normnet.errors import InputError
from normnet.masks import read_mask
from normnet.reading import read_volume
from normnet.studies import find_studies
from normnet.whole_file import written_whole

__all__ = [
    "THRESHOLDS",
    "best_threshold",
    "calibrate",
    "chosen_threshold",
    "hits_and_calls",
    "mask_folder",
    "threshold_for_folder",
]

THRESHOLDS = np.arange(101, dtype=np.float32) / 100
"""All values with two decimals. The paper finds one by a greedy search (IV-C); all are tried here, which finds at
least as good a one."""

Counts = tuple[np.ndarray, np.ndarray, int]
"""Of one case, at each threshold: true lesion voxels called, voxels called; and its true lesion voxels."""


def hits_and_calls(anomaly: np.ndarray, truth: np.ndarray) -> Counts:
    """Counts what would be called lesion, anomaly > threshold, at every threshold.

    Args:
        anomaly: any shape, float32.
        truth: same shape; not 0 is lesion.

    Returns:
        Two arrays (101,), and the number of true voxels.
    """
    passed = np.searchsorted(THRESHOLDS, anomaly.ravel().astype(np.float32), side="left")
    true = truth.ravel() != 0
    hits, calls = (_called(passed[true]), _called(passed))
    return hits, calls, int(np.count_nonzero(true))


def best_threshold(cases: Iterable[Counts]) -> tuple[float, float]:
    """Finds the threshold with the best mean Dice over the cases that have a lesion.

    Returns:
        The threshold, the lowest of equals, and its mean Dice in per cent.

    Raises:
        ValueError: no case has a lesion.
    """
    dice = [200 * hits / (calls + true) for hits, calls, true in cases if true]
    if not dice:
        raise ValueError("expected cases with lesions, got none")
    mean = np.mean(dice, axis=0)
    best = int(mean.argmax())
    return float(round(best / 100, 2)), float(mean[best])


def threshold_for_folder(results_dir: str | Path, dataset_dir: str | Path) -> tuple[float, float]:
    """Finds the threshold that is best on labelled data itself, as the paper did for each data set (IV-C).

    It looks at the labels that it is then scored with, so it tells what a method could do at best.

    Args:
        results_dir: holds <study>/anomaly.nii.gz.
        dataset_dir: the CTs with their `<case>_lesions` masks.

    Returns:
        The threshold, and its mean Dice in per cent.

    Raises:
        InputError: no study has a true mask, or a file cannot be read.
    """
    cases = []
    for study in tqdm(find_studies(dataset_dir), desc="Searching the threshold", unit="case"):
        if "lesions" in study:
            anomaly = read_volume(Path(results_dir) / study["study"] / "anomaly.nii.gz")
            truth = read_mask(study["lesions"], like=anomaly)
            cases.append(hits_and_calls(anomaly.numpy(), truth.numpy()))
    if not any(true for _, _, true in cases):
        raise InputError(
            f"{dataset_dir}: expected true masks <case>_lesions.nii.gz with lesions, found none."
        )
    return best_threshold(cases)


def calibrate(
    network: torch.nn.Module,
    pairs: Dataset,
    inferer: Any,
    device: torch.device,
    path: str | Path,
    masked: bool = True,
) -> float:
    """Chooses the threshold that is best on synthetic lesions in healthy lungs: no label is seen.

    Args:
        network: a method.
        pairs: items with `image` (1, X, Y, Z) in [0, 1] with synthetic lesions, `lesion`, their mask, and `lungs`.
        inferer: an `AnomalyInferer`.
        device: of the network.
        path: where the threshold goes, as JSON.
        masked: anomalies are cut to the lungs, as `SaveAnomaly` does.

    Returns:
        The threshold.
    """
    cases = []
    network.eval()
    with torch.no_grad():
        for pair in tqdm(DataLoader(pairs, batch_size=1), desc="Choosing the threshold", unit="slab"):
            image, _ = default_prepare_batch({"image": pair["image"]}, device)
            anomaly = inferer(image, network)[0, 0].cpu()
            if masked:
                anomaly = anomaly * (pair["lungs"][0, 0] > 0)
            cases.append(hits_and_calls(anomaly.numpy(), pair["lesion"][0, 0].numpy()))
    threshold, dice = best_threshold(cases)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as beside:
        content = {"threshold": threshold, "synthetic_dice": round(dice, 1), "slabs": len(cases)}
        beside.write_text(json.dumps(content) + "\n", encoding="utf-8")
    print(f"Threshold on synthetic lesions: {threshold:.2f} (mean Dice {dice:.1f} %), written to {path}")
    return threshold


def chosen_threshold(path: str | Path) -> float:
    """Reads the threshold that `calibrate` has chosen.

    Raises:
        InputError: there is none.
    """
    try:
        return float(json.loads(Path(path).read_text(encoding="utf-8"))["threshold"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: expected the threshold of this method; run `calibrating`, or give --threshold."
        ) from error


def mask_folder(results_dir: str | Path, threshold: float, output_dir: str | Path) -> None:
    """Writes the masks at another threshold, from the anomaly maps that are there.

    Args:
        results_dir: holds <study>/anomaly.nii.gz and lungs.nii.gz.
        threshold: above it an anomaly is a lesion.
        output_dir: gets <study>/lesion.nii.gz, healthy.nii.gz and lungs.nii.gz.
    """
    for anomaly in sorted(Path(results_dir).glob("[!.]*/anomaly.nii.gz")):
        folder = Path(output_dir) / anomaly.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        scored, lungs = read_volume(anomaly), read_volume(anomaly.with_name("lungs.nii.gz"))
        write_masks(folder, scored[0].numpy(), lungs[0].numpy() > 0, scored.affine.numpy(), threshold)


def _called(passed: np.ndarray) -> np.ndarray:
    """Counts the values above each threshold, from how many thresholds lie below each value."""
    above = np.bincount(passed, minlength=len(THRESHOLDS) + 1)[::-1].cumsum()[::-1]
    return above[1:]
