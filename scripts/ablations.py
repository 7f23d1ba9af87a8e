"""The ablations of the paper, Tables IV to VI, growing and the number of members: a grid that can be stopped.

python scripts/ablations.py HEALTHY_DIR TEST_DIR OUTPUT_DIR [--tables generator,threshold] [--iterations 3500]
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import fire
from ablations_page import TABLES, write
from bundle_process import bundle
from compare_plan import epochs
from demo import HALF_KERNELS, HALF_RESOLUTION
from shared_lungs import with_lungs
from tqdm import tqdm

from generator import SPECS
from normnet.ensemble import MEMBERS, merge_members
from normnet.errors import InputError, report_input_errors
from normnet.intensity import HU_WINDOW, TAU
from normnet.vote import MAJORITY

BEFORE, AFTER = 3, 2
"""Steps of Table IV before and after the iterations of all other tables: 2000 and 4500 beside the paper's 3500."""

SYNTHESIS = "wide"
"""Lesions of every row but those of Table V, as in train.json."""

PAPER_TRAINING, PAPER_RULE = {"tau": TAU}, {"votes": MAJORITY}
"""What the tables are about is the paper's, T = -500 HU and the vote, where the bundle's own default is another."""


@dataclass(frozen=True)
class Setting:
    """One row of a table.

    Attributes:
        table: a key of `TABLES`.
        name: of the row.
        trained: folder of the weights, under models/.
        iterations: of each member.
        members: which ones vote.
        training: what differs in training.
        segmenting: what differs in inference.
    """

    table: str
    name: str
    trained: str
    iterations: int
    members: tuple[int, ...]
    training: dict[str, Any] = field(default_factory=dict)
    segmenting: dict[str, Any] = field(default_factory=dict)


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

    Args:
        healthy_dir: healthy CTs.
        test_dir: CTs with their `<case>_lesions` masks.
        output_dir: weights, masks and scores.
        tables: which of iterations, generator, threshold, growing, members; with commas.
        iterations: of each member; Table IV looks at three steps before and two after it.
        step: of Table IV.
        members: of each ensemble.
        most_members: that the last table goes up to.
        configs: of the training, with commas: train, or train,paper for the paper's own setting.
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
    healthy, tests = with_lungs(healthy, {"test": test}, out / "cts", lungs_backend)
    page = Path(page_path).resolve() if page_path else out / "ablations.md"
    given = {"lungs_backend": "file"}
    training = PAPER_TRAINING | (HALF_RESOLUTION if half_resolution else {}) | overrides | given
    rule = PAPER_RULE | (HALF_KERNELS if half_resolution else {}) | (segmenting or {}) | given
    files = [f"{name}.json" for name in configs.split(",")]
    rows = [row for name in names for row in grid(name, iterations, step, members, most_members)]
    dice: dict[tuple[str, str], float] = {}
    bar = tqdm(rows, desc="Ablations", unit="row")
    for row in bar:
        bar.set_postfix_str(f"{row.table} {row.name}")
        scores = out / "results" / row.table / row.name / "scores.csv"
        if not scores.is_file():
            train(row, healthy, out, files, training)
            segment(row, tests["test"], out, scores.parent, dict(rule))
        dice[row.table, row.name] = mean_dice(scores)
    made = (
        f"Mean DSC, per cent; {iterations} iterations a member and {members} members but where the row says "
        f"otherwise, configs {configs} but for T at -500 HU, the majority's vote, lungs of the backend "
        f"`{lungs_backend}`. Table IV trains at a constant rate, so that a longer training goes on from a shorter one; "
        "the others' rate falls."
    )
    write(dice, page, f"{about}\n\n{made}".strip(), command)
    print(page.read_text(encoding="utf-8"))


