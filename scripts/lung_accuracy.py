"""Measures the lung backends on clear lungs and under injected consolidation, and writes bundle/docs/lungs.md.

python scripts/lung_accuracy.py CT_DIR --model MODEL --training "..."

MODEL is nnU-Net's model folder, trained without normal001 (`scripts/train_lungs.py`).
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path

import fire
import matplotlib.pyplot as plt
import numpy as np
from altered_scans import ALTERED, LungScan
from dense_lesions import with_dense_lesions
from markdown_table import table
from monai.data import MetaTensor
from monai.transforms import Orientation
from real_ct import DISEASED, HEALTHY
from real_ct_page import COVID_CT_MD
from small_picture import shrink
from tqdm import tqdm

from normnet import bundle_root, classical_lungs, joined_lungs, nnunet_lungs
from normnet.errors import report_input_errors
from normnet.lung_sides import split_sides
from normnet.masks import read_mask
from normnet.metrics import voxel_scores
from normnet.pictures import LUNG_WINDOW_HU
from normnet.reading import read_ct
from normnet.report import MM3_PER_ML
from normnet.whole_file import written_whole

Segment = Callable[..., np.ndarray]
"""A backend: a CT (X, Y, Z) in HU and its spacing in mm to the mask of its lungs."""

COPIES, SEED = 5, 9000
"""Copies of the healthy CT with dense lesions, of other seeds than any training's."""

DENSE_HU = -200.0
PICTURE_SLICES = 5
COLOURS = {"classical": "#3fb6a8", "joined": "#ff5c4d"}

TEMPLATE = """\
# Lungs

What is not lung by the mask is never lesion, so consolidation against the pleura, as dense as the chest wall, is lost
to lungs by thresholds alone. The bundle's default, `joined`, takes the thresholds wherever lung holds air, and adds the
consolidation that a small nnU-Net finds (`normnet/joined_lungs.py`). The network has seen no lesion label: it is
trained on healthy CTs, their masks by thresholds, and copies of them with consolidation, pleural bands and ground glass
put in while the mask stays (`scripts/dense_lesions.py`). Research use, not a medical device.

This page is made by

    python scripts/lung_accuracy.py CT_DIR --model MODEL --training "..."

{training}

## Dice, per cent: both lungs (left, right)

{dice}

`{healthy}` is one healthy scan that the network was not trained on; its reference is the mask by thresholds of the
clear scan, so that these have 100 there by construction. The copies hold dense lesions of other seeds than the
training's; *dense* is the share of the lung above {dense:.0f} HU. `cip64` is a tiny CT, 4 mm, with published labels
(ChestImagingPlatform).

## The same scan, altered

Dice, per cent, with the lungs that thresholds find in `{healthy}` as it is, altered the same way.

{altered}

## Real disease

![lungs by thresholds and joined](pictures/lungs.png)

Lungs by thresholds (green) and joined (red) where they differ most, in the last copy of the table and in two diseased
scans. The joined lungs are larger by {added}. No reference was drawn for them. {credit}.

## Time

A whole CT, wall clock, with whatever else the machine was doing.

{seconds}
"""


