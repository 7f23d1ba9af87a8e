"""The whole pipeline on generated chests: make a cohort, train a small ensemble, segment, score.

python scripts/demo.py [OUTPUT_DIR]

Half the resolution and a fraction of the iterations of the paper, so that two CPU cores need minutes; every step is
the command that one would run on real CT.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import fire

from generator.cohort import write_cohort
from normnet import bundle_root

HALF_RESOLUTION = {
    "spacing": [1.6, 1.6, 2.0],
    "patch_size": [96, 96, 32],
    "learning_rate": 0.002,
    "synthesis": {
        "small_radius": [2, 5],
        "medium_radius": [5, 16],
        "large_radius": [16, 32],
        "probability_sigma": [1, 10],
        "fine_sigma": [0.5, 1.0],
        "coarse_sigma": [1.0, 2.5],
    },
}
"""Training at twice the paper's voxel size: lengths in voxels are halved. The rate suits so few iterations."""

HALF_KERNELS = {
    "spacing": [1.6, 1.6, 2.0],
    "healthy_probability": 0.95,
    "bright_threshold": 0.2,
    "bright_kernel": 5,
    "full_kernel": 3,
    "growing_steps": 50,
    "edge_depth": 0,
}
"""The paper's post-processing at twice its voxel size, but by the mean of the logits, growing as far as it goes and
with a rim at the pleura, as inference.json does. Few iterations make no network surer than 0.95."""


@fire.decorators.SetParseFns(output_dir=str)
def demo(
    output_dir: str = "demo",
    healthy: int = 4,
    diseased: int = 3,
    members: int = 3,
    iterations: int = 100,
    seed: int = 0,
) -> None:
    """Runs the demo and leaves cohort, weights, masks, pictures and scores in OUTPUT_DIR.

    Args:
        output_dir: what is there already is used again: a second run trains nothing.
        healthy: chests to train on; the last is kept for validation.
        diseased: chests to segment.
        members: networks of the ensemble.
        iterations: of each member.
        seed: of the cohort.
    """
    started = time.monotonic()
    out = Path(output_dir).resolve()
    cohort, weights, results = out / "cohort", out / "models", out / "results"
    write_cohort(cohort, healthy=healthy, diseased=diseased, seed=seed)
    run(
        Path(__file__).with_name("train_ensemble.py"),
        cohort / "healthy",
        members=members,
        ckpt_dir=weights,
        output_dir=out / "runs",
        max_iterations=iterations,
        epoch_iterations=50,
        **HALF_RESOLUTION,
    )
    configs = Path(bundle_root()) / "configs"
    run(
        "-m",
        "monai.bundle",
        "run",
        "evaluating",
        config_file=[str(configs / "inference.json"), str(configs / "evaluate.json")],
        meta_file=configs / "metadata.json",
        logging_file=configs / "logging.conf",
        dataset_dir=cohort / "diseased",
        output_dir=results,
        checkpoint=weights / "model.pt",
        members=members,
        **HALF_KERNELS,
    )
    print("\nLesion load")
    for report in sorted(results.glob("*/report.json")):
        load = json.loads(report.read_text())
        sides = ", ".join(f"{side} {load[side]['lesion_ml']:.0f} mL" for side in ("left", "right"))
        print(
            f"  {report.parent.name}: {load['lesion_ml']:.0f} mL ({sides}), "
            f"{load['lesion_percent_of_lung']:.1f} % of the lung, {load['lesions']} lesions"
        )
    print(f"\nPictures: {results}/<study>/overlay.png")
    print(f"The demo took {(time.monotonic() - started) / 60:.1f} minutes.")


def run(*words: object, **options: object) -> None:
    """Runs Python with these words and --options, and stops the demo where it fails."""
    arguments = [f"--{name}={value}" for name, value in options.items()]
    finished = subprocess.run([sys.executable, *map(str, words), *arguments], check=False)
    if finished.returncode != 0:
        raise SystemExit(finished.returncode)


if __name__ == "__main__":
    fire.Fire(demo)
