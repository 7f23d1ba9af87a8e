"""The ablations of the paper, Tables IV to VI, growing and the number of members: a grid that can be stopped.

python scripts/ablations.py HEALTHY_DIR TEST_DIR OUTPUT_DIR [--tables generator,threshold] [--iterations 3500]
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import fire
from ablations_grid import Setting, grid
from ablations_page import TABLES, write
from bundle_configs import config_files, rule_files, setting
from bundle_process import bundle
from half_resolution import HALF_KERNELS, HALF_RESOLUTION
from kept_settings import keep_settings
from shared_lungs import with_lungs
from tqdm import tqdm

from generator import SPECS
from normnet.ensemble import MEMBERS, merge_members
from normnet.errors import InputError, report_input_errors
from normnet.intensity import TAU
from normnet.vote import MAJORITY

PAPER_TRAINING, PAPER_VOTE = {"tau": TAU, "edge_tau": "@tau"}, {"votes": MAJORITY}
"""What the tables are about is the paper's, T = -500 HU and the vote, where the bundle's own default is another."""


@dataclass(frozen=True)
class Method:
    """What all rows have in common.

    Attributes:
        files: configs of the training.
        rule: configs of the inference.
        training: settings for the first, by name.
        segmenting: settings for the second, by name.
    """

    files: list[str]
    rule: list[str]
    training: dict[str, Any]
    segmenting: dict[str, Any]

    def trained(self, name: str) -> Any:
        """Tells what the training has for a name."""
        return self.training.get(name, setting(self.files, name))

    @property
    def synthesis(self) -> str:
        """The spec by which every row but those of Table V draws lesions."""
        return str(setting(self.files, "synthesis"))


@fire.decorators.SetParseFns(
    healthy_dir=str,
    test_dir=str,
    output_dir=str,
    configs=str,
    lungs_backend=str,
    page_path=str,
    about=str,
    command=str,
)
def ablations(
    healthy_dir: str,
    test_dir: str,
    output_dir: str,
    tables: str | tuple[str, ...] = tuple(TABLES),
    iterations: int = 3500,
    step: int = 500,
    members: int = MEMBERS,
    most_members: int = 9,
    configs: str = "train",
    lungs_backend: str = "joined",
    half_resolution: bool = False,
    segmenting: dict[str, Any] | None = None,
    page_path: str | None = None,
    about: str = "",
    command: str = "python scripts/ablations.py HEALTHY_DIR TEST_DIR OUTPUT_DIR ...",
    **overrides: object,
) -> None:
    """Trains and scores every row, and writes table and figure; what is done is not done again.

    A folder with results of other settings is refused; other tables, and more members in the last one, are added.

    Args:
        healthy_dir: healthy CTs.
        test_dir: CTs with their `<case>_lesions` masks.
        output_dir: weights, masks and scores.
        tables: which of iterations, generator, threshold, growing, members; with commas.
        iterations: of each member; Table IV looks at three steps before and two after it.
        step: of Table IV.
        members: of each ensemble.
        most_members: that the last table goes up to.
        configs: of the training, with commas: train, or train,paper for the paper's own setting, which is then
            segmented by the paper's rule, too.
        lungs_backend: of the lungs that all rows see, found once for each CT; `file` takes the masks beside the CTs.
        half_resolution: the settings of the demo: twice the paper's voxel size.
        segmenting: settings for inference.json, by name.
        page_path: the page; OUTPUT_DIR/ablations.md by default. The figure goes to pictures/ beside it.
        about: what the page says of the data.
        command: that the page names.
        overrides: anything in the training's configs, by name; of `synthesis`, the lengths alone.
    """
    report_input_errors()
    names = tables.split(",") if isinstance(tables, str) else list(tables)
    if unknown := sorted(set(names) - set(TABLES)):
        raise InputError(f"--tables: expected some of {', '.join(TABLES)}, got {', '.join(unknown)}.")
    healthy, test, out = (Path(folder).resolve() for folder in (healthy_dir, test_dir, output_dir))
    page = Path(page_path).resolve() if page_path else out / "ablations.md"
    given = {"lungs_backend": "file"}
    method = Method(
        files=config_files(configs),
        rule=rule_files(configs),
        training=PAPER_TRAINING | (HALF_RESOLUTION if half_resolution else {}) | overrides | given,
        segmenting=PAPER_VOTE | (HALF_KERNELS if half_resolution else {}) | (segmenting or {}) | given,
    )
    kept = {
        "healthy_dir": healthy,
        "test_dir": test,
        "iterations": iterations,
        "step": step,
        "members": members,
    }
    kept |= {"lungs_backend": lungs_backend, **asdict(method)}
    keep_settings(out, kept, "cts", "models", "results")
    healthy, tests = with_lungs(healthy, {"test": test}, out / "cts", lungs_backend)
    rows = [
        row for name in names for row in grid(name, iterations, step, members, most_members, method.synthesis)
    ]
    dice: dict[tuple[str, str], float] = {}
    bar = tqdm(rows, desc="Ablations", unit="row")
    for row in bar:
        bar.set_postfix_str(f"{row.table} {row.name}")
        scores = out / "results" / row.table / row.name / "scores.csv"
        if not scores.is_file():
            train(row, healthy, out, method)
            segment(row, tests["test"], out, scores.parent, method)
        dice[row.table, row.name] = mean_dice(scores)
    rule = "the majority's vote" if method.rule == ["inference.json"] else f"the rule of {method.rule[-1]}"
    made = (
        f"Mean DSC, per cent; {iterations} iterations a member and {members} members but where the row says "
        f"otherwise, configs {configs} but for T at -500 HU, {rule}, lungs of the backend `{lungs_backend}`. "
        f"{learning_rate(method)}"
    )
    write(dice, page, f"{about}\n\n{made}".strip(), command)
    print(page.read_text(encoding="utf-8"))


def learning_rate(method: Method) -> str:
    """Says what the learning rate does over the iterations."""
    if not method.trained("falling_rate"):
        return "All train at a constant rate; in Table IV a longer training goes on from a shorter one."
    return (
        "Table IV trains at a constant rate, so that a longer training goes on from a shorter one; "
        "the others' rate falls."
    )


def train(row: Setting, healthy: Path, out: Path, method: Method) -> None:
    """Trains the members of a row that are not there yet, and merges those that vote."""
    weights = out / "models" / row.trained
    options = {
        "output_dir": row.trained,
        "max_iterations": row.iterations,
        **method.training,
        **row.training,
        "synthesis": scaled(
            row.training.get("synthesis", method.synthesis), method.training.get("synthesis", {})
        ),
        "dataset_dir": healthy,
        "ckpt_dir": weights,
    }
    options["output_dir"] = out / "runs" / options["output_dir"]
    options["cache_dir"] = out / "runs" / "cache"
    paths = {member: weights / f"member_{member}.pt" for member in row.members}
    for member, path in paths.items():
        if not path.is_file():
            bundle("training", method.files, {**options, "member": member})
    merge_members(list(paths.values()), voters(row, out), architecture=method.trained("architecture"))


def scaled(spec: str, lengths: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Gives a spec by name the lengths of another voxel size; what it sets otherwise than the paper shrinks too."""
    full, own = asdict(SPECS["paper"]), asdict(SPECS[spec])
    for name, pair in lengths.items():
        factor = pair[1] / full[name][1]
        own[name] = pair if own[name] == full[name] else [factor * value for value in own[name]]
    return own


def segment(row: Setting, test: Path, out: Path, results: Path, method: Method) -> None:
    """Segments and scores the test CTs."""
    settings = {
        "architecture": method.trained("architecture"),
        **method.segmenting,
        **{key: "$None" if value is None else value for key, value in row.segmenting.items()},
        "dataset_dir": test,
        "output_dir": results,
        "checkpoint": voters(row, out),
        "members": len(row.members),
    }
    bundle("evaluating", [*method.rule, "evaluate.json"], settings)


def voters(row: Setting, out: Path) -> Path:
    """Names the weights of a row's ensemble."""
    return out / "models" / row.trained / f"voters_{'_'.join(map(str, row.members))}.pt"


def mean_dice(scores: Path) -> float:
    """Reads the mean DSC of a table of scores, per cent."""
    with scores.open(newline="") as file:
        return float(next(row["DSC"] for row in csv.DictReader(file) if row["case"] == "mean"))


if __name__ == "__main__":
    fire.Fire(ablations)
