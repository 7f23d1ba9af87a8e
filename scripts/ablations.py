"""The ablations of the paper, Tables IV to VI, growing and the number of members: a grid that can be stopped.

python scripts/ablations.py HEALTHY_DIR TEST_DIR OUTPUT_DIR [--tables generator,threshold] [--iterations 3500]
"""

import csv
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import fire
import matplotlib
from compare import bundle
from demo import HALF_KERNELS, HALF_RESOLUTION, run
from tqdm import tqdm

from generator import SPECS
from normnet.ensemble import MEMBERS, merge_members
from normnet.errors import InputError, report_input_errors
from normnet.intensity import HU_WINDOW
from normnet.report import written_whole

matplotlib.use("Agg")
from matplotlib import pyplot as plt

TABLES: dict[str, str] = {
    "iterations": "Table IV: members and their vote over the iterations",
    "generator": "Table V: parts of the generator switched off",
    "threshold": "Table VI: the threshold T of bright tissue, HU",
    "growing": "Growing: steps inside the support",
    "members": "How many members vote",
}
PAPER = {
    "generator": {
        "paper": 68.7,
        "fixed_shapes": 51.5,
        "fixed_probability_maps": 62.0,
        "fixed_salt_noise": 25.5,
    },
    "threshold": {"-700": 55.1, "-600": 67.0, "-500": 68.7, "-400": 64.3, "-300": 61.1},
    "growing": {"0": 65.5, "10": 68.7},
}
"""Mean DSC on Coronacases, as the paper prints it, on its own data; nothing to compare in value."""


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


@fire.decorators.SetParseFns(healthy_dir=str, test_dir=str, output_dir=str, configs=str)
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
    half_resolution: bool = False,
    **overrides: object,
) -> None:
    """Trains and scores every row, and writes ablations.md and ablations.png; what is done is not done again.

    Args:
        healthy_dir: healthy CTs.
        test_dir: CTs with their `<case>_lesions` masks.
        output_dir: weights, masks, scores, table and figure.
        tables: which of iterations, generator, threshold, growing, members; with commas.
        iterations: of each member; Table IV looks at the last four steps before it, too.
        step: of Table IV.
        members: of each ensemble.
        most_members: that the last table goes up to.
        configs: of the training, with commas: train, or train,paper for the paper's own setting.
        half_resolution: the settings of the demo: twice the paper's voxel size.
        overrides: anything in the training's configs, by name.
    """
    report_input_errors()
    names = tables.split(",") if isinstance(tables, str) else list(tables)
    if unknown := sorted(set(names) - set(TABLES)):
        raise InputError(f"--tables: expected some of {', '.join(TABLES)}, got {', '.join(unknown)}.")
    healthy, test, out = (Path(folder).resolve() for folder in (healthy_dir, test_dir, output_dir))
    training = {**(HALF_RESOLUTION if half_resolution else {}), **overrides, "configs": configs}
    kernels = HALF_KERNELS if half_resolution else {}
    rows = [row for name in names for row in grid(name, iterations, step, members, most_members)]
    dice: dict[tuple[str, str], float] = {}
    bar = tqdm(rows, desc="Ablations", unit="row")
    for row in bar:
        bar.set_postfix_str(f"{row.table} {row.name}")
        scores = out / "results" / row.table / row.name / "scores.csv"
        if not scores.is_file():
            train(row, healthy, out, training)
            segment(row, test, out, scores.parent, dict(kernels))
        dice[row.table, row.name] = mean_dice(scores)
        write(dice, out, iterations, configs)
    print((out / "ablations.md").read_text(encoding="utf-8"))


def grid(table: str, iterations: int, step: int, members: int, most: int) -> Iterator[Setting]:
    """Lists the rows of a table; rows that need the same weights name the same folder."""
    everyone, (lowest, highest) = tuple(range(members)), HU_WINDOW
    full = f"full_{iterations}"
    if table == "iterations":
        for count in range(max(step, iterations - 4 * step), iterations + 1, step):
            # A rate that does not depend on the last iteration: a longer training then goes on from a shorter one.
            constant = {"falling_rate": False, "output_dir": "constant"}
            for voters in (*((member,) for member in everyone), everyone):
                who = f"member {voters[0]}" if len(voters) == 1 else "vote"
                yield Setting(table, f"{count}, {who}", f"constant_{count}", count, voters, constant)
    elif table == "generator":
        for spec in ("paper", "wide", "fixed_shapes", "fixed_probability_maps", "fixed_salt_noise"):
            yield Setting(table, spec, f"{spec}_{iterations}", iterations, everyone, {"synthesis": spec})
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


def train(row: Setting, healthy: Path, out: Path, training: dict[str, Any]) -> None:
    """Trains the members of a row that are not there yet, and merges those that vote."""
    weights = out / "models" / row.trained
    options = {"output_dir": row.trained, **training, **row.training}
    lengths = training.get("synthesis")
    if isinstance(lengths, dict) and "synthesis" in row.training:
        options["synthesis"] = scaled(row.name, lengths)
    options["output_dir"] = out / "runs" / options["output_dir"]
    run(
        Path(__file__).with_name("train_ensemble.py"),
        healthy,
        members=max(row.members) + 1,
        ckpt_dir=weights,
        max_iterations=row.iterations,
        **options,
    )
    merge_members([weights / f"member_{member}.pt" for member in row.members], voters(row, out))


def scaled(spec: str, lengths: dict[str, Any]) -> dict[str, Any]:
    """Gives a spec by name the lengths of another voxel size, but for those that the ablation itself fixes."""
    full, own = asdict(SPECS["paper"]), asdict(SPECS[spec])
    return {
        **{name: value for name, value in lengths.items() if own[name] == full[name]},
        **{name: value for name, value in own.items() if value != full[name]},
    }


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


def write(dice: dict[tuple[str, str], float], out: Path, iterations: int, configs: str) -> None:
    """Writes the tables and the figure of what is done so far."""
    done = list(dict.fromkeys(table for table, _ in dice))
    lines = [f"Mean DSC, per cent; {iterations} iterations a member, configs {configs}.", ""]
    figure, axes = plt.subplots(1, len(done), figsize=(4 * len(done), 3.5), squeeze=False)
    for table, axis in zip(done, axes[0], strict=True):
        rows = {name: value for (of, name), value in dice.items() if of == table}
        lines += [f"## {TABLES[table]}", "", "| | DSC | the paper's own, on its own data |", "|---|---|---|"]
        theirs = PAPER.get(table, {})
        lines += [f"| {name} | {value:.1f} | {theirs.get(name, '-')} |" for name, value in rows.items()]
        lines.append("")
        if table == "iterations":
            for who in dict.fromkeys(name.split(", ")[1] for name in rows):
                points = {int(name.split(", ")[0]): rows[name] for name in rows if name.endswith(who)}
                axis.plot(
                    list(points), list(points.values()), marker="o", label=who, lw=2 if who == "vote" else 1
                )
            axis.legend(fontsize=7)
        else:
            axis.bar(list(rows), list(rows.values()))
            axis.tick_params(axis="x", labelrotation=30, labelsize=7)
        axis.set_title(TABLES[table], fontsize=8)
        axis.set_ylabel("DSC, %")
    figure.tight_layout()
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "ablations.png", dpi=120)
    plt.close(figure)
    with written_whole(out / "ablations.md") as beside:
        beside.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    fire.Fire(ablations)
