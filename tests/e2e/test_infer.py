"""Inference and evaluation by the real commands."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monai.bundle import ConfigWorkflow
from monai.utils import set_determinism

from normnet.errors import InputError, input_error_in
from tests.e2e.conftest import CONFIGS, SEGMENTING, bundle_command, python

FILES = {
    "disagreement.nii.gz",
    "healthy.nii.gz",
    "lesion.nii.gz",
    "lungs.nii.gz",
    "overlay.png",
    "report.json",
}


@pytest.fixture(scope="module")
def evaluated(cohort: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both diseased chests, one of them turned to another orientation, segmented and scored."""
    folder = tmp_path_factory.mktemp("evaluated")
    studies = folder / "studies"
    shutil.copytree(cohort / "diseased", studies)
    for name in ("covid_0", "covid_0_lesions"):
        image = nib.load(studies / f"{name}.nii.gz")
        nib.save(image.as_reoriented(np.array([[1, -1], [0, 1], [2, -1]])), studies / f"{name}.nii.gz")
    settings = {**SEGMENTING, "dataset_dir": studies, "output_dir": folder / "out", "checkpoint": weights}
    finished = python(*bundle_command("evaluating", ["inference", "evaluate"], **settings), cwd=folder)
    assert finished.returncode == 0, finished.stderr
    assert "mean +- sd" in finished.stdout
    return folder


def test_every_study_has_its_folder(evaluated: Path) -> None:
    for study in ("covid_0", "covid_1"):
        assert {file.name for file in (evaluated / "out" / study).iterdir()} == FILES | {
            "probability.nii.gz",
            "vote.nii.gz",
        }
    assert not list((evaluated / "out").glob(".*"))


def test_results_lie_on_the_grid_of_the_ct(evaluated: Path) -> None:
    for study in ("covid_0", "covid_1"):
        ct = nib.load(evaluated / "studies" / f"{study}.nii.gz")
        lungs = np.asarray(nib.load(evaluated / "out" / study / "lungs.nii.gz").dataobj) > 0
        for name in ("lesion", "healthy", "disagreement", "lungs"):
            result = nib.load(evaluated / "out" / study / f"{name}.nii.gz")
            assert result.shape == ct.shape
            assert np.allclose(result.affine, ct.affine, atol=1e-4)
            assert not np.asarray(result.dataobj)[~lungs].any()
        hounsfield = np.asarray(ct.dataobj)
        assert np.median(hounsfield[lungs]) < -700


def test_the_report_adds_up(evaluated: Path) -> None:
    report = json.loads((evaluated / "out" / "covid_1" / "report.json").read_text())
    lesion = nib.load(evaluated / "out" / "covid_1" / "lesion.nii.gz")
    millilitres = np.count_nonzero(lesion.dataobj) * 3.6 * 3.6 * 5.0 / 1000
    assert report["lesion_ml"] == pytest.approx(millilitres, abs=0.01)
    assert len(report["weights"]) == 12


def test_scores_are_written(evaluated: Path) -> None:
    lines = (evaluated / "out" / "scores.csv").read_text().splitlines()
    assert lines[0].startswith("case,DSC,PSC,SEN")
    assert [line.split(",")[0] for line in lines[1:4]] == ["covid_0", "covid_1", "mean"]


def test_a_bad_study_does_not_stop_the_others(cohort: Path, weights: Path, tmp_path: Path) -> None:
    studies = tmp_path / "studies"
    studies.mkdir()
    shutil.copy(cohort / "diseased" / "covid_1.nii.gz", studies / "b.nii.gz")
    image = nib.load(cohort / "diseased" / "covid_0.nii.gz")
    nib.save(nib.Nifti1Image(np.full((40, 40, 20), 40, np.int16), image.affine), studies / "a.nii.gz")
    settings = {**SEGMENTING, "dataset_dir": studies, "output_dir": tmp_path / "out", "checkpoint": weights}
    finished = python(*bundle_command("run", ["inference"], **settings), cwd=tmp_path)
    assert finished.returncode == 1
    assert f"error: {studies / 'a.nii.gz'}: " in finished.stdout + finished.stderr
    assert finished.stderr.strip().endswith("error: 1 of 2 studies failed: a.")
    assert [folder.name for folder in (tmp_path / "out").iterdir()] == ["b"]


def test_missing_weights_are_one_sentence(cohort: Path, tmp_path: Path) -> None:
    image = cohort / "diseased" / "covid_0.nii.gz"
    settings = {**SEGMENTING, "dataset_dir": image, "output_dir": tmp_path, "checkpoint": "nothing.pt"}
    finished = python(*bundle_command("run", ["inference"], **settings), cwd=tmp_path)
    assert finished.returncode == 1
    assert finished.stderr.strip().endswith(
        "nothing.pt: there are no weights here; train them, or name another file by --checkpoint."
    )
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"members": 5}, "model.pt: expected the 220 tensors of Ensemble"),
        ({"output_dir": "/proc/nowhere"}, "/proc/nowhere: results cannot be written here"),
    ],
    ids=["other weights", "unwritable output"],
)
def test_a_bad_setting_is_one_sentence(
    cohort: Path,
    weights: Path,
    tmp_path: Path,
    setting: dict[str, object],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # the run sets one of its own
    image = str(cohort / "diseased" / "covid_0.nii.gz")
    settings = {"dataset_dir": image, "output_dir": str(tmp_path), "checkpoint": str(weights), **setting}
    workflow = ConfigWorkflow(
        config_file=str(CONFIGS / "inference.json"),
        meta_file=str(CONFIGS / "metadata.json"),
        logging_file=str(CONFIGS / "logging.conf"),
        **{**SEGMENTING, **settings},
    )
    workflow.initialize()
    with pytest.raises((InputError, RuntimeError)) as failure:
        workflow.run()
    set_determinism(None)
    ending = input_error_in(failure.value)
    assert ending is not None
    assert sentence in f"{capsys.readouterr().out}{ending}"


def test_a_full_disk_is_one_sentence_and_leaves_nothing(cohort: Path, weights: Path, tmp_path: Path) -> None:
    image = cohort / "diseased" / "covid_0.nii.gz"
    settings = {**SEGMENTING, "dataset_dir": image, "output_dir": tmp_path / "out", "checkpoint": weights}
    command = [sys.executable, *bundle_command("run", ["inference"], **settings)]
    # No file may grow past 2 kB: a write fails half-way, as on a full disk.
    limited = ["bash", "-c", 'ulimit -f 2; exec "$@"', "bash", *command]
    finished = subprocess.run(limited, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert (
        f"{tmp_path / 'out' / 'covid_0'}: results cannot be written here (File too large)" in finished.stdout
    )
    assert not list((tmp_path / "out").iterdir())
