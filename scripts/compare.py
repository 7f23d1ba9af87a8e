"""Trains every label-free method of Table III and NormNet on one data set, scores them all alike, writes the page.

python scripts/compare.py HEALTHY_DIR TEST_DIR OUTPUT_DIR [--iterations 6000] [--methods ae,vae,...]
"""

import json
import shlex
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import fire
from compare_page import METHODS, NORMNET, Comparison, page
from demo import HALF_KERNELS, HALF_RESOLUTION, run
from tqdm import tqdm

from normnet import bundle_root
from normnet.baselines.threshold import chosen_threshold, mask_folder, threshold_for_folder
from normnet.errors import InputError, report_input_errors
from normnet.evaluation import Row, evaluate_folder
from normnet.report import written_whole
from normnet.studies import find_studies

CONFIGS = Path(bundle_root()) / "configs"
PAGE = Path(bundle_root()) / "docs" / "comparison.md"
RESTORATION_REACH = 0.15
"""Steps times rate of `normnet.baselines.restoration`, kept when there are fewer steps."""


@dataclass
class Plan:
    """What one comparison is about: folders, budget, and settings for the configs by name."""

    healthy: Path
    test: Path
    out: Path
    iterations: int
    members: int
    restoration_steps: int
    shared: dict[str, object] = field(default_factory=dict)
    training: dict[str, object] = field(default_factory=dict)
    segmenting: dict[str, object] = field(default_factory=dict)

    @property
    def weights(self) -> Path:
        """Where weights and thresholds go."""
        return self.out / "models"


@fire.decorators.SetParseFns(healthy_dir=str, test_dir=str, output_dir=str, page_path=str)
def compare(
    healthy_dir: str,
    test_dir: str,
    output_dir: str,
    iterations: int = 6000,
    members: int = 5,
    methods: str | tuple[str, ...] = tuple(METHODS),
    learning_rate: float = 3e-4,
    restoration_steps: int = 150,
    half_resolution: bool = False,
    page_path: str = str(PAGE),
    settings: dict[str, object] | None = None,
) -> None:
    """Compares the methods; what is done already is not done again, a stopped training goes on.

    Args:
        healthy_dir: healthy CTs; the last ones validate, and choose the thresholds with synthetic lesions.
        test_dir: CTs with their `<case>_lesions` masks.
        output_dir: weights, results, scores.
        iterations: of each method, and of all members of NormNet together: 6000 are the paper's for the others
            (IV-C); with five members it gave NormNet 3500 each.
        members: networks of NormNet.
        methods: which ones, with commas; `normnet` is always one.
        learning_rate: of all methods; 3e-4 is the paper's.
        restoration_steps: of VAE Restoration; fewer are longer, so that a CPU need not take hours.
        half_resolution: the settings of the demo: twice the paper's voxel size.
        page_path: the page that is written.
        settings: for all configs, by name, such as {"lungs_backend": "file"}.
    """
    report_input_errors()
    names = methods.split(",") if isinstance(methods, str) else list(methods)
    unknown = sorted(set(names) - set(METHODS))
    if unknown:
        raise InputError(f"--methods: expected some of {', '.join(METHODS)}, got {', '.join(unknown)}.")
    training = dict(HALF_RESOLUTION) if half_resolution else {}
    shared = {key: training.pop(key) for key in ("spacing", "synthesis") if key in training}
    training.pop("learning_rate", None)
    plan = Plan(
        healthy=Path(healthy_dir).resolve(),
        test=Path(test_dir).resolve(),
        out=Path(output_dir).resolve(),
        iterations=iterations,
        members=members,
        restoration_steps=restoration_steps,
        shared={**shared, "learning_rate": learning_rate, **(settings or {})},
        training=training,
        segmenting=dict(HALF_KERNELS) if half_resolution else {},
    )
    compared: dict[str, Comparison] = {}
    bar = tqdm([*names, NORMNET], desc="Comparing", unit="method")
    for name in bar:
        bar.set_postfix_str(name)
        if name == NORMNET:
            compared |= compare_normnet(plan)
        else:
            compared[name] = compare_baseline(name, plan)
    command = f"python scripts/compare.py {shlex.join(sys.argv[1:])}"
    with written_whole(page_path) as beside:
        beside.write_text(page(compared, command, plan.iterations, members, learning_rate), encoding="utf-8")
    print(Path(page_path).read_text(encoding="utf-8"))


