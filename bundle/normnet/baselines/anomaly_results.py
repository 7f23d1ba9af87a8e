"""A study's anomaly as files: the map, what healthy lungs would look like, and masks on the CT's own grid."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from monai.data import MetaTensor

from normnet.ct_grid import save_nifti, to_grid_of
from normnet.results import SaveStudy

__all__ = ["SaveAnomaly", "write_masks"]


class SaveAnomaly(SaveStudy):
    """Writes OUT/<study>/ for every study that was scored: the whole folder, or nothing of it.

    anomaly.nii.gz (float32, in [0, 1]), reconstruction.nii.gz (float32, in [0, 1] of the window), lesion, healthy and
    lungs .nii.gz (uint8) lie on the CT's own grid, in the layout of `normnet.results.SaveStudy`.

    Args:
        output_dir: OUT; it is made.
        threshold: above it an anomaly is a lesion.
        masked: anomalies are cut to the lungs; not so for a method that sees the raw CT.
    """

    def __init__(self, output_dir: str | Path, threshold: float, masked: bool = True) -> None:
        super().__init__(output_dir, checkpoint="")
        self.threshold, self.masked = threshold, masked

    def _write(self, study: Mapping[str, Any], folder: Path) -> None:
        ct: MetaTensor = study["ct"]
        mask: MetaTensor = study["lung_mask"].cpu()
        lungs = MetaTensor(to_grid_of(mask[0].numpy() > 0, mask.affine, ct)[None], affine=ct.affine)
        scored = torch.as_tensor(study["pred"]).as_subclass(torch.Tensor).cpu()
        anomaly, reconstruction = (MetaTensor(channel[None], affine=ct.affine) for channel in scored)
        if self.masked:
            anomaly, reconstruction = (
                cast(MetaTensor, volume * lungs) for volume in (anomaly, reconstruction)
            )
        _save(anomaly, np.float32, folder / "anomaly.nii.gz")
        _save(reconstruction, np.float32, folder / "reconstruction.nii.gz")
        write_masks(folder, anomaly, lungs, self.threshold)


def write_masks(folder: Path, anomaly: MetaTensor, lungs: MetaTensor, threshold: float) -> None:
    """Writes lesion.nii.gz, healthy.nii.gz (the rest of the lungs) and lungs.nii.gz.

    Args:
        folder: of the study.
        anomaly: (1, X, Y, Z).
        lungs: (1, X, Y, Z), on the same grid.
        threshold: above it an anomaly is a lesion.
    """
    lesion = anomaly > np.float32(threshold)
    _save(cast(MetaTensor, lesion), np.uint8, folder / "lesion.nii.gz")
    _save(cast(MetaTensor, (lungs > 0) & ~lesion), np.uint8, folder / "healthy.nii.gz")
    _save(cast(MetaTensor, lungs > 0), np.uint8, folder / "lungs.nii.gz")


def _save(volume: MetaTensor, dtype: type, path: Path) -> None:
    save_nifti(volume[0].numpy().astype(dtype), volume.affine, path)
