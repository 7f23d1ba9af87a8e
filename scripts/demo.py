"""The whole pipeline on generated chests: make a cohort, train a small ensemble, segment, score.

python scripts/demo.py [OUTPUT_DIR]

Half the resolution and a fraction of the iterations of the paper, so that two CPU cores need minutes; every step is
the command that one would run on real CT.
"""

import json
import time
from pathlib import Path

import fire
from bundle_process import bundle, run_script
from half_resolution import HALF_KERNELS, HALF_RESOLUTION

from generator.cohort import write_cohort


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
    run_script(
        "train_ensemble.py",
        cohort / "healthy",
        members=members,
        ckpt_dir=weights,
        output_dir=out / "runs",
        max_iterations=iterations,
        epoch_iterations=50,
        **HALF_RESOLUTION,
    )
    places = {"dataset_dir": cohort / "diseased", "output_dir": results, "checkpoint": weights / "model.pt"}
    bundle("evaluating", ["inference.json", "evaluate.json"], {**places, "members": members, **HALF_KERNELS})
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


if __name__ == "__main__":
    fire.Fire(demo)