def compare_baseline(name: str, plan: Plan) -> Comparison:
    """Trains, calibrates, segments and scores one method."""
    overlay = json.loads((CONFIGS / "baselines" / f"{name}.json").read_text())
    weights = plan.weights / f"{overlay.get('trained_as', name)}.pt"
    threshold_path, results = plan.weights / f"{name}_threshold.json", plan.out / name / "results"
    settings = {
        **plan.shared,
        "ckpt_dir": plan.weights,
        "output_dir": plan.out,
        "max_iterations": plan.iterations,
    }
    if name == "restoration":
        steps = plan.restoration_steps
        settings |= {"network_def::steps": steps, "network_def::rate": RESTORATION_REACH / steps}
    configs = ["baseline.json", f"baselines/{name}.json"]
    if not weights.is_file():
        started = time.monotonic()
        bundle("training", configs, {**settings, "dataset_dir": plan.healthy})
        note_minutes(plan, weights.stem, started)
    if not threshold_path.is_file():
        bundle("calibrating", configs, {**settings, "dataset_dir": plan.healthy})
    if not segmented(plan, results, "anomaly"):
        bundle("segmenting", configs, {**settings, "dataset_dir": plan.test})
    best, _ = threshold_for_folder(results, plan.test)
    mask_folder(results, best, plan.out / name / "best")
    return Comparison(
        label_free=scores(plan, name, results),
        best=scores(plan, f"{name}_best", plan.out / name / "best"),
        thresholds=(chosen_threshold(threshold_path), best),
        minutes=minutes(plan, weights.stem),
    )


def compare_normnet(plan: Plan) -> dict[str, Comparison]:
    """Trains NormNet's members, and scores it with and without growing; its thresholds are fixed."""
    model = plan.weights / "model.pt"
    if not model.is_file():
        options = {
            **plan.shared,
            **plan.training,
            "members": plan.members,
            "ckpt_dir": plan.weights,
            "output_dir": plan.out,
            "max_iterations": max(1, plan.iterations // plan.members),
        }
        started = time.monotonic()
        run(Path(__file__).with_name("train_ensemble.py"), plan.healthy, **options)
        note_minutes(plan, NORMNET, started)
    compared = {}
    shared = {key: value for key, value in plan.shared.items() if key not in ("learning_rate", "synthesis")}
    for name, growing in ((f"{NORMNET}_without_growing", {"growing_steps": 0}), (NORMNET, {})):
        results = plan.out / name / "results"
        if not segmented(plan, results, "lesion"):
            more = {"checkpoint": model, "members": plan.members, "output_dir": results}
            settings = {**plan.segmenting, **shared, **more, **growing, "dataset_dir": plan.test}
            bundle("run", ["inference.json"], settings)
        compared[name] = Comparison(
            label_free=scores(plan, name, results), best=None, thresholds=None, minutes=minutes(plan, NORMNET)
        )
    return compared


def segmented(plan: Plan, results: Path, kind: str) -> bool:
    """Tells whether every study has its result."""
    names = (study["study"] for study in find_studies(plan.test))
    return all((results / name / f"{kind}.nii.gz").is_file() for name in names)


def scores(plan: Plan, name: str, results: Path) -> list[Row]:
    """Scores a folder by the one evaluator."""
    return evaluate_folder(results, plan.test, plan.out / "scores" / f"{name}.csv")


def note_minutes(plan: Plan, name: str, started: float) -> None:
    """Keeps how long a training took, for the page."""
    spent = plan.out / "minutes" / f"{name}.json"
    spent.parent.mkdir(parents=True, exist_ok=True)
    spent.write_text(json.dumps((time.monotonic() - started) / 60))


def minutes(plan: Plan, name: str) -> float | None:
    """Reads how long a training took; None where it was trained elsewhere."""
    spent = plan.out / "minutes" / f"{name}.json"
    return float(json.loads(spent.read_text())) if spent.is_file() else None


def bundle(run_id: str, configs: list[str], settings: dict[str, object]) -> None:
    """Runs the bundle's own command."""
    files = json.dumps([str(CONFIGS / config) for config in configs])
    described = {"meta_file": CONFIGS / "metadata.json", "logging_file": CONFIGS / "logging.conf"}
    run("-m", "monai.bundle", "run", run_id, config_file=files, **described, **settings)


if __name__ == "__main__":
    fire.Fire(compare)
