"""Training by nnU-Net v2's own entry points, 2D configuration; planned for a CPU where that is asked for."""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import torch

__all__ = [
    "MOST_FOLDS",
    "TRAINER",
    "SmallPlan",
    "dataset_name",
    "model_folder",
    "raw_folder",
    "save_volume",
    "train_folds",
    "write_dataset",
]

MOST_FOLDS = 5
"""Of nnU-Net's cross-validation; each needs a case to validate on."""

AUGMENTING = "nnUNet_n_proc_DA"
"""nnU-Net reads from it how many processes augment."""

TRAINER = "nnUNetTrainer"
"""nnU-Net's own; its variants have other names."""

SMALL_BATCH, SMALL_FEATURES = 8, [16, 32, 64, 128, 128]
"""Of a small plan: 1.3 M weights, where nnU-Net's own 2D plan has 46 M."""


@dataclass(frozen=True)
class SmallPlan:
    """What two CPU cores train in minutes, in the place of nnU-Net's own 2D plan.

    Attributes:
        spacing_mm: in-plane voxel size, mm.
        patch: voxels along Y and X; multiples of 16.
    """

    spacing_mm: float
    patch: tuple[int, int]


def dataset_name(number: int, name: str) -> str:
    """Names a data set as nnU-Net wants it."""
    return f"Dataset{number:03d}_{name}"


def raw_folder(work: Path, dataset: str) -> Path:
    """Holds imagesTr, labelsTr and dataset.json."""
    return work / "raw" / dataset


def model_folder(work: Path, dataset: str, trainer: str = TRAINER) -> Path:
    """Holds the plans and the folds."""
    return work / "results" / dataset / f"{trainer}__nnUNetPlans__2d"


def save_volume(volume: torch.Tensor, dtype: type, path: Path) -> None:
    """Writes a RAS volume (1, X, Y, Z), with its affine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = volume.affine.cpu().numpy()  # type: ignore[attr-defined]
    nib.save(nib.Nifti1Image(volume[0].cpu().numpy().astype(dtype), affine), path)


def write_dataset(raw: Path, channel: str, label: str, cases: int) -> None:
    """Writes dataset.json: one channel, one label."""
    dataset = {
        "channel_names": {"0": channel},
        "labels": {"background": 0, label: 1},
        "numTraining": cases,
        "file_ending": ".nii.gz",
    }
    (raw / "dataset.json").write_text(json.dumps(dataset, indent=4), encoding="utf-8")


def train_folds(
    work: Path,
    number: int,
    dataset: str,
    convert: Callable[[], None],
    *,
    folds: Iterable[int | str],
    epochs: int,
    iterations: int,
    processes: int,
    small: SmallPlan | None = None,
    trainer: str = TRAINER,
) -> None:
    """Converts, plans, preprocesses and trains; a stopped training goes on where it was.

    Args:
        work: folder of nnU-Net's raw, preprocessed and results folders; it is made.
        number: of the data set.
        dataset: its name.
        convert: writes its raw folder.
        folds: of nnU-Net's five, or `all`.
        epochs: of each fold.
        iterations: of each epoch.
        processes: that preprocess and augment.
        small: replaces nnU-Net's 2D plan, for a CPU.
        trainer: the name of nnU-Net's trainer.
    """
    for name in ("raw", "preprocessed", "results"):
        (work / name).mkdir(parents=True, exist_ok=True)
        os.environ[f"nnUNet_{name}"] = str(work / name)
    os.environ[AUGMENTING] = str(processes)
    # nnU-Net reads these variables when it is imported.
    from nnunetv2.experiment_planning import plan_and_preprocess_api as plan
    from nnunetv2.run.run_training import get_trainer_from_args, maybe_load_checkpoint

    prepared = work / f"prepared_{dataset}"
    if not prepared.exists():
        convert()
        plan.extract_fingerprints([number], num_processes=processes, check_dataset_integrity=True)
        plan.plan_experiments([number])
        if small:
            _make_small(work / "preprocessed" / dataset / "nnUNetPlans.json", small)
        plan.preprocess([number], configurations=["2d"], num_processes=[processes])
        prepared.touch()
    if processes == 1:  # nnU-Net then augments in this process; its planning takes no 0
        os.environ[AUGMENTING] = "0"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for fold in folds:
        if (model_folder(work, dataset, trainer) / f"fold_{fold}" / "checkpoint_final.pth").is_file():
            continue
        run: Any = get_trainer_from_args(str(number), "2d", fold, trainer_name=trainer, device=device)
        run.num_epochs, run.num_iterations_per_epoch = epochs, iterations
        run.num_val_iterations_per_epoch = max(1, iterations // 5)
        maybe_load_checkpoint(run, continue_training=True, validation_only=False)
        run.run_training()


def _make_small(plans: Path, small: SmallPlan) -> None:
    """Replaces nnU-Net's 2D plan."""
    content = json.loads(plans.read_text(encoding="utf-8"))
    plan = content["configurations"]["2d"]
    plan.update(
        spacing=[small.spacing_mm, small.spacing_mm], patch_size=list(small.patch), batch_size=SMALL_BATCH
    )
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
