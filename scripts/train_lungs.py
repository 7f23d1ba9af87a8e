"""Trains a lung network by nnU-Net v2, 2D configuration, and runs it (IV-B2).

`python scripts/train_lungs.py train CTS WORK`, then `python scripts/train_lungs.py predict MODEL CTS MASKS`,
or `--lungs_backend nnunet:MODEL` in `inference.json`; the training prints MODEL, a folder.
"""

import json
import os
from pathlib import Path
from typing import Any

import fire
import nibabel as nib
import numpy as np
import torch
from dense_lesions import with_dense_lesions
from monai.data import MetaTensor
from monai.transforms import Compose, Orientationd, Spacingd
from tqdm import tqdm

from normnet.errors import InputError, report_input_errors
from normnet.lungs import SegmentLungsd
from normnet.nnunet_lungs import load_predictor
from normnet.reading import LoadCTd
from normnet.studies import find_studies

NUMBER, DATASET = 1, "Dataset001_Lungs"
MOST_FOLDS = 5  # of nnU-Net's cross-validation; each needs a case to validate on
AUGMENTING = "nnUNet_n_proc_DA"  # nnU-Net reads from it how many processes augment
TRAINER, SMALL_TRAINER = "nnUNetTrainer", "nnUNetTrainerAdam1en3"
"""nnU-Net's trainers: its own, and the one by Adam, which needs fewer iterations."""

SMALL_MM = 3.0
"""In-plane voxel size of the small plan, mm."""

SMALL_PATCH, SMALL_BATCH, SMALL_FEATURES = [128, 128], 8, [16, 32, 64, 128, 128]
"""Of the small plan: a whole slice at once, 1.3 M weights, where nnU-Net's own 2D plan has 46 M."""


def _model(work: Path, small: bool) -> Path:
    """The folder in which nnU-Net leaves the trained model."""
    return work / "results" / DATASET / f"{SMALL_TRAINER if small else TRAINER}__nnUNetPlans__2d"


def _save(volume: torch.Tensor, dtype: type, path: Path) -> None:
    """Writes a RAS volume (1, X, Y, Z), with its affine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = volume.affine.cpu().numpy()  # type: ignore[attr-defined]
    nib.save(nib.Nifti1Image(volume[0].cpu().numpy().astype(dtype), affine), path)


def _convert(cts: str, work: Path, lungs_backend: str, diseased: int, small: bool) -> None:
    """Writes CTs and lung masks in nnU-Net's raw layout, RAS."""
    studies = find_studies(cts)
    if len(studies) * (1 + diseased) < MOST_FOLDS:
        raise InputError(f"{cts}: expected at least {MOST_FOLDS} CTs to train on, got {len(studies)}.")
    steps: list[Any] = [
        LoadCTd(keys="image"),
        Orientationd(keys="image", axcodes="RAS", labels=None),
        SegmentLungsd(backend=lungs_backend),
    ]
    if small:
        spacing = Spacingd(
            keys=["image", "lungs"], pixdim=(SMALL_MM, SMALL_MM, -1), mode=["bilinear", "nearest"]
        )
        steps.append(spacing)
    convert = Compose(steps)
    raw = work / "raw" / DATASET
    if (raw / "dataset.json").is_file():  # it is written last
        return
    for number, study in enumerate(tqdm(studies, desc="Converting", unit="CT")):
        item: Any = convert(dict(study))
        image, lungs = item["image"], item["lungs"]
        healthy = image[0].numpy()
        for copy in range(1 + diseased):
            if copy:
                seed = number * diseased + copy
                changed = with_dense_lesions(healthy, lungs[0].numpy() > 0, image.affine.numpy(), seed)
                image = MetaTensor(torch.from_numpy(changed)[None], affine=item["image"].affine)
            name = f"{study['study']}_{copy}" if diseased else study["study"]
            _save(image, np.float32, raw / "imagesTr" / f"{name}_0000.nii.gz")
            _save(lungs, np.uint8, raw / "labelsTr" / f"{name}.nii.gz")
    dataset = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "lungs": 1},
        "numTraining": len(studies) * (1 + diseased),
        "file_ending": ".nii.gz",
    }
    (raw / "dataset.json").write_text(json.dumps(dataset, indent=4), encoding="utf-8")


def _make_small(plans: Path) -> None:
    """Replaces nnU-Net's 2D plan by one that two CPU cores train in minutes and a repository can hold."""
    content = json.loads(plans.read_text(encoding="utf-8"))
    plan = content["configurations"]["2d"]
    plan.update(spacing=[SMALL_MM, SMALL_MM], patch_size=SMALL_PATCH, batch_size=SMALL_BATCH)
    stages = len(SMALL_FEATURES)
    plan["architecture"]["arch_kwargs"].update(
        n_stages=stages,
        features_per_stage=SMALL_FEATURES,
        kernel_sizes=[[3, 3]] * stages,
        strides=[[1, 1]] + [[2, 2]] * (stages - 1),
        n_conv_per_stage=[2] * stages,
        n_conv_per_stage_decoder=[2] * (stages - 1),
    )
    plans.write_text(json.dumps(content, indent=4), encoding="utf-8")


