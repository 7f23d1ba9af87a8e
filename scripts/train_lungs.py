"""Trains a lung network by nnU-Net v2, 2D configuration, runs it and makes it small enough to ship (IV-B2).

`python scripts/train_lungs.py train CTS WORK`, then `python scripts/train_lungs.py predict MODEL CTS MASKS`,
or `--lungs_backend nnunet:MODEL` in `inference.json`; the training prints MODEL, a folder.
`python scripts/train_lungs.py ship MODEL TARGET [--fold 0]` copies what inference needs of it.
"""

import json
import math
from pathlib import Path
from typing import Any

import fire
import numpy as np
import torch
from ct_with_lungs import reads_with_lungs
from dense_lesions import with_dense_lesions
from monai.data import MetaTensor
from monai.transforms import Compose, Orientationd, Spacingd
from nnunet_training import (
    MOST_FOLDS,
    TRAINER,
    SmallPlan,
    dataset_name,
    model_folder,
    raw_folder,
    save_volume,
    train_folds,
    write_dataset,
)
from tqdm import tqdm

from normnet.errors import InputError, report_input_errors
from normnet.nnunet_lungs import load_predictor
from normnet.reading import LoadCTd
from normnet.studies import find_studies

NUMBER = 1
DATASET = dataset_name(NUMBER, "Lungs")
SMALL = SmallPlan(spacing_mm=3.0, patch=(128, 128))
"""A whole slice at once."""

SMALL_TRAINER = "nnUNetTrainerAdam1en3"
"""nnU-Net's trainer by Adam, which needs fewer iterations than its own."""


def _convert(cts: str, work: Path, lungs_backend: str, diseased: int, small: bool) -> None:
    """Writes CTs and lung masks in nnU-Net's raw layout, RAS."""
    studies = find_studies(cts)
    if len(studies) * (1 + diseased) < MOST_FOLDS:
        fewest = math.ceil(MOST_FOLDS / (1 + diseased))
        raise InputError(f"{cts}: expected at least {fewest} CTs to train on, got {len(studies)}.")
    in_plane = Spacingd(
        keys=["image", "lungs"],
        pixdim=(SMALL.spacing_mm, SMALL.spacing_mm, -1),
        mode=["bilinear", "nearest"],
    )
    convert = reads_with_lungs(lungs_backend, *([in_plane] if small else []))
    raw = raw_folder(work, DATASET)
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
            save_volume(image, np.float32, raw / "imagesTr" / f"{name}_0000.nii.gz")
            save_volume(lungs, np.uint8, raw / "labelsTr" / f"{name}.nii.gz")
    write_dataset(raw, "CT", "lungs", len(studies) * (1 + diseased))


@fire.decorators.SetParseFn(str)
def ship(model: str, target: str, fold: str = "0") -> None:
    """Copies one fold of a trained model without what only its training needs.

    Its trainer is then the one that builds the network: nnU-Net imports trainers until it finds the one named, and
    some of its variants need far more packages than inference does.

    Args:
        model: nnU-Net's model folder.
        target: the model folder to write; it is made.
        fold: 0 to 4, or all.
    """
    source, folder = Path(model), Path(target)
    weights = torch.load(
        source / f"fold_{fold}" / "checkpoint_final.pth", map_location="cpu", weights_only=False
    )
    kept = ("network_weights", "init_args", "inference_allowed_mirroring_axes")
    own = folder / "fold_0"
    own.mkdir(parents=True, exist_ok=True)
    init = {key: value for key, value in weights["init_args"].items() if key in ("configuration", "fold")}
    changed = {"init_args": init, "trainer_name": _builder(weights["trainer_name"])}
    torch.save({**{key: weights[key] for key in kept}, **changed}, own / "checkpoint_final.pth")
    dataset = json.loads((source / "dataset.json").read_text(encoding="utf-8"))
    (folder / "dataset.json").write_text(json.dumps(dataset, indent=1), encoding="utf-8")
    (folder / "plans.json").write_text((source / "plans.json").read_text(encoding="utf-8"), encoding="utf-8")


def _builder(trainer: str) -> str:
    """The name of the trainer from which one of nnU-Net's trainers has its network."""
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    classes = recursive_find_trainer_class_by_name(trainer).mro()
    return next(found.__name__ for found in classes if "build_network_architecture" in vars(found))


@fire.decorators.SetParseFns(cts=str, work=str, lungs_backend=str)
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
        cts: as for `inference.json`; at least 5 with their diseased copies.
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
    trainer = SMALL_TRAINER if small else TRAINER
    train_folds(
        folder,
        NUMBER,
        DATASET,
        lambda: _convert(cts, folder, lungs_backend, diseased, small),
        folds=["all"] if on_all else range(folds),
        epochs=epochs,
        iterations=iterations,
        processes=processes,
        small=SMALL if small else None,
        trainer=trainer,
    )
    print(model_folder(folder, DATASET, trainer))


@fire.decorators.SetParseFn(str)
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
        save_volume(item["image"], np.float32, images / f"{study['study']}_0000.nii.gz")
    predictor.predict_from_files_sequential(str(images), masks, overwrite=True)


if __name__ == "__main__":
    report_input_errors()
    fire.Fire({"train": train, "predict": predict, "ship": ship})
