"""Trains one member of each architecture for the same processor time and writes OUTPUT_DIR/networks.md.

python scripts/compare_networks.py HEALTHY_DIR OUTPUT_DIR [--ct_dir CT_DIR] [--minutes 4]
"""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import fire
import torch
from bundle_process import bundle_command
from kept_settings import keep_settings
from markdown_table import table
from real_ct import DISEASED, HEALTHY, slice_aucs
from segment_ct import segment
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from normnet.ensemble import merge_members
from normnet.errors import report_input_errors
from normnet.inferers import ReducedPrecisionInferer
from normnet.network import ARCHITECTURES, member_network
from normnet.whole_file import written_whole

BATCH = (8, 1, 128, 128, 32)
SCORES = {
    "val_healthy_dice": "healthy Dice",
    "val_lesion_kept_out": "lesion kept out at 0.95",
    "val_healthy_lost": "healthy lost at 0.95",
}
"""What validation writes, and the heading of its column."""


@fire.decorators.SetParseFns(dataset_dir=str, output_dir=str, ct_dir=str)
def compare(
    dataset_dir: str,
    output_dir: str,
    ct_dir: str | None = None,
    minutes: float = 4.0,
    learning_rate: float = 0.003,
) -> None:
    """Gives each architecture as many iterations as fit into the time, on one core, validates it and tries it.

    Args:
        dataset_dir: healthy CTs, with a validation part.
        output_dir: weights, checkpoints, curves and masks; what is there already is read again,
            unless it is of other settings, which is refused.
        ct_dir: covid_p001, cap001 and normal001 .nii.gz and slice_labels.json, to segment and score as real_ct.py does.
        minutes: processor time for each network's forward and backward passes.
        learning_rate: of Adam; it falls to nothing over the iterations.
    """
    report_input_errors()
    kept = {"dataset_dir": Path(dataset_dir).resolve(), "minutes": minutes, "learning_rate": learning_rate}
    keep_settings(Path(output_dir).resolve(), kept, "*/plan.json")
    rows = []
    for architecture in ARCHITECTURES:
        out = Path(output_dir).resolve() / architecture
        plan = out / "plan.json"
        if not plan.is_file():
            seconds = seconds_per_iteration(architecture)
            out.mkdir(parents=True, exist_ok=True)
            plan.write_text(
                json.dumps({"seconds": seconds, "iterations": max(1, int(minutes * 60 / seconds))})
            )
        planned = json.loads(plan.read_text())
        if not (out / "member_0.pt").is_file():
            train(architecture, Path(dataset_dir).resolve(), out, planned["iterations"], learning_rate)
        parameters = sum(weight.numel() for weight in member_network(architecture).parameters())
        real = real_scores(architecture, Path(ct_dir).resolve(), out) if ct_dir else {}
        rows.append(
            {"architecture": architecture, "parameters": parameters, **planned, **last_scores(out), **real}
        )
    text = page(rows, minutes, with_real=ct_dir is not None)
    with written_whole(Path(output_dir) / "networks.md") as beside:
        beside.write_text(text, encoding="utf-8")
    print(text)


def seconds_per_iteration(architecture: str, repeats: int = 3) -> float:
    """Measures the processor time of one training step on one core, after a warm-up."""
    torch.set_num_threads(1)
    network, run = member_network(architecture), ReducedPrecisionInferer()
    image = torch.rand(BATCH)
    for repeat in range(repeats + 1):
        if repeat == 1:
            started = time.process_time()
        run(image, network).mean().backward()
    return (time.process_time() - started) / repeats


def train(architecture: str, dataset_dir: Path, out: Path, iterations: int, learning_rate: float) -> None:
    """Trains one member by the bundle's command."""
    settings = {
        "dataset_dir": dataset_dir,
        "ckpt_dir": out,
        "output_dir": out,
        "cache_dir": out.parent / "cache",
        "architecture": architecture,
        "max_iterations": iterations,
        "epoch_iterations": iterations,
        "learning_rate": learning_rate,
        "validate::draws": 12,
    }
    command = bundle_command("training", ["train.json"], settings)
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def last_scores(out: Path) -> dict[str, float]:
    """Reads the last validation from the member's curves."""
    scores: dict[str, float] = {}
    for file in sorted((out / "member_0").glob("events.out.tfevents.*")):
        events = EventAccumulator(str(file)).Reload()
        known = [name for name in SCORES if name in events.Tags()["scalars"]]
        scores |= {name: events.Scalars(name)[-1].value for name in known}
    return scores


def real_scores(architecture: str, cts: Path, out: Path) -> dict[str, float]:
    """Segments the real cases with the member alone, by the bundle's own rule, and scores them.

    Returns:
        The slice AUC of each diseased case, and the per cent of the healthy lungs called lesion.
    """
    weights = out / "model.pt"
    if not weights.is_file():
        merge_members([out / "member_0.pt"], weights, architecture=architecture)
    labels = json.loads((cts / "slice_labels.json").read_text())["cases"]
    reports = {
        case: segment(cts / f"{case}.nii.gz", out / "real", weights, members=1, architecture=architecture)
        for case in (*DISEASED, HEALTHY)
    }
    aucs = {case: slice_aucs(cts / f"{case}.nii.gz", out / "real" / case, labels[case]) for case in DISEASED}
    return {
        **{case: scores["lesion share"] for case, scores in aucs.items()},
        HEALTHY: reports[HEALTHY]["lesion_percent_of_lung"],
    }


def page(rows: list[dict[str, Any]], minutes: float, *, with_real: bool) -> str:
    """Writes the comparison as a page.

    Args:
        rows: of each architecture its name, parameters, seconds, iterations and scores.
        minutes: that each was given.
        with_real: whether the rows hold the real cases too.
    """
    real = " --ct_dir CT_DIR" if with_real else ""
    headings = ["architecture", "weights", "s / iteration", "iterations", *SCORES.values()]
    if with_real:
        headings += [*(f"slice AUC {case}" for case in DISEASED), f"{HEALTHY} called lesion"]
    cells = [
        [
            f"`{row['architecture']}`",
            f"{row['parameters'] / 1e6:.2f} M",
            f"{row['seconds']:.2f}",
            str(row["iterations"]),
            *(f"{100 * row[name]:.1f} %" if name in row else "-" for name in SCORES),
            *((*(f"{row[case]:.3f}" for case in DISEASED), f"{row[HEALTHY]:.2f} %") if with_real else ()),
        ]
        for row in rows
    ]
    lines = [
        "# Which network",
        "",
        f"One member of each architecture, trained for {minutes:g} minutes of one core's forward and backward passes "
        "(batch 8 of 128 x 128 x 32), validated on the healthy CTs left out, with the same 12 x 4 crops with synthetic "
        "lesions. Made by `python scripts/compare_networks.py HEALTHY_DIR OUTPUT_DIR"
        f"{real} --minutes {minutes:g}`.",
        "",
        table(headings, cells),
    ]
    lines += [
        "",
        "Lesion kept out: share of the synthetic lesions' bright voxels that the member does not call healthy; high is "
        "good. Healthy lost: share of the healthy target that it does not call healthy; low is good.",
        "",
    ]
    if with_real:
        lines += [
            "Real cases: the member alone, with the rule of `inference.json`. Slice AUC: of the lesion's share of the "
            "slice's lung, against an expert's slices.",
            "",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    fire.Fire(compare)
