"""An app of MONAI Label's alone: the faults that ours works around are to be seen in it."""

import tempfile
from typing import Any

import numpy as np
import SimpleITK as sitk
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType


class Corner(InferTask):  # type: ignore[misc] # MONAI Label ships no types.
    """Finds a lesion in one corner of the image."""

    def __init__(self) -> None:
        super().__init__(InferType.SEGMENTATION, {"lesion": 1}, 3, "a corner")

    def is_valid(self) -> bool:
        return True

    def __call__(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        image = sitk.ReadImage(request["image"])
        mask = np.zeros(image.GetSize()[::-1], np.uint8)
        mask[2:4, :3, :3] = 1
        label = sitk.GetImageFromArray(mask)
        label.CopyInformation(image)
        file = tempfile.mkstemp(suffix=".nii.gz")[1]
        sitk.WriteImage(label, file)
        return file, {}


class UpstreamApp(MONAILabelApp):  # type: ignore[misc]
    """MONAI Label as it comes."""

    def init_infers(self) -> dict[str, InferTask]:
        return {"corner": Corner()}
