"""The models that clients see: `normnet` (lesions) and `lungs`."""

import logging
import os
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from monai.data import MetaTensor
from monailabel.interfaces.tasks.infer_v2 import InferType
from monailabel.tasks.infer.basic_infer import BasicInferTask

from normnet.checkpoints import weights_hash
from normnet.ct_grid import as_in_file
from normnet.errors import InputError
from normnet.lung_sides import sides_in_ct
from normnet.report import MM3_PER_ML
from normnet.results import study_result

from .devices import chosen_device
from .pipeline import CURRENT, Pipeline, one_study
from .versions import Versions

__all__ = ["BundleInfer", "LungsInfer", "NormNetInfer", "write_mask"]

RESULT_FORMATS = (".nrrd", ".nii.gz", ".nii", ".seg.nrrd", ".mha")
"""What a client may ask for as `result_extension`; it becomes the end of a file's name."""

DEFAULT_FORMAT = ".nrrd"

ONE_AT_A_TIME = threading.Lock()
"""One whole CT takes gigabytes and all cores: requests wait for each other."""


class BundleInfer(BasicInferTask):  # type: ignore[misc] # MONAI Label ships no types.
    """What both models share: each request runs the bundle's pipeline with the client's options, one at a time.

    MONAI Label's own BundleInferTask changes one parser for all requests, which disturb each other, and drops the
    handlers that cut the lesions to the lungs.

    Args:
        pipeline: the bundle's inference.
        **task: arguments of MONAI Label's BasicInferTask.
    """

    def __init__(self, pipeline: Pipeline, **task: Any) -> None:
        self.pipeline = pipeline
        super().__init__(network=None, type=InferType.SEGMENTATION, dimension=3, **task)

    def is_valid(self) -> bool:
        """Tells whether the model can serve; the app does not start where it cannot."""
        return True

    def __call__(
        self, request: Mapping[str, Any], callbacks: Mapping[Any, Any] | None = None
    ) -> tuple[str | None, dict[str, Any]]:
        """Segments one image; see MONAI Label's BasicInferTask.

        Raises:
            InputError: the image is no chest CT, or an option has a value it cannot have.
        """
        result_format = request.get("result_extension") or DEFAULT_FORMAT
        if result_format not in RESULT_FORMATS:
            expected = ", ".join(RESULT_FORMATS)
            raise InputError(f"result_extension: expected one of {expected}, got {result_format!r}.")
        checked = {
            "result_extension": result_format,
            "device": chosen_device(request.get("device")),
            "logging": _log_level(request.get("logging")),
        }
        with ONE_AT_A_TIME:
            return super().__call__({**request, **checked}, callbacks)

    def pre_transforms(self, data: dict[str, Any]) -> Sequence[Callable[..., Any]]:
        """Takes the preprocessing from the bundle; later steps come from the same parse of its configs."""
        data["run"] = self.pipeline.run(data, data["device"])
        return data["run"].preprocessing.transforms

    def run_pre_transforms(
        self, data: dict[str, Any], transforms: Sequence[Callable[..., Any]]
    ) -> dict[str, Any]:
        """Shows the transforms the study alone, not the request.

        MONAI 1.6.1: Spacingd updates the value of every key that starts with `image_` or `lungs_`, and MONAI Label
        puts the path, a string, under `image_path`. And no client may name a lung mask by its path.
        """
        return {**data, **super().run_pre_transforms(one_study(data["image"]), transforms)}


