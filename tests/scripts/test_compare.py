"""The comparison: the same budget for all, a page that says who was better, and every step by the command."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from generator.cohort import write_cohort
from normnet import bundle_root
from normnet.checkpoints import save_weights
from normnet.errors import InputError
from normnet.network import member_network
from scripts import compare as script
from scripts.compare_methods import METHODS, NORMNET, PAPER, SHIPPED, WITHOUT_GROWING
from scripts.compare_nnunet import nnunet
from scripts.compare_page import Budget, Comparison, Scores, page
from scripts.ras_nifti import read
from tests.e2e.conftest import python

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
COARSE = {"shape": (64, 56, 32), "spacing": (5.4, 5.4, 7.5)}
TINY = {
    "spacing": [5.4, 5.4, 7.5],
    "image_size": 32,
    "median_size": 3,
    "slab_slices": 16,
    "patch_size": [32, 32, 16],
    "batch_size": 4,
    "patches_per_slab": 2,
    "num_workers": 0,
}


BUDGET = Budget(150, 3, 50, "train", 1e-3, 5, True, "joined")


@pytest.mark.parametrize(
    ("test_dirs", "both"),
    [("a/test,b/test", ("a/test", "b/test")), ("a/test,a/models", ("a/models", "OUTPUT_DIR/models"))],
)
def test_sets_whose_results_would_get_one_folder_are_refused(
    test_dirs: str, both: tuple[str, str], tmp_path: Path
) -> None:
    dirs = ",".join(str(tmp_path / folder) for folder in test_dirs.split(","))
    for compared_by in (
        lambda: script.compare("healthy", dirs, str(tmp_path)),
        lambda: nnunet(dirs, str(tmp_path)),
    ):
        with pytest.raises(InputError) as refused:
            compared_by()
        assert all(name in str(refused.value) for name in both)
    assert list(tmp_path.iterdir()) == []


def row(dice: float) -> dict[str, str | float]:
    return {"case": "a", "DSC": dice, "PSC": dice, "SEN": dice}


def compared(dice: dict[str, float]) -> dict[str, Comparison]:
    return {name: Comparison({"set": Scores([row(value)])}, 1.0) for name, value in dice.items()}


def test_the_page_says_who_is_above_normnet() -> None:
    dice = {"bright_lung": 40.0, "ae": 70.0, "vae": 30.0, WITHOUT_GROWING: 50.0, NORMNET: 60.0}
    text = page(compared(dice), {"set": 1}, BUDGET, "", "command")
    assert "above NormNet (60.0) in mean DSC: AE. Above bright lung (40.0): AE of the networks." in text
    better = compared({**dice, "ae": 10.0})
    text = page(better, {"set": 1}, BUDGET, "", "command")
    assert "in mean DSC: none. Above bright lung (40.0): none of the networks." in text


def test_the_page_says_by_which_configs_and_rule_normnet_is_scored() -> None:
    rows, shared = compared({NORMNET: 60.0}), "150 iterations for each method: the"
    text = page(rows, {"set": 1}, BUDGET, "", "command")
    assert shared in text and "NormNet's 3 members 50 each, by `train.json`" in text
    assert "(`rim_mm` 3)" in text
    text = page(
        rows, {"set": 1}, replace(BUDGET, configs="train,paper", member_iterations=3500), "", "command"
    )
    assert "150 iterations for each method but NormNet: the" in text
    assert "NormNet's 3 members 3500 each, by `train.json` and `paper.json`" in text
    assert "`paper_rule.json`, without a rim" in text and "(`rim_mm` 3)" not in text


def test_the_papers_setting_reaches_training_merge_and_inference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cohort(tmp_path, healthy=0, diseased=1, **COARSE)
    runs: list[tuple[str, list[str], dict[str, Any]]] = []

    def bundle(run_id: str, configs: Sequence[str], settings: Mapping[str, Any]) -> float:
        runs.append((run_id, list(configs), dict(settings)))
        if run_id == "training":
            member = settings["ckpt_dir"] / f"member_{settings['member']}.pt"
            save_weights(member_network("unet"), member)
        return 0.0

    for name, instead in {
        "bundle": bundle,
        "scores": lambda *_: [row(50.0)],
        "draw_cases": lambda *_: [],
    }.items():
        monkeypatch.setattr(script, name, instead)
    script.compare(
        str(tmp_path),
        str(tmp_path / "diseased"),
        str(tmp_path / "out"),
        methods=(),
        members=2,
        member_iterations=7,
        configs="train,paper",
        lungs_backend="file",
        supervised=False,
    )
    first, second, without_growing, normnet = runs
    for run_id, files, settings in (first, second):
        assert (run_id, files, settings["max_iterations"]) == ("training", ["train.json", "paper.json"], 7)
    for run_id, files, settings in (without_growing, normnet):
        assert (run_id, files) == ("run", ["inference.json", "paper_rule.json"])
        assert settings["architecture"] == "unet"
    assert without_growing[2]["growing_steps"] == 0 and "growing_steps" not in normnet[2]


def test_the_committed_page_says_of_the_paper_what_the_script_says() -> None:
    text = page(compared({NORMNET: 60.0}), {"set": 1}, BUDGET, "", "command")
    (paragraph,) = (line for line in text.splitlines() if line.startswith("Table III of arXiv"))
    assert "5 members of 3500 iterations each" in paragraph
    assert paragraph in (Path(bundle_root()) / "docs" / "comparison.md").read_text().splitlines()


def test_every_method_of_the_paper_has_its_numbers() -> None:
    assert set(METHODS) - {"bright_lung"} <= set(PAPER)
    assert SHIPPED not in PAPER
    assert all(len(values) == 6 for values in PAPER.values())


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three healthy chests, and two sets of five diseased ones, `diseased` and `other/diseased`."""
    folder = tmp_path_factory.mktemp("cohorts")
    write_cohort(folder, healthy=3, diseased=5, **COARSE)
    write_cohort(folder / "second", healthy=0, diseased=5, seed=1, **COARSE)
    (folder / "second" / "diseased").rename(folder / "other")
    return folder


