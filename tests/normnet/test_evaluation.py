import csv
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from normnet.errors import InputError
from normnet.evaluation import EvaluationCase, evaluate_cases, evaluate_folder, format_table, write_table

SHAPE = (12, 10, 8)
AFFINE = np.diag([2.0, 2.0, 5.0, 1.0])
"""Voxels of 20 mm3, or 0.02 mL."""


def save(path: Path, volume: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(volume.astype(np.float32), affine)
    nib.save(image, path)
    return path


def lesion(*slices: int) -> np.ndarray:
    """A mask that fills some slices of the volume, 120 voxels each."""
    mask = np.zeros(SHAPE)
    mask[..., list(slices)] = 1
    return mask


@pytest.fixture
def study(tmp_path) -> tuple[Path, Path]:
    """CTs and results of one labelled and one unlabelled study; returns both folders.

    The lower half of the lung is bright, slices 0 and 1 of it are diseased; the vote calls slices 1 to 3
    healthy.
    """
    ct = np.full(SHAPE, -900.0)
    ct[..., :4] = 0
    ct[0] = 40
    lungs = np.ones(SHAPE)
    lungs[0] = 0
    data, results = tmp_path / "data", tmp_path / "results"
    save(data / "a.nii.gz", ct)
    save(data / "a_lesions.nii.gz", lesion(0, 1))
    save(data / "unlabelled.nii.gz", ct)
    save(results / "a" / "lesion.nii.gz", lesion(0))
    save(results / "a" / "healthy.nii.gz", lesion(1, 2, 3))
    save(results / "a" / "lungs.nii.gz", lungs)
    return data, results


def test_a_folder_is_scored_against_the_masks_beside_the_cts(study, tmp_path, capsys):
    data, results = study
    (row,) = evaluate_folder(results, data, tmp_path / "scores.csv")
    assert row == pytest.approx(
        {
            "case": "a",
            "DSC": 100 * 2 / 3,
            "PSC": 100,
            "SEN": 50,
            "lesion_ml": 120 * 0.02,
            "true_lesion_ml": 240 * 0.02,
            "bright_precision": 100 * 2 / 3,
            "bright_sensitivity": 100,
            "bright_specificity": 50,
            "bright_AUC": np.nan,
        },
        nan_ok=True,
    )
    assert (tmp_path / "scores.csv").exists()
    assert "66.7" in capsys.readouterr().out


def test_the_auc_comes_with_the_probability(study, tmp_path):
    data, results = study
    probability = np.zeros(SHAPE)
    probability[..., 1], probability[..., 2:4] = 0.5, 0.9
    save(results / "a" / "probability.nii.gz", probability)
    (row,) = evaluate_folder(results, data, tmp_path / "scores.csv")
    assert row["bright_AUC"] == 100


def test_a_mask_stored_in_another_orientation_is_turned(tmp_path):
    mask = lesion(0, 1)
    mask[:5] = 0
    flipped = AFFINE @ np.diag([-1.0, 1, 1, 1])
    flipped[0, 3] = 2.0 * (SHAPE[0] - 1)
    truth, prediction = (
        save(tmp_path / "truth.nii.gz", mask),
        save(tmp_path / "other.nii.gz", mask[::-1], flipped),
    )
    (row,) = evaluate_cases([EvaluationCase("a", prediction, truth)])
    assert row["DSC"] == 100


def test_masks_of_two_grids_are_an_error_that_names_both(tmp_path):
    truth = save(tmp_path / "truth.nii.gz", lesion(0))
    prediction = save(tmp_path / "prediction.nii.gz", lesion(0)[:6])
    with pytest.raises(InputError, match=r"prediction.nii.gz.*6, 10, 8.*truth.nii.gz.*12, 10, 8"):
        evaluate_cases([EvaluationCase("a", prediction, truth)])


def test_a_missing_result_or_truth_is_an_error_that_names_the_file(study, tmp_path, capsys):
    data, results = study
    (results / "a" / "lesion.nii.gz").unlink()
    with pytest.raises(InputError, match=r"^1 of 1 studies could not be scored: a\.$"):
        evaluate_folder(results, data, tmp_path / "scores.csv")
    assert "a/lesion.nii.gz: expected a mask" in capsys.readouterr().out
    assert not (tmp_path / "scores.csv").exists()
    with pytest.raises(InputError, match=r"truth.nii.gz: .* no such file"):
        evaluate_cases([EvaluationCase("a", results / "a" / "healthy.nii.gz", tmp_path / "truth.nii.gz")])


def test_a_truth_that_is_no_volume_is_an_error_that_names_the_file(tmp_path):
    (tmp_path / "truth.nii.gz").write_text("not a volume")
    with pytest.raises(InputError, match=r"truth.nii.gz: .* cannot be read"):
        evaluate_cases([EvaluationCase("a", tmp_path / "p.nii.gz", tmp_path / "truth.nii.gz")])


def test_a_folder_without_any_truth_is_an_error(study, tmp_path):
    data, results = study
    (data / "a_lesions.nii.gz").unlink()
    with pytest.raises(InputError, match="found none"):
        evaluate_folder(results, data, tmp_path / "scores.csv")


ROWS = [
    {"case": "one", "DSC": 60.0, "PSC": 80.0, "SEN": 50.0},
    {"case": "two", "DSC": 70.0, "PSC": 80.0, "SEN": 50.0},
    {"case": "healthy", "DSC": np.nan, "PSC": np.nan, "SEN": np.nan},
]


def test_the_table_on_disk_ends_in_mean_and_deviation_of_the_cases_that_have_a_score(tmp_path):
    write_table(ROWS, tmp_path / "new" / "scores.csv")
    with (tmp_path / "new" / "scores.csv").open() as file:
        lines = list(csv.reader(file))
    assert lines == [
        ["case", "DSC", "PSC", "SEN"],
        ["one", "60.000", "80.000", "50.000"],
        ["two", "70.000", "80.000", "50.000"],
        ["healthy", "", "", ""],
        ["mean", "65.000", "80.000", "50.000"],
        ["sd", "7.071", "0.000", "0.000"],
    ]


def test_the_printed_table_is_aligned_and_ends_in_mean_and_deviation():
    title, *lines = format_table(ROWS).splitlines()
    assert title.startswith("Lesions")
    assert lines[0].split() == ["case", "DSC", "PSC", "SEN", "lesion_ml", "true_lesion_ml"]
    assert lines[-1].startswith("mean +- sd  65.0 +- 7.1")
    assert len({len(line) for line in lines}) == 1


def test_one_case_has_a_mean_without_a_deviation():
    assert format_table(ROWS[:1]).splitlines()[-1].split()[3:] == ["60.0", "80.0", "50.0", "-", "-"]


def test_bright_voxels_have_a_table_of_their_own_when_they_were_scored():
    text = format_table([{**ROWS[0], "bright_precision": 90.0, "bright_AUC": np.nan}])
    assert "Bright" not in format_table(ROWS)
    bright = text.split("\n\n")[1].splitlines()
    assert bright[1].split() == ["case", "precision", "sensitivity", "specificity", "AUC"]
    assert bright[3].split() == ["one", "90.0", "-", "-", "-"]


def test_a_study_that_cannot_be_scored_does_not_stop_the_others(study, tmp_path):
    data, results = study
    for name in ("a.nii.gz", "a_lesions.nii.gz"):
        (data / name.replace("a", "broken", 1)).write_bytes((data / name).read_bytes())
    with pytest.raises(InputError, match=r"^1 of 2 studies could not be scored: broken\.$"):
        evaluate_folder(results, data, tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").read_text().splitlines()[1].startswith("a,")


def test_a_truth_that_is_no_mask_is_an_error_that_names_the_file(tmp_path):
    truth = save(tmp_path / "truth.nii.gz", np.where(lesion(0) > 0, 1.0, np.nan).astype(np.float32))
    prediction = save(tmp_path / "prediction.nii.gz", lesion(0))
    with pytest.raises(InputError, match=r"truth.nii.gz: expected whole numbers .* nan"):
        evaluate_cases([EvaluationCase("a", prediction, truth)])


def test_scores_that_cannot_be_written_are_an_error_that_names_the_file(study, tmp_path):
    data, results = study
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/scores.csv: the scores cannot be written here"):
        evaluate_folder(results, data, tmp_path / "file" / "scores.csv")
