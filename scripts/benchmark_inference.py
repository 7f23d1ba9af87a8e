"""Inference on one CT: where time and memory go, against nnU-Net's predictor and against the processor's own floor."""

import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fire
import numpy as np
import torch
from monai.bundle import ConfigParser
from resident_memory import resident_gib
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from normnet import bundle_root
from normnet.inferers import has_reduced_precision
from normnet.memory import keep_freed_memory

MATRIX = 3072  # edge of the matrices whose product gives the machine's rate
PATCH = (128, 128, 128)  # of nnU-Net's usual 3D full-resolution plan
FEATURES = (32, 64, 128, 256, 320, 320)
FOLDS = 5


@dataclass(frozen=True)
class Run:
    """One study through the bundle.

    Attributes:
        seconds: of each step.
        peak_gib: most resident memory of the process.
        lung_voxels: on the model's grid.
        field: shape of the whole CT on the model's grid, voxels.
        operations: two for each multiply-add that all members need once for each lung voxel.
    """

    seconds: dict[str, float]
    peak_gib: float
    lung_voxels: int
    field: tuple[int, int, int]
    operations: float


def _operations_a_voxel(network: torch.nn.Module, edge: int = 64) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.cpu()(torch.zeros(1, 1, edge, edge, edge))
    return counter.get_total_flops() / edge**3


def _ours(ct: str, threads: int, settings: dict[str, Any]) -> Run:
    """Runs the steps of inference.json one by one."""
    torch.set_num_threads(threads)
    config = ConfigParser()
    config.read_config(Path(bundle_root()) / "configs" / "inference.json")
    seconds: dict[str, float] = {}

    def timed(name: str, step: Any, *arguments: Any) -> Any:
        start = time.perf_counter()
        result = step(*arguments)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - start
        return result

    with tempfile.TemporaryDirectory() as folder:
        config.update({"dataset_dir": ct, "output_dir": folder, **settings})
        config.get_parsed_content("keep_memory")
        network = timed("weights", config.get_parsed_content, "weights").eval()
        study = config.get_parsed_content("studies")[0]
        field: tuple[int, int, int] = (0, 0, 0)
        for step in config.get_parsed_content("preprocessing").transforms:
            study = timed(type(step).__name__, step, study)
            if type(step).__name__ == "LoadCTd":
                ct, spacing = study["image"], config["spacing"]
                x, y, z = (
                    round(ct.shape[axis + 1] * float(ct.pixdim[axis]) / spacing[axis]) for axis in range(3)
                )
                field = (x, y, z)
        device, inferer = config.get_parsed_content("device"), config.get_parsed_content("inferer")
        study["pred"] = timed("networks", inferer, study["image"][None].to(device), network)[0]
        lung_voxels = int((study["lungs"] > 0).sum())
        for step in config.get_parsed_content("postprocessing").transforms:
            study = timed(type(step).__name__, step, study)
        timed("files and picture", config.get_parsed_content("handlers")[0].save, study)
    peak = resident_gib("VmHWM")
    return Run(seconds, peak, lung_voxels, field, _operations_a_voxel(network) * lung_voxels)


