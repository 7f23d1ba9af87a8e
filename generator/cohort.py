"""Write a folder of synthetic patients as NIfTI: healthy ones to train on, diseased ones with their truth."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from generator.chest import DEFAULT_SHAPE, DEFAULT_SPACING, make_chest
from generator.pathology import DEFAULT_PATHOLOGY, PathologySpec, add_pathology

SCANNER = 1  # NIfTI's code for scanner coordinates


def write_cohort(
    output_dir: str | os.PathLike[str],
    *,
    healthy: int = 4,
    diseased: int = 3,
    seed: int = 0,
    shape: tuple[int, int, int] = DEFAULT_SHAPE,
    spacing: tuple[float, float, float] = DEFAULT_SPACING,
    pathology: PathologySpec = DEFAULT_PATHOLOGY,
    lungs: bool = False,
) -> list[Path]:
    """Write `healthy/healthy_<n>.nii.gz` and `diseased/covid_<n>.nii.gz` with `covid_<n>_lesions.nii.gz`.

    Images are int16 in HU, masks uint8, no two of the same patient. With `lungs`, the true lung mask lies
    beside each image as `<case>_lungs.nii.gz`. The same seed writes the same voxels. A case that is there
    already, of the same seed, grid and pathology, is not made again: an interrupted cohort goes on.

    Returns:
        The written images, healthy ones first.

    Raises:
        ValueError: when a count is negative.
    """
    if healthy < 0 or diseased < 0:
        raise ValueError(f"expected counts of zero or more, got healthy={healthy}, diseased={diseased}")
    names = [f"healthy/healthy_{n}" for n in range(healthy)]
    names += [f"diseased/covid_{n}" for n in range(diseased)]
    seeds = _case_seeds(seed, healthy, diseased)
    images = []
    for name, case_seed in tqdm(list(zip(names, seeds, strict=True)), desc="synthetic patients", unit="CT"):
        image, lesion_mask, lung_mask = (
            Path(output_dir) / f"{name}{kind}.nii.gz" for kind in ("", "_lesions", "_lungs")
        )
        images.append(image)
        ill = name.startswith("diseased")
        made_of = _made_of(case_seed, shape, spacing, pathology if ill else None)
        wanted = [image, *([lesion_mask] if ill else []), *([lung_mask] if lungs else [])]
        if all(_is_made_of(path, made_of) for path in wanted):
            continue
        image.parent.mkdir(parents=True, exist_ok=True)
        chest = make_chest(case_seed, shape=shape, spacing=spacing)
        ct = chest.ct
        if ill:
            ct, lesions = add_pathology(chest, rng=np.random.default_rng([case_seed, 1]), spec=pathology)
            _write(lesion_mask, lesions.astype(np.uint8), chest.affine, made_of)
        if lungs:
            _write(lung_mask, chest.lungs.astype(np.uint8), chest.affine, made_of)
        _write(image, np.rint(ct).astype(np.int16), chest.affine, made_of)
    return images


def _made_of(*settings: object) -> str:
    """Tells what a case is made of, in the 80 characters that NIfTI has for a description."""
    return f"normnet generator {hashlib.sha256(repr(settings).encode()).hexdigest()[:32]}"


def _is_made_of(path: Path, made_of: str) -> bool:
    if not path.is_file():
        return False
    found = nib.Nifti1Image.from_filename(path).header["descrip"].item()
    return bool(found.decode(errors="replace") == made_of)


def _case_seeds(seed: int, healthy: int, diseased: int) -> list[int]:
    """One seed a case: a case keeps its patient when the cohort grows."""
    groups = [np.random.SeedSequence([seed, group]) for group in (0, 1)]
    return [
        int(child.generate_state(1)[0])
        for group, count in zip(groups, (healthy, diseased), strict=True)
        for child in group.spawn(count)
    ]


def _write(
    path: Path, voxels: npt.NDArray[np.int16] | npt.NDArray[np.uint8], affine: npt.ArrayLike, made_of: str
) -> None:
    """Write a volume beside its place, then move it there."""
    image = nib.Nifti1Image(voxels, np.asarray(affine))
    image.set_qform(affine, SCANNER)
    image.set_sform(affine, SCANNER)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = made_of
    beside = path.with_name(f".writing-{path.name}")
    try:
        nib.save(image, beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
