"""A study's anomaly as files: the map, what healthy lungs would look like, and masks on the CT's own grid."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from normnet.ct_grid import as_in_file, save_nifti
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

    files = SaveStudy.files | {"anomaly.nii.gz", "reconstruction.nii.gz"}

    def __init__(self, output_dir: str | Path, threshold: float, masked: bool = True) -> None:
        super().__init__(output_dir, checkpoint="")
        self.threshold, self.masked = threshold, masked

    def _write(self, study: Mapping[str, Any], folder: Path) -> str:
        lungs = study["lung_mask"][0].cpu().numpy() > 0
        anomaly, reconstruction = study["pred"].cpu().numpy()
        if self.masked:
            anomaly, reconstruction = anomaly * lungs, reconstruction * lungs
        (anomaly, affine), (reconstruction, _), (lungs, _) = (
            as_in_file(volume, study["ct"]) for volume in (anomaly, reconstruction, lungs)
        )
        save_nifti(anomaly, affine, folder / "anomaly.nii.gz")
        save_nifti(reconstruction, affine, folder / "reconstruction.nii.gz")
        write_masks(folder, anomaly, lungs, affine, self.threshold)
        return f"anomalies, and lesions above {self.threshold}"


def write_masks(
    folder: Path, anomaly: np.ndarray, lungs: np.ndarray, affine: np.ndarray, threshold: float
) -> None:
    """Writes lesion.nii.gz, healthy.nii.gz (the rest of the lungs) and lungs.nii.gz.

    Args:
        folder: of the study.
        anomaly: (X, Y, Z).
        lungs: (X, Y, Z) bool, on the same grid.
        affine: of the grid, (4, 4).
        threshold: above it an anomaly is a lesion.
    """
    lesion = anomaly > np.float32(threshold)
    for name, mask in (("lesion", lesion), ("healthy", lungs & ~lesion), ("lungs", lungs)):
        save_nifti(mask.astype(np.uint8), affine, folder / f"{name}.nii.gz")