def _nnunet(field: tuple[int, int, int], windows: int, threads: int, reduced: bool) -> tuple[float, int]:
    """Times windows of nnU-Net's own predictor: seconds a window and fold, and the number of windows of a fold."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    torch.set_num_threads(threads)
    keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    stages = len(FEATURES)
    settings = {
        "n_stages": stages,
        "features_per_stage": list(FEATURES),
        "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": [[3, 3, 3]] * stages,
        "strides": [[1, 1, 1]] + [[2, 2, 2]] * (stages - 1),
        "n_conv_per_stage": [2] * stages,
        "n_conv_per_stage_decoder": [2] * (stages - 1),
        "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    name = "dynamic_network_architectures.architectures.unet.PlainConvUNet"
    classes = ["conv_op", "norm_op", "dropout_op", "nonlin"]
    plans = PlansManager(
        {
            "label_manager": "LabelManager",
            "configurations": {
                "3d_fullres": {
                    "patch_size": list(PATCH),
                    "architecture": {
                        "network_class_name": name,
                        "arch_kwargs": settings,
                        "_kw_requires_import": classes,
                    },
                }
            },
        }
    )
    network = get_network_from_plans(name, settings, classes, 1, 2, deep_supervision=False).to(device).eval()
    predictor = nnUNetPredictor(use_mirroring=False, device=device, allow_tqdm=False)
    labels = {"labels": {"background": 0, "lesion": 1}, "channel_names": {"0": "CT"}}
    configuration = plans.get_configuration("3d_fullres")
    predictor.manual_initialization(network, plans, configuration, None, labels, "nnUNetTrainer", None)
    count = len(predictor._internal_get_sliding_window_slicers(field))
    image = torch.rand(1, 1, *PATCH, device=device)
    seconds = []
    with torch.inference_mode(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=reduced):
        for _ in tqdm(range(windows + 1), desc="nnU-Net's windows"):  # the first loads the libraries' kernels
            start = time.perf_counter()
            predictor._internal_maybe_mirror_and_predict(image).cpu()
            seconds.append(time.perf_counter() - start)
    return float(np.mean(seconds[1:])), count


def _product_rate(threads: int, reduced: bool) -> float:
    """Measures the rate of a matrix product, operations a second."""
    torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    matrix = torch.rand(MATRIX, MATRIX, device=device).to(torch.bfloat16 if reduced else torch.float32)
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        (matrix @ matrix)[0, 0].item()  # waits for the result
        seconds.append(time.perf_counter() - start)
    return 2 * MATRIX**3 / min(seconds)


@fire.decorators.SetParseFns(ct=str)
def benchmark_inference(ct: str, *, windows: int = 2, threads: int | None = None, **settings: Any) -> None:
    """Compares inference on one CT with nnU-Net's predictor and with the floor, all in one run.

    Each runs in a process of its own, one after the other, in the same precision. nnU-Net: PlainConvUNet of 32 to 320
    features, patches of 128^3 half overlapping over the whole field on the same grid, five folds, no mirroring,
    untrained weights; a few windows are timed and the rest are counted; its reading, resampling and writing are left
    out. The floor: the operations that the members need once for each lung voxel, over the rate of a 3072 x 3072
    matrix product.

    Args:
        ct: a CT that `inference.json` takes.
        windows: of nnU-Net to time.
        threads: of PyTorch; None is as many as there are cores.
        **settings: keys of `inference.json` to set.
    """
    threads = threads or multiprocessing.cpu_count()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    reduced = has_reduced_precision(device)
    spawn = multiprocessing.get_context("spawn")

    def alone(function: Any, *arguments: Any) -> Any:
        with ProcessPoolExecutor(1, mp_context=spawn) as process:
            return process.submit(function, *arguments).result()

    rate = alone(_product_rate, threads, reduced)
    run: Run = alone(_ours, ct, threads, settings)
    window_seconds, count = alone(_nnunet, run.field, windows, threads, reduced)
    ours, floor = sum(run.seconds.values()), run.operations / rate
    theirs = window_seconds * count * FOLDS
    print(
        f"{device.type}, {threads} threads, {'bfloat16' if reduced else 'float32'}, {rate / 1e9:.0f} GFLOP/s"
    )
    for name, seconds in run.seconds.items():
        print(f"  {name:20}{seconds:9.2f} s {seconds / ours:6.0%}")
    print(f"ours          {ours / 60:9.2f} min, peak memory {run.peak_gib:.2f} GiB")
    print(
        f"nnU-Net       {theirs / 60:9.2f} min: {FOLDS} folds of {count} windows, {window_seconds:.2f} s each"
    )
    print(
        f"floor         {floor / 60:9.4f} min: {run.operations / 1e9:.0f} GFLOP, {run.lung_voxels} lung voxels"
    )
    print(f"nnU-Net / ours            {theirs / ours:9.0f}")
    print(f"nnU-Net / our networks    {theirs / run.seconds['networks']:9.0f}")
    print(f"our networks / floor      {run.seconds['networks'] / floor:9.1f}")
    print(f"ours / floor              {ours / floor:9.1f}")