def grid(table: str, iterations: int, step: int, members: int, most: int) -> Iterator[Setting]:
    """Lists the rows of a table; rows that need the same weights name the same folder."""
    everyone, (lowest, highest) = tuple(range(members)), HU_WINDOW
    full = f"full_{iterations}"
    if table == "iterations":
        for count in range(max(step, iterations - BEFORE * step), iterations + AFTER * step + 1, step):
            # A rate that does not depend on the last iteration: a longer training then goes on from a shorter one.
            constant = {
                "falling_rate": False,
                "output_dir": "constant",
                "epoch_iterations": epochs(step)["epoch_iterations"],
            }
            for voters in (*((member,) for member in everyone), everyone):
                who = f"member {voters[0]}" if len(voters) == 1 else "vote"
                yield Setting(table, f"{count}, {who}", f"constant_{count}", count, voters, constant)
    elif table == "generator":
        for spec in ("paper", SYNTHESIS, "fixed_shapes", "fixed_probability_maps", "fixed_salt_noise"):
            trained = full if spec == SYNTHESIS else f"{spec}_{iterations}"
            yield Setting(table, spec, trained, iterations, everyone, {"synthesis": spec})
    elif table == "threshold":
        for hu in (-700, -600, -500, -400, -300):
            tau = {"tau": (hu - lowest) / (highest - lowest)}
            trained = full if hu == -500 else f"tau_{-hu}_{iterations}"
            yield Setting(table, str(hu), trained, iterations, everyone, tau, tau)
    elif table == "growing":
        for steps in (0, 5, 10, 20, None):
            name = "as far as it goes" if steps is None else str(steps)
            yield Setting(table, name, full, iterations, everyone, segmenting={"growing_steps": steps})
    else:
        for count in range(1, most + 1):
            yield Setting(table, str(count), full, iterations, tuple(range(count)))


def train(row: Setting, healthy: Path, out: Path, configs: list[str], training: dict[str, Any]) -> None:
    """Trains the members of a row that are not there yet, and merges those that vote."""
    weights = out / "models" / row.trained
    options = {
        "output_dir": row.trained,
        **epochs(row.iterations),
        **training,
        **row.training,
        "synthesis": scaled(row.training.get("synthesis", SYNTHESIS), training.get("synthesis", {})),
        "dataset_dir": healthy,
        "ckpt_dir": weights,
    }
    options["output_dir"] = out / "runs" / options["output_dir"]
    options["cache_dir"] = out / "runs" / "cache"
    paths = {member: weights / f"member_{member}.pt" for member in row.members}
    for member, path in paths.items():
        if not path.is_file():
            bundle("training", configs, {**options, "member": member})
    merge_members(list(paths.values()), voters(row, out))


def scaled(spec: str, lengths: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Gives a spec by name the lengths of another voxel size; what it sets otherwise than the paper shrinks too."""
    full, own = asdict(SPECS["paper"]), asdict(SPECS[spec])
    for name, pair in lengths.items():
        factor = pair[1] / full[name][1]
        own[name] = pair if own[name] == full[name] else [factor * value for value in own[name]]
    return own


def segment(row: Setting, test: Path, out: Path, results: Path, settings: dict[str, Any]) -> None:
    """Segments and scores the test CTs."""
    settings |= {key: "$None" if value is None else value for key, value in row.segmenting.items()}
    settings |= {"dataset_dir": test, "output_dir": results}
    settings |= {"checkpoint": voters(row, out), "members": len(row.members)}
    bundle("evaluating", ["inference.json", "evaluate.json"], settings)


def voters(row: Setting, out: Path) -> Path:
    """Names the weights of a row's ensemble."""
    return out / "models" / row.trained / f"voters_{'_'.join(map(str, row.members))}.pt"


def mean_dice(scores: Path) -> float:
    """Reads the mean DSC of a table of scores, per cent."""
    with scores.open(newline="") as file:
        return float(next(row["DSC"] for row in csv.DictReader(file) if row["case"] == "mean"))


if __name__ == "__main__":
    fire.Fire(ablations)
