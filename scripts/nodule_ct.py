"""CTs with real nodules put into healthy lung, and their truth, as files."""

import csv
from pathlib import Path

import nibabel as nib
import numpy as np
from nodules import Nodule, choose_spread, place, resample
from ras_nifti import read

__all__ = ["draw_nodules", "write_with_nodules"]


def draw_nodules(
    folder: Path, count: int, spacing: tuple[float, ...], generator: np.random.Generator
) -> tuple[list[dict[str, str]], list[Nodule]]:
    """Draws nodules of every size and density, and brings them to a CT's voxel size.

    Args:
        folder: nodules.csv, and image/ and mask/ with the files that it names.
        count: how many, at most.
        spacing: of the CT, mm.
        generator: of the draws.

    Returns:
        Their rows of nodules.csv, and the nodules, largest first.
    """
    with (folder / "nodules.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    volumes, mean_hu = (
        np.array([float(row[name]) for row in rows]) for name in ("volume_mm3", "mean_HU_in_mask")
    )
    chosen = [rows[index] for index in choose_spread(volumes, mean_hu, count, generator)]
    nodules = []
    for row in chosen:
        hu, _, own_spacing = read(folder / "image" / row["file"])
        mask, _, _ = read(folder / "mask" / row["file"])
        nodules.append(resample(Nodule(hu, mask > 0), own_spacing, spacing))
    return chosen, nodules


def write_with_nodules(
    path: Path,
    ct: np.ndarray,
    lungs: np.ndarray,
    affine: np.ndarray,
    nodules: list[Nodule],
    generator: np.random.Generator,
) -> np.ndarray:
    """Writes a CT with nodules at random places in its lungs, and <case>_lesions.nii.gz beside it.

    Args:
        path: of the new CT, <case>.nii.gz.
        ct: (X, Y, Z), HU.
        lungs: (X, Y, Z) bool.
        affine: of the CT, (4, 4).
        nodules: on the CT's grid.
        generator: of the places.

    Returns:
        What is in the mask, (X, Y, Z) uint8: k where nodule k - 1 lies.
    """
    spacing = tuple(float(mm) for mm in nib.affines.voxel_sizes(affine))
    changed, truth = place(ct, lungs, nodules, spacing, generator)
    nib.save(nib.Nifti1Image(np.rint(changed).astype(np.int16), affine), path)
    case = path.name.removesuffix(".nii.gz")
    nib.save(nib.Nifti1Image(truth, affine), path.with_name(f"{case}_lesions.nii.gz"))
    return truth
