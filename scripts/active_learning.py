"""Compares the app's active learning with random order: lesion Dice after k corrections, on generated chests.

python scripts/active_learning.py OUTPUT_DIR [--seeds 3]
"""

import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import fire
import matplotlib
import nibabel as nib
import numpy as np
import torch
from bundle_process import run_script
from kept_settings import keep_settings
from scipy.stats import spearmanr
from tqdm import tqdm

from generator.cohort import write_cohort
from normnet import bundle_root
from normnet.errors import report_input_errors
from normnet.metrics import voxel_scores
from normnet.results import study_result
from normnet.studies import find_studies
from normnet.whole_file import written_whole

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # monailabel_app is no installed package.

from monailabel_app.lib.finetuning import FineTune  # noqa: E402
from monailabel_app.lib.pipeline import Pipeline  # noqa: E402
from monailabel_app.lib.scoring import Disagreement  # noqa: E402
from monailabel_app.lib.strategies import MostDisagreed  # noqa: E402
from monailabel_app.lib.studies import LocalStudies  # noqa: E402
from monailabel_app.lib.versions import Versions  # noqa: E402

BUNDLE = Path(bundle_root())
CORRECTIONS = (1, 2, 4, 8)
SHAPE, SPACING = (144, 126, 80), (2.4, 2.4, 3.0)
THIRD_RESOLUTION = {
    "spacing": list(SPACING),
    "lungs_backend": "classical",
    "patch_size": [64, 64, 32],
    "synthesis": {
        "small_radius": [1, 3],
        "medium_radius": [3, 10],
        "large_radius": [10, 20],
        "probability_sigma": [1, 7],
        "fine_sigma": [0.4, 0.7],
        "coarse_sigma": [0.7, 1.7],
    },
    "bright_kernel": 3,
    "full_kernel": 3,
    "growing_steps": 3,
    "edge_depth": 0,
    "learning_rate": 0.002,
    "epoch_iterations": 20,
    "num_workers": 0,
}
"""The bundle at three times the paper's voxel size: lengths in voxels are a third. Lungs by thresholds, for time."""


@fire.decorators.SetParseFns(output_dir=str)
def active_learning(
    output_dir: str, seeds: int = 3, pool: int = 10, tests: int = 4, members: int = 3
) -> None:
    """Corrects one scan after the other, fine-tunes after 1, 2, 4 and 8, and scores scans that were never corrected.

    Every seed has chests and an ensemble of its own. A correction is the scan's exact lesions. Scores are computed
    anew after each fine-tuning, as the server does. Before any, the scores' rank correlation with the Dice of the
    scans tells whether they find those that the ensemble segments worst. What is there already is not computed again; a
    folder with results of other settings is refused.

    Args:
        output_dir: gets curve.json and curve.png.
        seeds: how many.
        pool: scans that can be corrected.
        tests: scans that are only scored.
        members: networks of the ensemble.
    """
    report_input_errors()
    out = Path(output_dir).resolve()
    keep_settings(out, {"pool": pool, "tests": tests, "members": members, **THIRD_RESOLUTION}, "seed_*")
    curves: dict[str, list[list[float]]] = {"disagreement": [], "random": []}
    ranks: list[float] = []
    with tqdm(total=seeds * len(curves), desc="Active learning", unit="run") as progress:
        for seed in range(seeds):
            folder = out / f"seed_{seed}"
            prepare(folder, seed, pool + tests, members)
            ranks.append(rank_correlation(folder, members))
            for strategy in curves:
                record = folder / f"{strategy}.json"
                if not record.is_file():
                    dice = corrected(folder, strategy, seed, pool, members)
                    with written_whole(record) as beside:
                        beside.write_text(json.dumps(dice))
                curves[strategy].append(json.loads(record.read_text()))
                progress.update()
    with written_whole(out / "curve.json") as beside:
        beside.write_text(
            json.dumps(
                {"corrections": [0, *CORRECTIONS], "lesion_dice": curves, "rank_correlation": ranks}, indent=2
            )
        )
    draw(curves, out / "curve.png")
    print("rank correlation of score and Dice:", ", ".join(f"{rank:.2f}" for rank in ranks))
    for strategy, runs in curves.items():
        means, spread = np.mean(runs, axis=0), np.std(runs, axis=0)
        steps = zip([0, *CORRECTIONS], means, spread, strict=True)
        print(strategy, ", ".join(f"{k}: {mean:.3f} +- {sd:.3f}" for k, mean, sd in steps))