class NormNetInfer(BundleInfer):
    """The lesions; the lesion load comes back in the reply's params.

    Args:
        pipeline: the bundle's inference.
        versions: of the weights.
    """

    def __init__(self, pipeline: Pipeline, versions: Versions) -> None:
        self.versions = versions
        super().__init__(
            pipeline,
            path=str(versions.path()),
            labels={"lesion": 1},
            description="COVID-19-like lesions: bright lung that the networks do not call healthy",
            config=pipeline.options(),
        )

    def config(self) -> dict[str, Any]:
        """Lists the options of a request, the versions of the weights among them."""
        return {**super().config(), "version": [CURRENT, *self.versions.names()]}

    def get_path(self, validate: bool = True) -> str:
        """Names the weights that serve now."""
        return str(self.versions.path())

    def pre_transforms(self, data: dict[str, Any]) -> Sequence[Callable[..., Any]]:
        """Fixes the weights too: those that serve when the request starts, or the version it names."""
        version = data.get("version", CURRENT)
        version = (version or [CURRENT])[0] if isinstance(version, list) else version
        data["weights"] = self.versions.path(None if version in ("", CURRENT) else str(version))
        return super().pre_transforms(data)

    def inferer(self, data: dict[str, Any]) -> Any:
        """Takes the inferer from the bundle."""
        return data["run"].inferer

    def post_transforms(self, data: dict[str, Any]) -> Sequence[Callable[..., Any]]:
        """Takes the post-processing from the bundle."""
        return data["run"].postprocessing.transforms

    def writer(
        self, data: dict[str, Any], extension: str | None = None, dtype: Any = None
    ) -> tuple[str | None, dict[str, Any]]:
        """Writes the lesions on the image's own grid; the params are their report."""
        result = study_result(data)
        return write_mask(
            result.masks["lesion"], data, {**result.report, "weights": weights_hash(data["weights"])}
        )

    def _get_network(self, device: str, data: Mapping[str, Any]) -> torch.nn.Module:
        return self.pipeline.network(data["weights"], device)


class LungsInfer(BundleInfer):
    """The lungs, left and right; their volumes come back in the reply's params.

    Args:
        pipeline: the bundle's inference.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(
            pipeline,
            path=None,
            labels={"left lung": 1, "right lung": 2},
            description="The lungs that lesions are looked for in",
            config={"lungs_backend": pipeline.options()["lungs_backend"]},
        )

    def run_inferer(
        self, data: dict[str, Any], convert_to_batch: bool = True, device: str = "cpu"
    ) -> dict[str, Any]:
        """There is no network here: the preprocessing has found the lungs."""
        return data

    def post_transforms(self, data: dict[str, Any]) -> Sequence[Callable[..., Any]]:
        """Nothing is left to do."""
        return []

    def writer(
        self, data: dict[str, Any], extension: str | None = None, dtype: Any = None
    ) -> tuple[str | None, dict[str, Any]]:
        """Writes left and right lung on the image's own grid."""
        lungs: MetaTensor = data["lung_mask"]
        spacing = tuple(float(step) for step in lungs.pixdim)
        left, right = sides_in_ct(data["ct"][0].cpu().numpy(), lungs[0].cpu().numpy() > 0, spacing)
        sides = np.where(left, 1, np.where(right, 2, 0)).astype(np.uint8)
        voxel_ml = float(np.prod(spacing)) / MM3_PER_ML
        volumes = {
            f"{name}_lung_ml": round(np.count_nonzero(side) * voxel_ml, 1)
            for name, side in (("left", left), ("right", right))
        }
        return write_mask(sides, data, volumes)


def _log_level(choice: Any) -> str:
    """Names a level of Python's logging; MONAI Label passes on whatever a client sends."""
    levels = list(logging.getLevelNamesMapping())
    level = str(choice or "INFO").upper()
    if level not in levels:
        raise InputError(f"logging: expected one of {', '.join(levels)}, got {choice!r}.")
    return level


def write_mask(
    mask: np.ndarray, data: Mapping[str, Any], params: dict[str, Any]
) -> tuple[str | None, dict[str, Any]]:
    """Writes a mask on the grid of the image to a temporary file, which MONAI Label sends and removes.

    SimpleITK writes what MONAI Label's own writer writes by ITK, whose first call takes many seconds.

    Args:
        mask: (X, Y, Z) bool or uint8, on the grid of `data["ct"]`, in RAS.
        data: the request; its `result_extension` is one of `RESULT_FORMATS`, `result_compress` is the client's.
        params: the reply's numbers.
    """
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0])
    voxels, affine = as_in_file(mask.astype(np.uint8, copy=False), data["ct"])
    affine = to_lps @ affine
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image = sitk.GetImageFromArray(voxels.T)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    handle, path = tempfile.mkstemp(suffix=data["result_extension"])
    os.close(handle)
    try:
        sitk.WriteImage(image, path, bool(data.get("result_compress")) or path.endswith(".gz"))
    except RuntimeError as error:
        Path(path).unlink()
        raise InputError(f"{path}: the mask cannot be written here ({error}).") from error
    return path, params