def ship(model: str, target: str, fold: str = "0") -> None:
    """Copies one fold of a trained model without what only its training needs.

    Args:
        model: nnU-Net's model folder.
        target: the model folder to write; it is made.
        fold: 0 to 4, or all.
    """
    source, folder = Path(model), Path(target)
    weights = torch.load(
        source / f"fold_{fold}" / "checkpoint_final.pth", map_location="cpu", weights_only=False
    )
    kept = ("network_weights", "init_args", "trainer_name", "inference_allowed_mirroring_axes")
    own = folder / "fold_0"
    own.mkdir(parents=True, exist_ok=True)
    init = {key: value for key, value in weights["init_args"].items() if key in ("configuration", "fold")}
    torch.save({**{key: weights[key] for key in kept}, "init_args": init}, own / "checkpoint_final.pth")
    dataset = json.loads((source / "dataset.json").read_text(encoding="utf-8"))
    (folder / "dataset.json").write_text(json.dumps(dataset, indent=1), encoding="utf-8")
    (folder / "plans.json").write_text((source / "plans.json").read_text(encoding="utf-8"), encoding="utf-8")


def train(
    cts: str,
    work: str,
    *,
    lungs_backend: str = "classical",
    folds: int = MOST_FOLDS,
    epochs: int = 100,
    iterations: int = 250,
    processes: int = 2,
    diseased: int = 0,
    small: bool = False,
    on_all: bool = False,
) -> None:
    """Converts, plans, preprocesses and trains; a stopped training goes on where it was.

    Args:
        cts: at least 5 CTs, as for `inference.json`.
        work: folder for nnU-Net's raw, preprocessed and results folders; it is made.
        lungs_backend: where the masks come from; `file` takes <case>_lungs.nii.gz beside each CT.
        folds: how many of nnU-Net's five to train.
        epochs: of each fold.
        iterations: of each epoch.
        processes: that preprocess and augment.
        diseased: copies of each CT with dense lesions put in, beside the CT itself; its lung mask stays.
        small: whether to replace nnU-Net's 2D plan by a small one, for a CPU.
        on_all: train one network on all CTs, nnU-Net's fold `all`, in the place of folds.
    """
    folder = Path(work).resolve()
    for name in ("raw", "preprocessed", "results"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        os.environ[f"nnUNet_{name}"] = str(folder / name)
    os.environ[AUGMENTING] = str(processes)
    # nnU-Net reads these variables when it is imported.
    from nnunetv2.experiment_planning import plan_and_preprocess_api as plan
    from nnunetv2.run.run_training import get_trainer_from_args, maybe_load_checkpoint

    prepared = folder / "prepared"
    if not prepared.exists():
        _convert(cts, folder, lungs_backend, diseased, small)
        plan.extract_fingerprints([NUMBER], num_processes=processes, check_dataset_integrity=True)
        plan.plan_experiments([NUMBER])
        if small:
            _make_small(folder / "preprocessed" / DATASET / "nnUNetPlans.json")
        plan.preprocess([NUMBER], configurations=["2d"], num_processes=[processes])
        prepared.touch()
    if processes == 1:  # nnU-Net then augments in this process; its planning takes no 0
        os.environ[AUGMENTING] = "0"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = _model(folder, small)
    for fold in ["all"] if on_all else range(folds):
        if (model / f"fold_{fold}" / "checkpoint_final.pth").is_file():
            continue
        name = SMALL_TRAINER if small else TRAINER
        trainer = get_trainer_from_args(str(NUMBER), "2d", fold, trainer_name=name, device=device)
        trainer.num_epochs, trainer.num_iterations_per_epoch = epochs, iterations
        trainer.num_val_iterations_per_epoch = max(1, iterations // 5)
        maybe_load_checkpoint(trainer, continue_training=True, validation_only=False)
        trainer.run_training()
    print(model)


def predict(model: str, cts: str, masks: str) -> None:
    """Writes <study>.nii.gz, the lungs in RAS, for each CT.

    Args:
        model: nnU-Net's model folder, which `train` prints.
        cts: as for `inference.json`.
        masks: folder for the masks; it is made.
    """
    predictor = load_predictor(model)
    read = Compose([LoadCTd(keys="image"), Orientationd(keys="image", axcodes="RAS", labels=None)])
    images = Path(masks) / "images"
    for study in tqdm(find_studies(cts), desc="Converting", unit="CT"):
        item: Any = read(dict(study))
        _save(item["image"], np.float32, images / f"{study['study']}_0000.nii.gz")
    predictor.predict_from_files_sequential(str(images), masks, overwrite=True)


if __name__ == "__main__":
    report_input_errors()
    fire.Fire({"train": train, "predict": predict, "ship": ship})