def prepare(folder: Path, seed: int, scans: int, members: int) -> None:
    """Writes the chests and trains the ensemble that is there before any correction."""
    cohort = folder / "cohort"
    write_cohort(cohort, healthy=3, diseased=scans, seed=seed, shape=SHAPE, spacing=SPACING)
    settings = {**THIRD_RESOLUTION, "members": members, "max_iterations": 60, "base_seed": seed}
    places = {"ckpt_dir": folder / "models", "output_dir": folder / "runs"}
    run_script("train_ensemble.py", cohort / "healthy", **places, **settings)


def rank_correlation(folder: Path, members: int) -> float:
    """Spearman's correlation, over all scans of a seed, of the score before any correction and the lesion Dice."""
    record = folder / "scores.json"
    if not record.is_file():
        pipeline, versions = served(folder / "before", folder / "models" / "model.pt", members)
        scoring = Disagreement(pipeline, versions)
        pairs = [
            (scoring.score(str(case), "cpu", {}), mean_dice(pipeline, versions, [case]))
            for case in diseased(folder)
        ]
        with written_whole(record) as beside:
            beside.write_text(json.dumps(pairs))
    return float(spearmanr(*zip(*json.loads(record.read_text()), strict=True)).statistic)


def served(work: Path, weights: Path, members: int) -> tuple[Pipeline, Versions]:
    """Sets the server's inference up in a folder, at a third of the resolution."""
    work.mkdir(parents=True, exist_ok=True)
    overlay = work / "overlay.json"
    overlay.write_text(json.dumps({**THIRD_RESOLUTION, "members": members}))
    return Pipeline(BUNDLE / "configs" / "inference.json", overlay), Versions(work / "versions", weights)


def diseased(folder: Path) -> list[Path]:
    """Lists a seed's scans with lesions, by number."""
    cases = (folder / "cohort" / "diseased" / f"covid_{number}.nii.gz" for number in range(10_000))
    return [case for case in cases if case.is_file()]


def corrected(folder: Path, strategy: str, seed: int, pool: int, members: int) -> list[float]:
    """Runs one strategy; returns the mean lesion Dice of the test scans after 0, 1, 2, 4 and 8 corrections."""
    work = folder / strategy
    shutil.rmtree(work, ignore_errors=True)
    (work / "studies").mkdir(parents=True)
    cases = diseased(folder)
    for case in cases[:pool]:
        shutil.copy(case, work / "studies")
    studies = LocalStudies(str(work / "studies"))
    pipeline, versions = served(work, folder / "models" / "model.pt", members)
    tune = FineTune(BUNDLE, versions, work / "model", work / "overlay.json", folder / "cohort" / "healthy")
    order = random.Random(seed).sample(sorted(studies.list_images()), pool)
    dice = [mean_dice(pipeline, versions, cases[pool:])]
    for count in range(1, max(CORRECTIONS) + 1):
        if strategy == "random":
            image = order[count - 1]
        else:
            Disagreement(pipeline, versions)({"device": "cpu"}, studies)
            image = MostDisagreed(versions)({"strategy": strategy}, studies)["id"]
        truth = folder / "cohort" / "diseased" / f"{image}_lesions.nii.gz"
        studies.save_label(image, str(truth), "final", {})
        if count in CORRECTIONS:
            tune({"max_epochs": 1, "device": "cpu"}, studies)
            dice.append(mean_dice(pipeline, versions, cases[pool:]))
    return dice


def mean_dice(pipeline: Pipeline, versions: Versions, cases: list[Path]) -> float:
    """Segments scans by the weights in use; mean Dice with their exact lesions."""
    scores = []
    network = pipeline.network(versions.path())
    for case in cases:
        run = pipeline.run({})
        study: dict[str, Any] = run.preprocessing(find_studies(case)[0])
        with torch.no_grad():
            study["pred"] = run.inferer(study["image"][None], network)[0]
        result = study_result(run.postprocessing(study))
        truth = nib.as_closest_canonical(nib.load(str(case).replace(".nii.gz", "_lesions.nii.gz")))
        scores.append(voxel_scores(result.masks["lesion"], np.asarray(truth.dataobj))["DSC"] / 100)
    return float(np.mean(scores))


def draw(curves: dict[str, list[list[float]]], path: Path) -> None:
    """Draws the mean of each strategy, and each seed thinly."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    steps = [0, *CORRECTIONS]
    for (strategy, runs), colour in zip(curves.items(), ("tab:orange", "tab:blue"), strict=True):
        for run in runs:
            axes.plot(steps, run, color=colour, linewidth=0.6, alpha=0.5)
        axes.plot(steps, np.mean(runs, axis=0), color=colour, marker="o", label=strategy)
    axes.set(xlabel="corrected scans", ylabel="lesion Dice on scans never corrected", xticks=steps)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    fire.Fire(active_learning)
