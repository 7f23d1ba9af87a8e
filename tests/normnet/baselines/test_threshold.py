"""The threshold: the best of all two-decimal values, on labels or on synthetic lesions."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import nn

from normnet.baselines.scoring import AnomalyInferer
from normnet.baselines.slices import Frame
from normnet.baselines.threshold import (
    best_threshold,
    calibrate,
    chosen_threshold,
    hits_and_calls,
    mask_folder,
    threshold_for_folder,
)
from normnet.errors import InputError


def test_the_best_two_decimal_value_is_found() -> None:
    anomaly = np.array([0.10, 0.36, 0.368, 0.375, 0.9, 0.95], dtype=np.float32)
    truth = np.array([0, 0, 0, 1, 1, 1])
    threshold, dice = best_threshold([hits_and_calls(anomaly, truth)])
    assert threshold == 0.37
    assert dice == pytest.approx(100)


def test_counts_are_those_of_a_plain_comparison() -> None:
    rng = np.random.default_rng(0)
    anomaly = np.round(rng.random(500), 2).astype(np.float32)
    truth = rng.random(500) < 0.3
    hits, calls, true = hits_and_calls(anomaly, truth)
    for step in (0, 7, 50, 99, 100):
        called = anomaly > np.float32(step) / np.float32(100)
        assert (calls[step], hits[step]) == (called.sum(), (called & truth).sum())
    assert true == truth.sum()


def test_the_mean_over_cases_decides_and_cases_without_lesion_do_not() -> None:
    small = hits_and_calls(np.array([0.5, 0.2, 0.1]), np.array([1, 0, 0]))
    large = hits_and_calls(np.array([0.3] * 10 + [0.25]), np.array([1] * 10 + [0]))
    healthy = hits_and_calls(np.array([0.9]), np.array([0]))
    assert best_threshold([small, large, healthy])[0] == 0.25


def test_no_lesion_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected cases with lesions"):
        best_threshold([hits_and_calls(np.array([0.9]), np.array([0]))])


class Brightness(nn.Module):
    """Takes a slice's own brightness for its anomaly."""

    def score(self, slices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return slices, torch.zeros_like(slices)


def inferer(median_size: int = 1, percentile: float | None = None) -> AnomalyInferer:
    frame = Frame(width_mm=16.0, image_size=16, spacing=(1.0, 1.0, 1.0))
    return AnomalyInferer(frame, median_size=median_size, percentile=percentile)


def test_calibration_sees_synthetic_lesions_alone_and_is_read_again(tmp_path: Path) -> None:
    image = torch.full((1, 16, 16, 4), 0.3)
    lesion = torch.zeros(1, 16, 16, 4, dtype=torch.uint8)
    lesion[:, 4:12, 4:12] = 1
    image[lesion > 0] = 0.606
    path = tmp_path / "models" / "threshold.json"
    pair = {"image": image, "lesion": lesion, "lungs": torch.ones_like(lesion)}
    chosen = calibrate(Brightness(), [pair], inferer(), torch.device("cpu"), path)
    assert chosen_threshold(path) == chosen
    assert 0.30 <= chosen <= 0.60
    assert json.loads(path.read_text())["synthetic_dice"] == pytest.approx(100)


@pytest.mark.parametrize("masked", [True, False])
def test_calibration_looks_at_what_the_masks_are_made_of(tmp_path: Path, masked: bool) -> None:
    image = torch.full((1, 16, 16, 4), 0.3)
    lesion, lungs = torch.zeros(2, 1, 16, 16, 4, dtype=torch.uint8)
    lungs[:, :8], lesion[:, :4] = 1, 1
    image[lesion > 0] = 0.606
    image[lungs == 0] = 0.9
    path = tmp_path / "threshold.json"
    pair = {"image": image, "lesion": lesion, "lungs": lungs}
    calibrate(Brightness(), [pair], inferer(), torch.device("cpu"), path, masked=masked)
    dice = json.loads(path.read_text())["synthetic_dice"]
    assert (dice == pytest.approx(100)) == masked


def test_a_method_without_a_threshold_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the threshold of this method"):
        chosen_threshold(tmp_path / "missing.json")


def test_the_median_filter_takes_lone_voxels_and_the_percentile_gives_a_unit() -> None:
    volume = torch.zeros(1, 1, 16, 16, 8)
    volume[0, 0, 2:9, 2:9] = 0.02
    volume[0, 0, 12, 12, 4] = 1.0
    anomaly = inferer(median_size=3)(volume, Brightness())[0, 0]
    assert anomaly[12, 12, 4] == 0
    assert anomaly[5, 5, 4] == pytest.approx(0.02)
    assert inferer(median_size=3, percentile=99.9)(volume, Brightness())[0, 0, 5, 5, 4] == pytest.approx(1.0)


def write(path: Path, volume: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(volume, np.eye(4)), path)


def test_the_threshold_of_a_data_set_makes_its_masks(tmp_path: Path) -> None:
    anomaly = np.zeros((6, 6, 6), dtype=np.float32)
    anomaly[:3], anomaly[3] = 0.8, 0.4
    truth = (anomaly > 0.7).astype(np.uint8)
    write(tmp_path / "ct" / "a.nii.gz", np.zeros((6, 6, 6), dtype=np.int16))
    write(tmp_path / "ct" / "a_lesions.nii.gz", truth)
    write(tmp_path / "found" / "a" / "anomaly.nii.gz", anomaly)
    write(tmp_path / "found" / "a" / "lungs.nii.gz", np.ones((6, 6, 6), dtype=np.uint8))
    threshold, dice = threshold_for_folder(tmp_path / "found", tmp_path / "ct")
    assert (threshold, dice) == (0.4, pytest.approx(100))
    mask_folder(tmp_path / "found", threshold, tmp_path / "best")
    masks = {
        name: nib.load(tmp_path / "best" / "a" / f"{name}.nii.gz").get_fdata()
        for name in ("lesion", "healthy")
    }
    assert np.array_equal(masks["lesion"], truth)
    assert np.array_equal(masks["healthy"], 1 - truth)
