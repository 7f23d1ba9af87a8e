"""The supervised top line of Table III: nnU-Net in 5-fold cross-validation, and on a set that it has not seen (IV-C).

python scripts/compare_nnunet.py TEST_DIR[,TEST_DIR] OUTPUT_DIR [--epochs 1000 --iterations 250]
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fire
import numpy as np
from compare_plan import named_sets
from ct_with_lungs import reads_with_lungs
from kept_settings import keep_settings
from nnunet_training import (
    MOST_FOLDS,
    SmallPlan,
    dataset_name,
    model_folder,
    raw_folder,
    save_volume,
    train_folds,
    write_dataset,
)
from tqdm import tqdm

from normnet.baselines.anomaly_results import write_masks
from normnet.errors import InputError, report_input_errors
from normnet.masks import read_mask
from normnet.nnunet_lungs import load_predictor
from normnet.reading import read_ct
from normnet.studies import find_studies
from normnet.thorax import ThoraxAread

__all__ = ["NNUNET", "UNSEEN", "nnunet"]

NNUNET, UNSEEN = "nnunet", "nnunet_unseen"
FIRST_NUMBER = 11
SMALL = SmallPlan(spacing_mm=2.0, patch=(64, 80))


@fire.decorators.SetParseFns(test_dirs=str, output_dir=str, lungs_backend=str)
def nnunet(
    test_dirs: str,
    output_dir: str,
    epochs: int = 1000,
    iterations: int = 250,
    processes: int = 1,
    small: bool = False,
    lungs_backend: str = "classical",
) -> None:
    """Writes OUTPUT_DIR/<set>/nnunet/results and, with two sets, nnunet_unseen/results: masks of every case.

    In `nnunet` a case is segmented by the fold that has not trained on it; in `nnunet_unseen` by all folds of the other
    set. As all methods, it sees the lungs alone. What is done is not done again; a folder of other settings is refused.

    Args:
        test_dirs: folders of CTs with their `<case>_lesions` masks, at least 5 CTs each.
        output_dir: gets nnU-Net's folders, too.
        epochs: of each fold.
        iterations: of each epoch; both are nnU-Net's own by default.
        processes: that preprocess and augment.
        small: whether to replace nnU-Net's 2D plan by a small one, for a CPU.
        lungs_backend: as of `inference.json`.
    """
    report_input_errors()
    out = Path(output_dir).resolve()
    sets = named_sets(test_dirs)
    work = out / NNUNET
    kept = {"epochs": epochs, "iterations": iterations, "small": small, "lungs_backend": lungs_backend}
    keep_settings(work, kept, "raw")
    datasets = {name: dataset_name(FIRST_NUMBER + index, name) for index, name in enumerate(sets)}
    for index, (name, folder) in enumerate(sets.items()):
        raw = raw_folder(work, datasets[name])
        train_folds(
            work,
            FIRST_NUMBER + index,
            datasets[name],
            lambda folder=folder, raw=raw: convert(folder, raw, lungs_backend),  # type: ignore[misc]
            folds=range(MOST_FOLDS),
            epochs=epochs,
            iterations=iterations,
            processes=processes,
            small=SMALL if small else None,
        )
    for name, folder in sets.items():
        images = raw_folder(work, datasets[name]) / "imagesTr"
        splits = work / "preprocessed" / datasets[name] / "splits_final.json"
        masks = work / "masks" / name
        model = model_folder(work, datasets[name])
        for fold, split in enumerate(json.loads(splits.read_text(encoding="utf-8"))):
            predict(model, (fold,), images, split["val"], masks / NNUNET)
        save_results(folder, masks / NNUNET, images.with_name("lungs"), out / name / NNUNET / "results")
        if len(sets) == 2:
            (other,) = set(sets) - {name}
            cases = [study["study"] for study in find_studies(folder)]
            predict(model_folder(work, datasets[other]), None, images, cases, masks / UNSEEN)
            save_results(folder, masks / UNSEEN, images.with_name("lungs"), out / name / UNSEEN / "results")


def convert(folder: Path, raw: Path, lungs_backend: str) -> None:
    """Writes lungs in the window, lesion masks and lung masks in nnU-Net's raw layout, RAS, on the CT's own grid."""
    studies = find_studies(folder)
    unlabelled = [study["study"] for study in studies if "lesions" not in study]
    if unlabelled or len(studies) < MOST_FOLDS:
        raise InputError(
            f"{folder}: expected at least {MOST_FOLDS} CTs, each with its mask <case>_lesions, "
            f"got {len(studies)}, {len(unlabelled)} of them without."
        )
    prepare = reads_with_lungs(lungs_backend, ThoraxAread())
    for study in tqdm(studies, desc="Converting", unit="CT"):
        item: Any = prepare(dict(study))
        lesion = read_mask(study["lesions"], like=item["image"]) > 0
        save_volume(item["image"], np.float32, raw / "imagesTr" / f"{study['study']}_0000.nii.gz")
        save_volume(lesion, np.uint8, raw / "labelsTr" / f"{study['study']}.nii.gz")
        save_volume(item["lungs"], np.uint8, raw / "lungs" / f"{study['study']}.nii.gz")
    write_dataset(raw, "lungs", "lesion", len(studies))


def predict(
    model: Path, folds: tuple[int, ...] | None, images: Path, cases: Sequence[str], masks: Path
) -> None:
    """Segments cases by nnU-Net's own predictor; None is all folds, averaged."""
    wanted = [case for case in cases if not (masks / f"{case}.nii.gz").is_file()]
    if wanted:
        masks.mkdir(parents=True, exist_ok=True)
        predictor = load_predictor(str(model), folds)
        predictor.predict_from_files_sequential(
            [[str(images / f"{case}_0000.nii.gz")] for case in wanted],
            [str(masks / case) for case in wanted],
        )


def save_results(folder: Path, masks: Path, lungs_dir: Path, results: Path) -> None:
    """Writes the masks as every method does, for the one evaluator."""
    for study in find_studies(folder):
        target = results / study["study"]
        if not (target / "lesion.nii.gz").is_file():
            ct = read_ct(study["image"])
            lesion, lungs = (
                read_mask(path / f"{study['study']}.nii.gz", like=ct)[0].numpy() > 0
                for path in (masks, lungs_dir)
            )
            target.mkdir(parents=True, exist_ok=True)
            write_masks(target, lesion, lungs, ct.affine.numpy(), threshold=0.5)


if __name__ == "__main__":
    fire.Fire(nnunet)
