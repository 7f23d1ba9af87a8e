"""The page and the figure that `ablations.py` writes, with the paper's own numbers beside them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import matplotlib
from markdown_table import table as markdown

from normnet.whole_file import written_whole

matplotlib.use("Agg")
from matplotlib import pyplot as plt

__all__ = ["PAPER_ITERATIONS", "TABLES", "table_iv", "write"]

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
    "growing": {"0": 65.5},
}
"""Mean DSC on Coronacases, as the paper prints it, on its own data; nothing to compare in value."""


NOTES = {"growing": "With growing the paper has 68.7; it names no number of steps, so no row is its own."}

PAPER_ITERATIONS = {
    "vote": (67.6, 70.2, 66.9, 68.7, 70.4, 67.4),
    "member 0": (62.1, 68.8, 67.4, 69.6, 68.8, 59.2),
    "member 1": (65.1, 64.5, 66.0, 68.0, 53.5, 66.7),
    "member 2": (66.3, 69.5, 69.1, 70.6, 68.8, 58.4),
    "member 3": (71.1, 69.9, 50.7, 64.6, 66.6, 70.4),
    "member 4": (64.2, 64.0, 66.1, 45.8, 69.8, 70.7),
}
"""Table IV, at 2000, 2500, ... 4500 iterations."""


def write(dice: dict[tuple[str, str], float], page: Path, about: str, command: str) -> None:
    """Writes the tables and the figure."""
    done = list(dict.fromkeys(table for table, _ in dice))
    lines = [
        "# Ablations",
        "",
        "Measured, however it turned out. Research use, not a medical device. This page is made by",
        "",
        f"    {command}",
        "",
        about,
        "",
        "![Mean DSC of each row](pictures/ablations.png)",
        "",
    ]
    figure, axes = plt.subplots(1, len(done), figsize=(4 * len(done), 3.5), squeeze=False)
    for table, axis in zip(done, axes[0], strict=True):
        rows = {name: value for (of, name), value in dice.items() if of == table}
        lines += [f"## {TABLES[table]}", ""]
        if table == "iterations":
            curves: dict[str, dict[int, float]] = {}
            for name, value in rows.items():
                count, who = name.split(", ")
                curves.setdefault(who, {})[int(count)] = value
            measured = {who: list(points.values()) for who, points in curves.items()}
            lines += [table_iv(measured, curves["vote"]), "", "The paper's own, on its own data:", ""]
            lines.append(table_iv(PAPER_ITERATIONS, range(2000, 4501, 500)))
            for who, points in curves.items():
                width = 2.5 if who == "vote" else 1
                axis.plot(list(points), list(points.values()), marker="o", label=who, lw=width)
            axis.set_xlabel("iterations")
            axis.legend(fontsize=7)
        else:
            theirs = PAPER.get(table, {})
            cells = [(name, f"{value:.1f}", theirs.get(name, "-")) for name, value in rows.items()]
            lines.append(markdown(("", "DSC", "the paper's own, on its own data"), cells))
            if table in NOTES:
                lines += ["", NOTES[table]]
            axis.bar(list(rows), list(rows.values()))
            axis.tick_params(axis="x", labelrotation=30, labelsize=7)
        lines.append("")
        axis.set_title(TABLES[table], fontsize=8)
        axis.set_ylabel("DSC, %")
    figure.tight_layout()
    picture = page.parent / "pictures" / "ablations.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(picture) as beside:
        figure.savefig(beside, dpi=100)
    plt.close(figure)
    with written_whole(page) as beside:
        beside.write_text("\n".join(lines), encoding="utf-8")


def table_iv(curves: Mapping[str, Sequence[float]], counts: Iterable[int]) -> str:
    """Lays out DSC over the iterations, a row for the vote and for each member."""
    order = sorted(curves, key=lambda who: who != "vote")
    rows = [(who, *(f"{value:.1f}" for value in curves[who])) for who in order]
    return markdown(("iterations", *counts), rows)
