"""A training run's speed, and how long its steps wait for data."""

import tempfile
from typing import Any

import fire
import torch
from bundle_configs import CONFIGS, config_files
from ignite.handlers import BasicTimeProfiler
from monai.bundle import ConfigParser

from normnet.errors import report_input_errors

WARM_UP = 5
"""Iterations that are not counted: the first loads kernels, and the workers start."""


@fire.decorators.SetParseFns(dataset_dir=str, configs=str, cache_dir=str)
def benchmark_training(
    dataset_dir: str,
    iterations: int = 40,
    configs: str = "train,scanners",
    cache_dir: str | None = None,
    **settings: Any,
) -> None:
    """Runs train.json for some iterations, as `monai.bundle run training` does but without validation.

    Args:
        dataset_dir: healthy CTs.
        iterations: how many.
        configs: of the bundle's, laid over each other, with commas.
        cache_dir: of the preprocessed CTs; made anew by default.
        **settings: of the configs, by name.
    """
    report_input_errors()
    config = ConfigParser()
    config.read_config([CONFIGS / file for file in config_files(configs)])
    with tempfile.TemporaryDirectory() as work:
        own = {
            "dataset_dir": dataset_dir,
            "output_dir": work,
            "ckpt_dir": work,
            "cache_dir": cache_dir or f"{work}/cache",
            "max_iterations": WARM_UP + iterations + 1,
            "epoch_iterations": WARM_UP + iterations + 1,
            "val_interval": 2,
        }
        for name, value in {**own, **settings}.items():
            config[name.replace("::", "#")] = value
        config.get_parsed_content("keep_memory")
        trainer = config.get_parsed_content("train#trainer")
        profiler = BasicTimeProfiler()
        profiler.attach(trainer)
        trainer.run()
    # Ignite stores the wait of the first step, in which the workers start, as the last one's.
    counted = slice(WARM_UP, -1)
    waiting, working = profiler.dataflow_times[counted].mean(), profiler.processing_times[counted].mean()
    step = float(waiting + working)
    device = config.get_parsed_content("device")
    print(f"{1 / step:.2f} iterations a second on {device}, {torch.get_num_threads()} threads")
    print(f"{100 * float(waiting) / step:.1f} per cent of a step waits for data")
