"""Trains one member of each architecture for the same processor time and writes OUTPUT_DIR/networks.md.

python scripts/compare_networks.py HEALTHY_DIR OUTPUT_DIR [--minutes 4]
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import fire
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from normnet import bundle_root
from normnet.inferers import ReducedPrecisionInferer
from normnet.network import ARCHITECTURES, member_network

CONFIGS = Path(bundle_root()) / "configs"
BATCH = (8, 1, 128, 128, 32)
SCORES = ("val_healthy_dice", "val_lesion_kept_out", "val_healthy_lost")


def compare(dataset_dir: str, output_dir: str, minutes: float = 4.0, learning_rate: float = 0.002) -> None:
    """Gives each architecture as many iterations as fit into the time, on one core, and validates it.

    Args:
        dataset_dir: healthy CTs, with a validation part.
        output_dir: weights, checkpoints and curves; what is trained there already is read again.
        minutes: processor time for each network's forward and backward passes.
        learning_rate: of Adam.
    """
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
        rows.append({"architecture": architecture, "parameters": parameters, **planned, **last_scores(out)})
    command = f"python scripts/compare_networks.py HEALTHY_DIR OUTPUT_DIR --minutes {minutes:g}"
    (out / "networks.md").write_text(page(rows, minutes, command))
    print((out / "networks.md").read_text())


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
        "config_file": CONFIGS / "train.json",
        "meta_file": CONFIGS / "metadata.json",
        "logging_file": CONFIGS / "logging.conf",
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
    words = [f"--{key}={value}" for key, value in settings.items()]
    command = [sys.executable, "-m", "monai.bundle", "run", "training", *words]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def last_scores(out: Path) -> dict[str, float]:
    """Reads the last validation from the member's curves."""
    scores: dict[str, float] = {}
    for file in sorted((out / "member_0").glob("events.out.tfevents.*")):
        events = EventAccumulator(str(file)).Reload()
        known = [name for name in SCORES if name in events.Tags()["scalars"]]
        scores |= {name: events.Scalars(name)[-1].value for name in known}
    return scores


def page(rows: list[dict[str, object]], minutes: float, command: str) -> str:
    """Writes the comparison as a page."""
    lines = [
        "# Which network",
        "",
        f"One member of each MONAI architecture, trained for {minutes:g} minutes of one core's forward and backward "
        "passes (batch 8 of 128 x 128 x 32, bfloat16 where the processor has it), validated on the healthy CTs left "
        f"out, with the same 12 x 4 crops with synthetic lesions. Made by `{command}`.",
        "",
        "| architecture | parameters | s / iteration | iterations | healthy Dice | lesion kept out at 0.95 "
        "| healthy lost at 0.95 |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        scores = " | ".join(f"{100 * float(str(row.get(name, 'nan'))):.1f} %" for name in SCORES)
        lines.append(
            f"| {row['architecture']} | {float(str(row['parameters'])) / 1e6:.2f} M | "
            f"{float(str(row['seconds'])):.2f} | {row['iterations']} | {scores} |"
        )
    lines += [
        "",
        "Lesion kept out: share of the synthetic lesions' bright voxels that the member does not call healthy; high is "
        "good. Healthy lost: share of the healthy target that it does not call healthy; low is good.",
        "",
        "`unet` is the bundle's: it learns most in the time that a CPU gives it. So short a time favours a cheap "
        "network; at the paper's 3500 iterations the other two, which work at full resolution, may do as well or "
        "better: that was not measured.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    fire.Fire(compare)
