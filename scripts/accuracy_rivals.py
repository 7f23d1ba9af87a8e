"""Rivals in bundle/docs/accuracy.md: bright lung without its vessels, and an autoencoder of healthy slices."""

from pathlib import Path

import numpy as np
import torch
from accuracy_cases import Case, lungs_on_ct
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from scipy import ndimage

from normnet import bundle_root
from normnet.ct_grid import ToCTGridd
from normnet.intensity import BRIGHT_HU, TAU

__all__ = ["OPENING_VOXELS", "Autoencoder", "opened_threshold"]

OPENING_VOXELS = 3
"""Radius of the opening by which the threshold's rival removes vessels."""


def opened_threshold(case: Case, on_ct: bool) -> np.ndarray:
    """The rival without a network: bright lung, without what is too thin for a lesion."""
    if on_ct:
        ct, lungs = np.asarray(case.study["ct"][0]), lungs_on_ct(case)
        bright = lungs & (ct >= BRIGHT_HU)
    else:
        bright = (np.asarray(case.study["image"][0]) >= TAU) & (np.asarray(case.study["lungs"][0]) > 0)
    ball = (
        np.linalg.norm(np.indices((2 * OPENING_VOXELS + 1,) * 3) - OPENING_VOXELS, axis=0) <= OPENING_VOXELS
    )
    return ndimage.binary_opening(bright, ball)


class Autoencoder:
    """MONAI's autoencoder of axial slices (IV-C): what it cannot rebuild of the lungs is the lesion.

    Args:
        models: holds `ae.pt` and `ae_threshold.json`.
    """

    def __init__(self, models: Path) -> None:
        configs = Path(bundle_root()) / "configs"
        parser = ConfigParser()
        parser.read_config([str(configs / "baseline.json"), str(configs / "baselines" / "ae.json")])
        parser["ckpt_dir"] = str(models.resolve())
        self.network = parser.get_parsed_content("weights").eval()
        self.inferer = parser.get_parsed_content("inferer")
        self.threshold: float = parser.get_parsed_content("threshold")

    def lesion(self, case: Case, on_ct: bool) -> np.ndarray:
        """Segments a case: (X, Y, Z) bool, on the CT's grid or on the model's."""
        image = case.study["image"]
        device = next(self.network.parameters()).device
        with torch.inference_mode():
            anomaly = (
                self.inferer(image[None].to(device), self.network)[0, :1].as_subclass(torch.Tensor).cpu()
            )
        lesion = MetaTensor((anomaly > self.threshold).to(torch.uint8), affine=image.affine)
        if not on_ct:
            return (np.asarray(lesion[0]) > 0) & (np.asarray(case.study["lungs"][0]) > 0)
        placed = ToCTGridd(keys="lesion")({"lesion": lesion, "ct": case.study["ct"]})
        return (np.asarray(placed["lesion"][0]) > 0) & lungs_on_ct(case)
