"""Real nodules in the lung where they grew: patches of other patients' CTs, as cases to segment."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accuracy_cases import Case
from monai.data import MetaTensor
from ras_nifti import read
from scipy import ndimage
from tqdm import tqdm

from normnet.ensemble import Ensemble
from normnet.inferers import EnsembleInferer
from normnet.intensity import BRIGHT_HU
from normnet.model_grid import ToModelGridd
from normnet.thorax import MODEL_SPACING, ThoraxAread

__all__ = ["NoduleInPlace", "lungs_in_patch", "nodules_in_place"]

CLOSING_MM = 5.0
"""Vessels up to twice as thick belong to the lungs of a patch."""

SMALLEST_AIR_MM3 = 2000.0
"""Less air in one piece is no lung."""


@dataclass(frozen=True)
class NoduleInPlace:
    """A nodule with the lung round it.

    Attributes:
        case: its patch on the model's grid, with every member's probability; the truth is the nodule.
        mm3: volume in its own CT.
        mean_hu: in its own CT.
    """

    case: Case
    mm3: float
    mean_hu: float


def nodules_in_place(folder: Path, network: Ensemble) -> list[NoduleInPlace]:
    """Brings every patch to the model's grid and asks the networks about it.

    Lungs that hold little air stay as they are: a patch is too small to tell.

    Args:
        folder: nodules.csv, and image/ and mask/ with the files that it names.
        network: the ensemble.
    """
    with (folder / "nodules.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    scale, inferer = ThoraxAread(keys="image", lungs_key="lungs"), EnsembleInferer()
    nodules = []
    for row in tqdm(rows, desc="Nodules in place", unit="patch"):
        patch = {}
        for key, kind in (("image", "image"), ("nodule", "mask")):
            voxels, affine, _ = read(folder / kind / row["file"])
            patch[key] = MetaTensor(np.ascontiguousarray(voxels)[None].astype(np.float32), affine=affine)
        patch = ToModelGridd(keys="nodule", spacing=MODEL_SPACING)(patch)
        hu, nodule = (np.asarray(patch[key][0]) for key in ("image", "nodule"))
        lungs = lungs_in_patch(hu, nodule > 0)
        mask = torch.from_numpy(lungs.astype(np.uint8))[None]
        study = scale({"image": patch["image"], "lungs": MetaTensor(mask, affine=patch["image"].affine)})
        probability = inferer(study["image"][None], network)[0].as_tensor()
        case = Case({**study, "pred": probability}, nodule > 0)
        nodules.append(NoduleInPlace(case, float(row["volume_mm3"]), float(row["mean_HU_in_mask"])))
    return nodules


def lungs_in_patch(hu: np.ndarray, nodule: np.ndarray) -> np.ndarray:
    """Finds the lung of a patch, which holds too little of a chest for any lung backend; the nodule belongs to it.

    Args:
        hu: (X, Y, Z), on the model's grid.
        nodule: (X, Y, Z) bool.

    Returns:
        (X, Y, Z) bool: large pieces of air, closed over vessels, and the nodule.
    """
    labels, _ = ndimage.label(hu < BRIGHT_HU)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    air = (sizes * np.prod(MODEL_SPACING) >= SMALLEST_AIR_MM3)[labels]
    rim = [(int(np.ceil(CLOSING_MM / mm)) + 1,) * 2 for mm in MODEL_SPACING]
    inner = tuple(slice(before, -after) for before, after in rim)
    near = ndimage.distance_transform_edt(~air, sampling=MODEL_SPACING) <= CLOSING_MM
    deep = ndimage.distance_transform_edt(np.pad(near, rim, mode="edge"), sampling=MODEL_SPACING)
    return ndimage.binary_fill_holes(air | (deep[inner] > CLOSING_MM) | nodule)
