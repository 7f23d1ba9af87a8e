"""Measures speed as ratios in one run.

`OMP_NUM_THREADS=1 python scripts/benchmark.py generator`; `python scripts/benchmark.py inference CT.nii.gz`;
`python scripts/benchmark.py training HEALTHY_DIR`
"""

import multiprocessing
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import fire
import numpy as np
import torch
from benchmark_inference import benchmark_inference
from benchmark_training import benchmark_training
from resident_memory import resident_gib
from tqdm import tqdm

from generator import synthesize

ROOT = Path(__file__).resolve().parents[1]
SHAPE = (512, 512, 32)  # one training sample, voxels (IV-B2)


def make_sample() -> tuple[torch.Tensor, torch.Tensor]:
    """Gives thorax area and lung mask of 2.2 million voxels: two elliptic cylinders filled with dim noise."""
    x, y = torch.arange(SHAPE[0])[:, None, None], torch.arange(SHAPE[1])[:, None]
    lung = torch.zeros(SHAPE, dtype=torch.bool)
    for middle in (150, 362):
        lung |= ((x - middle) / 85) ** 2 + ((y - 256) / 130) ** 2 < 1
    return 0.2 * torch.rand(SHAPE, generator=torch.Generator().manual_seed(0)) * lung, lung


def _fast(samples: int) -> tuple[list[float], float]:
    """Times the generator, seconds a sample, and finds the most memory it takes beyond its input, MiB."""
    torch.set_num_threads(1)
    image, lung = make_sample()
    small = slice(0, 200), slice(150, 300), slice(0, 8)
    rng = torch.Generator().manual_seed(0)
    synthesize(image[small], lung[small], lung_fraction=0.5, rng=rng)  # loads the libraries' kernels
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
    before = resident_gib("VmRSS")
    seconds = []
    for seed in tqdm(range(samples), desc="generator"):
        start = time.perf_counter()
        synthesize(image, lung, lung_fraction=1.0, rng=torch.Generator().manual_seed(seed))
        seconds.append(time.perf_counter() - start)
    return seconds, 1024 * (resident_gib("VmHWM") - before)


def _literal(samples: int) -> list[float]:
    """Times the literal reading, seconds a sample."""
    sys.path.insert(0, str(ROOT))
    from tests.generator import reference  # the tests are no package to install

    image, lung = (array.numpy() for array in make_sample())
    seconds = []
    for seed in tqdm(range(samples), desc="reference"):
        start = time.perf_counter()
        reference.synthesize(image, lung, 1.0, np.random.default_rng(seed))
        seconds.append(time.perf_counter() - start)
    return seconds


def benchmark_generator(samples: int = 20, reference_samples: int = 2) -> None:
    """Compares the generator with the literal numpy/scipy reading on one 512 x 512 x 32 sample at lambda = 1.

    Both run on one core, each in a process of its own, one after the other. The number of lesions differs
    from seed to seed, hence several samples and their mean.

    Args:
        samples: for the generator.
        reference_samples: for the literal reading.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        fast, memory = process.submit(_fast, samples).result()
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        literal = process.submit(_literal, reference_samples).result()
    sample = 4 * np.prod(SHAPE) / 2**20
    print(f"generator  {statistics.mean(fast):8.3f} s a sample (at most {max(fast):.3f}; {samples} samples)")
    print(f"reference  {statistics.mean(literal):8.3f} s a sample ({reference_samples} samples)")
    print(f"ratio      {statistics.mean(literal) / statistics.mean(fast):8.0f}")
    print(f"memory     {memory:8.0f} MiB beyond the sample of {sample:.0f} MiB: {memory / sample:.1f} times")


if __name__ == "__main__":
    fire.Fire(
        {"generator": benchmark_generator, "inference": benchmark_inference, "training": benchmark_training}
    )