@fire.decorators.SetParseFns(ct_dir=str, model=str, training=str)
def lung_accuracy(ct_dir: str, model: str, *, training: str) -> None:
    """Writes the page and its picture.

    Args:
        ct_dir: normal001, covid_p001 and cap001 .nii.gz, and cip64/.
        model: nnU-Net's model folder of a network that has not seen normal001.
        training: how it was trained, for the page.
    """
    report_input_errors()
    cts, docs = Path(ct_dir).resolve(), Path(bundle_root()) / "docs"
    backends: dict[str, Segment] = {
        "classical": classical_lungs.segment,
        "nnunet": partial(nnunet_lungs.segment, model=model),
        "joined": partial(joined_lungs.segment, model=model),
    }
    rows: list[list[str]] = []
    seconds: dict[str, float] = {}

    healthy, spacing, affine = _read(cts / f"{HEALTHY}.nii.gz")
    clear = classical_lungs.segment(healthy, spacing)
    for copy in tqdm(range(COPIES + 1), desc="Copies"):
        ct = with_dense_lesions(healthy, clear, affine, SEED + copy) if copy else healthy
        masks = {}
        for name, segment in backends.items():
            begin = time.perf_counter()
            masks[name] = segment(ct, spacing)
            seconds[name] = time.perf_counter() - begin
        dense = 100 * np.count_nonzero(clear & (ct > DENSE_HU)) / np.count_nonzero(clear)
        name = f"{HEALTHY}, copy {copy}" if copy else HEALTHY
        rows.append([name, f"{dense:.0f} %", *(_dice(mask, clear, spacing) for mask in masks.values())])
    shown = [(rows[-1][0], ct, masks)]

    small = Orientation(axcodes="RAS", labels=None)(read_ct(cts / "cip64" / "ct-64.nrrd"))
    truth = read_mask(cts / "cip64" / "lm-64.nrrd", like=small)[0].numpy() > 0
    volume, size = small[0].numpy(), tuple(small.pixdim.tolist())
    rows.append(["cip64", "", *(_dice(segment(volume, size), truth, size) for segment in backends.values())])

    added = []
    for case in DISEASED:
        ct, spacing, _ = _read(cts / f"{case}.nii.gz")
        masks = {name: backends[name](ct, spacing) for name in COLOURS}
        more = np.count_nonzero(masks["joined"] & ~masks["classical"]) * np.prod(spacing) / MM3_PER_ML
        added.append(f"{more:.0f} mL in {case}")
        shown.append((case, ct, masks))
    draw(docs / "pictures" / "lungs.png", shown)
    with written_whole(docs / "lungs.md") as beside:
        beside.write_text(
            TEMPLATE.format(
                training=training,
                dice=table(["", "dense", *backends], rows),
                healthy=HEALTHY,
                dense=DENSE_HU,
                altered=table(["", *backends], altered_rows(LungScan(healthy, clear, spacing), backends)),
                added=" and ".join(added),
                credit=COVID_CT_MD,
                seconds=table(list(seconds), [[f"{took:.0f} s" for took in seconds.values()]]),
            ),
            encoding="utf-8",
        )


def altered_rows(scan: LungScan, backends: Mapping[str, Segment]) -> list[list[str]]:
    """Finds the lungs of the scan as others would give it, by each backend: rows of the page's table."""
    rows = []
    for name, alter in tqdm(ALTERED.items(), desc="Altered"):
        ct, lungs, spacing = alter(scan)
        dice = (voxel_scores(segment(ct, spacing), lungs)["DSC"] for segment in backends.values())
        rows.append([name, *(f"{percent:.1f}" for percent in dice)])
    return rows


def draw(path: Path, shown: list[tuple[str, np.ndarray, dict[str, np.ndarray]]]) -> None:
    """Draws for each CT the slices in which the two masks differ most, outlines on top."""
    figure, rows = plt.subplots(len(shown), PICTURE_SLICES, figsize=(15, 3 * len(shown)), facecolor="black")
    for (name, ct, masks), axes in zip(shown, rows, strict=True):
        differ = np.count_nonzero(masks["joined"] & ~masks["classical"], axis=(0, 1))
        for z, panel in zip(_apart(differ), axes, strict=True):
            low, high = LUNG_WINDOW_HU
            panel.imshow(ct[::-1, ::-1, z].T, cmap="gray", vmin=low, vmax=high)
            for backend, colour in reversed(COLOURS.items()):
                panel.contour(masks[backend][::-1, ::-1, z].T, levels=[0.5], colors=[colour], linewidths=1.0)
            panel.set_title(f"{name}, z = {z}", color="white", fontsize=8)
            panel.axis("off")
    figure.tight_layout()
    with written_whole(path.with_suffix(".full.png")) as beside:
        figure.savefig(beside, dpi=100)
    shrink(path.with_suffix(".full.png"), path)
    path.with_suffix(".full.png").unlink()


def _apart(differ: np.ndarray) -> list[int]:
    """The slice of most difference in each of some parts of equal height."""
    found = np.flatnonzero(differ) if differ.any() else np.arange(differ.size)
    low, high = found[0], max(found[-1] + 1, found[0] + PICTURE_SLICES)
    edges = np.linspace(low, min(high, differ.size), PICTURE_SLICES + 1).astype(int)
    return [int(start + differ[start:stop].argmax()) for start, stop in pairwise(edges)]


def _dice(mask: np.ndarray, truth: np.ndarray, spacing: tuple[float, ...]) -> str:
    both = voxel_scores(mask, truth)["DSC"]
    left, right = (
        voxel_scores(side, true_side)["DSC"]
        for side, true_side in zip(split_sides(mask, spacing), split_sides(truth, spacing), strict=True)
    )
    return f"{both:.1f} ({left:.1f}, {right:.1f})"


def _read(path: Path) -> tuple[np.ndarray, tuple[float, ...], np.ndarray]:
    ct: MetaTensor = Orientation(axcodes="RAS", labels=None)(read_ct(path))
    return ct[0].numpy(), tuple(ct.pixdim.tolist()), ct.affine.numpy()


if __name__ == "__main__":
    fire.Fire(lung_accuracy)
