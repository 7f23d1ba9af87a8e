"""One comparison: its folders and budget, and what of it is done already."""

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path

from normnet.errors import InputError
from normnet.evaluation import Row, evaluate_folder
from normnet.studies import find_studies

__all__ = ["LONGEST_EPOCH", "Plan", "minutes", "named_sets", "note_minutes", "scores", "segmented"]

OWN_FOLDERS = ("cts", "healthy_lungs", "minutes", "models", "nnunet", "runs")
"""What a comparison writes beside the folders of its sets, in OUTPUT_DIR and OUTPUT_DIR/cts."""

LONGEST_EPOCH = 100
"""Iterations; a training that is stopped goes on from its last epoch."""


@dataclass
class Plan:
    """What one comparison is about: folders, budget, configs of NormNet, and settings for all configs by name."""

    healthy: Path
    tests: dict[str, Path]
    out: Path
    iterations: int
    members: int
    member_iterations: int
    files: list[str]
    rule: list[str]
    learning_rate: float
    restoration_renewal: int
    shared: dict[str, object] = field(default_factory=dict)
    synthesis: dict[str, object] = field(default_factory=dict)
    training: dict[str, object] = field(default_factory=dict)
    segmenting: dict[str, object] = field(default_factory=dict)

    @property
    def weights(self) -> Path:
        """Where weights and thresholds go."""
        return self.out / "models"


def named_sets(test_dirs: str) -> dict[str, Path]:
    """Lists the test sets by the names of their folders, which their results get.

    Args:
        test_dirs: folders, with commas.

    Raises:
        InputError: two have one name, or one has a name that a comparison's own folders have.
    """
    sets: dict[str, Path] = {}
    for folder in (Path(name).resolve() for name in test_dirs.split(",")):
        if folder.name in sets:
            raise InputError(
                f"{folder}: expected test sets of different folder names, got {sets[folder.name]} too; rename one."
            )
        if folder.name in OWN_FOLDERS:
            raise InputError(
                f"{folder}: expected another folder name, since OUTPUT_DIR/{folder.name} is the comparison's own; "
                "rename it."
            )
        sets[folder.name] = folder
    return sets


def segmented(test: Path, results: Path, kind: str) -> bool:
    """Tells whether every study has its result."""
    return all((results / study["study"] / f"{kind}.nii.gz").is_file() for study in find_studies(test))


def scores(plan: Plan, of: str, results: Path) -> list[Row]:
    """Scores a folder by the one evaluator, unless that has been done, and reads its table: the figures of any run."""
    table = results.with_name(f"{results.name}.csv")
    if not table.is_file():
        evaluate_folder(results, plan.tests[of], table)
    with table.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["case"] not in ("mean", "sd")]
    return [
        {key: value if key == "case" else float(value or "nan") for key, value in row.items()} for row in rows
    ]


def note_minutes(plan: Plan, name: str, spent: float) -> None:
    """Adds to the processor time that a method's training took."""
    path = plan.out / "minutes" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(spent + (minutes(plan, name) or 0.0)))


def minutes(plan: Plan, name: str) -> float | None:
    """Reads the processor time of a training; None where there was none, or elsewhere."""
    path = plan.out / "minutes" / f"{name}.json"
    return float(json.loads(path.read_text())) if path.is_file() else None
