"""The lungs by an nnU-Net v2 model folder, through nnunetv2's own predictor (IV-B2)."""

import hashlib
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from normnet.errors import InputError

__all__ = ["load_predictor", "model_hash", "probability", "segment"]

CHECKPOINT = "checkpoint_final.pth"
"""What nnU-Net's training writes when it has finished."""


@cache
def load_predictor(model: str, folds: tuple[int, ...] | None = None) -> Any:
    """Loads folds of a model folder that nnU-Net's training has finished; they are averaged.

    Mirroring is off: it takes four times as long. Only models of people you trust: nnU-Net's checkpoints are pickles,
    which can run code.

    Args:
        model: the folder with dataset.json, plans.json and fold_k/checkpoint_final.pth, such as
            nnUNetTrainer__nnUNetPlans__2d.
        folds: which ones; all of them by default.

    Returns:
        nnunetv2's `nnUNetPredictor`, on a GPU where there is one.

    Raises:
        InputError: nnunetv2 is not installed, or the folder holds no finished model.
    """
    trained = sorted(
        file.parent.name.removeprefix("fold_") for file in Path(model).glob(f"fold_*/{CHECKPOINT}")
    )
    if not trained or not Path(model, "plans.json").is_file():
        raise InputError(
            f"{model}: expected an nnU-Net v2 model folder with plans.json and fold_0/checkpoint_final.pth, found none."
        )
    try:
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    except ModuleNotFoundError as error:
        raise InputError(
            f"{model}: lungs by nnU-Net need nnunetv2, which is not installed: pip install nnunetv2, or take "
            "--lungs_backend classical."
        ) from error
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    on_gpu = device.type == "cuda"
    every_fold = [fold for fold in trained if fold != "all"] or ["all"]
    with redirect_stdout(StringIO()):  # nnU-Net prints notes that say nothing to a user
        predictor = nnUNetPredictor(
            use_mirroring=False, perform_everything_on_device=on_gpu, device=device, allow_tqdm=False
        )
        predictor.initialize_from_trained_model_folder(model, use_folds=folds or every_fold)
    return predictor


@cache
def model_hash(model: str) -> str:
    """Names a model folder by the content of its plans and folds; read once a process, as `load_predictor` does."""
    digest = hashlib.sha256()
    folder = Path(model)
    for path in [folder / "plans.json", *sorted(folder.glob(f"fold_*/{CHECKPOINT}"))]:
        if path.is_file():
            with path.open("rb") as file:
                digest.update(path.parent.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def segment(ct: np.ndarray, spacing: tuple[float, ...], model: str) -> np.ndarray:
    """Segments both lungs.

    Args:
        ct: (X, Y, Z) float, HU, RAS.
        spacing: voxel size along X, Y, Z in mm.
        model: nnU-Net's model folder, trained on RAS volumes (`scripts/train_lungs.py`).

    Returns:
        (X, Y, Z) bool on the grid of `ct`.

    Raises:
        InputError: nnunetv2 is not installed, or the folder holds no finished model.
    """
    labels: np.ndarray = _predict(ct, spacing, model)
    return labels.transpose(2, 1, 0) > 0


def probability(ct: np.ndarray, spacing: tuple[float, ...], model: str) -> np.ndarray:
    """Tells how sure the network is of lung: as `segment`, but (X, Y, Z) float32 in [0, 1]."""
    _, of_label = _predict(ct, spacing, model, save_or_return_probabilities=True)
    return 1 - of_label[0].transpose(2, 1, 0)


def _predict(ct: np.ndarray, spacing: tuple[float, ...], model: str, **options: bool) -> Any:
    """Asks nnU-Net, whose readers give (Z, Y, X), and the spacing in that order."""
    volume = np.ascontiguousarray(ct.transpose(2, 1, 0)[None], dtype=np.float32)
    properties = {"spacing": tuple(reversed(spacing))}
    return load_predictor(str(model)).predict_single_npy_array(volume, properties, **options)
