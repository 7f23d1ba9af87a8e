"""A study's results as files: masks on the CT's own grid, a report, a picture."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.data import MetaTensor
from monai.transforms import Orientation

from normnet import __version__
from normnet.checkpoints import weights_hash
from normnet.errors import InputError
from normnet.lung_sides import split_sides
from normnet.pictures import overlay_picture
from normnet.report import lesion_report, write_report

__all__ = ["SaveStudy"]


class SaveStudy:
    """Writes OUT/<study>/ for every study the evaluator has finished: the whole folder, or nothing of it.

    lesion, healthy and lungs .nii.gz (uint8) and disagreement.nii.gz (float32, bits) lie on the CT's grid voxel for
    voxel; beside them report.json and overlay.png. Lesion and healthy tissue are cut to the lungs of the CT's grid.

    Args:
        output_dir: OUT; it is made.
        checkpoint: the weights, named in the report by their hash.
        probability: also writes probability.nii.gz, the members' mean probability of healthy tissue, for evaluation.
    """

    def __init__(self, output_dir: str | Path, checkpoint: str | Path, probability: bool = False) -> None:
        self.output_dir, self.checkpoint, self.probability = Path(output_dir), Path(checkpoint), probability

    def attach(self, engine: Engine) -> None:
        """Registers with an evaluator."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.save_batch)

    def save_batch(self, engine: Engine) -> None:
        """Writes the studies of the batch that was just finished.

        Raises:
            InputError: the folder cannot be written.
        """
        state: Any = engine.state
        for study, output in zip(state.batch, state.output, strict=True):
            self.save({**study, **output})

    def save(self, study: Mapping[str, Any]) -> None:
        """Writes one study: all files beside, then one rename."""
        folder = self.output_dir / str(study["study"])
        try:
            self.output_dir.mkdir(parents=True, exist_ok=True)
            beside = Path(tempfile.mkdtemp(dir=self.output_dir, prefix=f".{folder.name}."))
        except OSError as error:
            raise InputError(f"{folder}: results cannot be written here ({error.strerror}).") from error
        try:
            self._write(study, beside)
            beside.chmod(0o755)
            if folder.exists():
                shutil.rmtree(folder)
            beside.replace(folder)
        except OSError as error:
            raise InputError(
                f"{folder}: results cannot be written here ({error.strerror or error})."
            ) from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def _write(self, study: Mapping[str, Any], folder: Path) -> None:
        ct: MetaTensor = study["ct"]
        volumes = _in_ras(study, ["ct", "healthy", "lesion", "disagreement"])
        lungs = study["lung_mask"][0].cpu().numpy() > 0
        lesion, healthy = (volumes[key] > 0 for key in ("lesion", "healthy"))
        masks = {"lungs": lungs, "lesion": lesion & lungs, "healthy": healthy & lungs}
        ras_affine = study["lung_mask"].affine
        spacing = tuple(float(step) for step in study["lung_mask"].pixdim)
        disagreement = np.where(lungs, volumes["disagreement"], 0).astype(np.float32)
        for name, mask in masks.items():
            _save_nifti(mask.astype(np.uint8), ras_affine, ct, folder / f"{name}.nii.gz")
        _save_nifti(disagreement, ras_affine, ct, folder / "disagreement.nii.gz")
        if self.probability:
            mean = _in_ras(study, ["probability"])["probability"].astype(np.float32)
            _save_nifti(mean, ras_affine, ct, folder / "probability.nii.gz")
        left, right = split_sides(lungs, spacing)
        report = lesion_report(masks["lesion"], lungs, left, right, spacing)
        versions = {"normnet": __version__, "torch": str(torch.__version__)}
        write_report(folder / "report.json", report, versions, weights_hash(self.checkpoint))
        overlay_picture(
            folder / "overlay.png",
            volumes["ct"],
            masks["lesion"],
            masks["healthy"] & ~masks["lesion"],
            lungs,
            disagreement,
            spacing,
            title=str(study["study"]),
        )


def _in_ras(study: Mapping[str, Any], keys: list[str]) -> dict[str, np.ndarray]:
    """Turns volumes on the CT's grid to RAS: (X, Y, Z) arrays."""
    affine = study["ct"].affine
    turn = Orientation(axcodes="RAS", labels=None)
    return {
        key: turn(MetaTensor(torch.as_tensor(study[key].cpu().numpy()), affine=affine))[0].numpy()
        for key in keys
    }


def _save_nifti(volume: np.ndarray, ras_affine: torch.Tensor, ct: MetaTensor, path: Path) -> None:
    """Saves a RAS volume on the CT's own grid."""
    axes = "".join(nib.orientations.aff2axcodes(ct.affine.cpu().numpy()))
    tensor = MetaTensor(torch.as_tensor(volume)[None], affine=ras_affine)
    on_ct = Orientation(axcodes=axes, labels=None)(tensor)[0].numpy()
    image = nib.Nifti1Image(on_ct.astype(volume.dtype), ct.affine.cpu().numpy())
    image.header.set_xyzt_units("mm")
    nib.save(image, os.fspath(path))