def resting(folder: Path, pattern: str) -> dict[str, int]:
    """Tells when files were written."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob(pattern)}


@pytest.mark.slow
def test_methods_are_compared_and_what_is_done_is_not_done_again(cohorts: Path, tmp_path: Path) -> None:
    words = [
        str(SCRIPTS / "compare.py"),
        str(cohorts / "healthy"),
        f"{cohorts / 'diseased'},{cohorts / 'other'}",
        str(tmp_path / "out"),
        "--iterations=4",
        "--members=2",
        "--methods=bright_lung,restoration",
        "--restoration_renewal=50",
        "--supervised=False",
        f"--settings={TINY}",
    ]
    first = python(*words, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    text = (tmp_path / "out" / "comparison.md").read_text()
    assert text.count("| VAE Restoration |") == 3
    results = tmp_path / "out" / "other"
    once = read(tmp_path / "out" / "cts" / "other" / "covid_3_lungs.nii.gz")[0] > 0
    assert once.any()
    for method in ("bright_lung", "restoration", NORMNET):
        lungs, lesion = (
            read(results / method / "results" / "covid_3" / f"{name}.nii.gz")[0] > 0
            for name in ("lungs", "lesion")
        )
        beyond = lungs & ~once  # only where NormNet's lesions reach the pleura
        assert not (once & ~lungs).any() and lesion[beyond].all() and (method == NORMNET or not beyond.any())
    masks = resting(tmp_path / "out", "*.nii.gz")
    again = python(*words, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert resting(tmp_path / "out", "*.nii.gz") == masks
    assert (tmp_path / "out" / "comparison.md").read_text() == text


@pytest.mark.slow
def test_nnunet_segments_each_case_by_folds_that_have_not_seen_it(cohorts: Path, tmp_path: Path) -> None:
    words = [
        str(SCRIPTS / "compare_nnunet.py"),
        f"{cohorts / 'diseased'},{cohorts / 'other'}",
        str(tmp_path),
        "--epochs=1",
        "--iterations=1",
        "--small",
    ]
    finished = python(*words, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    for name in ("diseased", "other"):
        for method in ("nnunet", "nnunet_unseen"):
            for case in range(5):
                lesion = nib.load(tmp_path / name / method / "results" / f"covid_{case}" / "lesion.nii.gz")
                ct = nib.load(cohorts / name / f"covid_{case}.nii.gz")
                assert lesion.shape == ct.shape
                assert np.allclose(lesion.affine, ct.affine)


def test_nnunet_without_enough_cases_is_one_sentence(tmp_path: Path) -> None:
    write_cohort(tmp_path, healthy=0, diseased=1, **COARSE)
    words = [str(SCRIPTS / "compare_nnunet.py"), str(tmp_path / "diseased"), str(tmp_path / "out")]
    finished = python(*words, cwd=tmp_path)
    assert finished.returncode == 1
    assert "expected at least 5 CTs, each with its mask <case>_lesions, got 1" in finished.stderr
    assert "Traceback" not in finished.stderr
