"""Tries networks on the failures that the paper names, and writes bundle/docs/failures.md.

python scripts/failures.py CT OUTPUT_DIR --weights "{'before': 'before.pt', 'after': 'after.pt'}" --training "..."

CT is a healthy scan that none of the networks has seen.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import fire
import nibabel as nib
import numpy as np
from failure_cases import (
    BACK_TO_FRONT,
    BREATHED_OUT_HU,
    CYST_MM,
    HONEYCOMB_DEPTH_MM,
    NOISE_HU,
    SITUATIONS,
    THICK_SLICES,
    WALL_MM,
    Scan,
    healthy_scan,
    with_lesions,
)
from figure import draw, overlay
from kept_settings import keep_settings
from markdown_table import table
from nodules import found
from ras_nifti import read
from real_ct_page import COVID_CT_MD
from scipy import ndimage
from segment_ct import segment
from small_picture import shrink
from tqdm import tqdm

from normnet import bundle_root
from normnet.errors import report_input_errors
from normnet.intensity import HU_WINDOW
from normnet.metrics import voxel_scores
from normnet.starting_weights import count_members
from normnet.studies import beside_ct
from normnet.whole_file import written_whole

DOCS = Path(bundle_root()) / "docs"
CONNECTED = np.ones((3, 3, 3))


class Scores(NamedTuple):
    """Per cent: Dice over all lesion voxels, lesions of which a tenth is found, share of a clear lung called lesion."""

    dice: float
    found: float
    false: float


TEMPLATE = """\
# Failures

The paper names its own: thick or padded slices, lesions below tau, tiny lesions, fibrosis called a lesion. Here each is
made on purpose from one healthy scan that no network has seen, with the paper's synthetic lesions put in; noise, and
lungs breathed out, are two more. **One scan, single trainings.** Research use, not a medical device.

This page is made by

    python scripts/failures.py CT OUTPUT_DIR --weights "{{'...': 'member.pt', ...}}" --training "..."

{training}

## Dice of the synthetic lesions, per cent

{dice}

## Synthetic lesions of which a tenth is found, per cent

{found}

## Share of the healthy scan's lung called lesion, per cent

{false}

Thick: {thick} mm, averaged; padded: these repeated to 1 mm; noise: {noise} HU more. Honeycombs: cysts of {cyst} mm
under half of the pleura, {depth} mm deep, with walls of {wall} mm; old scars, so healthy here. Breathed out: the
lungs {denser} HU denser where they hold air, {back} times that at the back and {front} times at the front. Lungs: by
thresholds, of the scan as it is, the same in every column.

![one slice of each](pictures/failures.png)

*The slice with most true lesion: true positive green, false negative blue, false positive red. {credit}.*

## What this says

{notes}
"""


@fire.decorators.SetParseFns(str, str, training=str)
def failures(ct: str, output_dir: str, *, weights: Mapping[str, str], training: str) -> None:
    """Writes the page and its picture; what was segmented before by the same weights is not segmented again.

    Args:
        ct: the healthy scan.
        output_dir: for the scans made of it and their masks; one with those of another scan is refused.
        weights: files of ensembles by the name of their column; each of as many members as it holds.
        training: how they were trained, for the page.
    """
    report_input_errors()
    out = Path(output_dir).resolve()
    keep_settings(out, {"ct": Path(ct).resolve()}, "cts")
    scans = made_scans(ct, out / "cts")
    scores: dict[str, list[Scores]] = {}
    pictures: dict[str, list[np.ndarray]] = {}
    with tqdm(total=len(scans) * len(weights), desc="Failures", unit="scan") as progress:
        for situation, (clear, ill) in scans.items():
            truth = read(beside_ct(ill, "lesions"))[0] > 0
            z = int(truth.sum(axis=(0, 1)).argmax())
            shown = np.clip((read(ill)[0][..., z] - HU_WINDOW[0]) / (HU_WINDOW[1] - HU_WINDOW[0]), 0, 1)
            nothing = np.zeros_like(truth[..., z])
            scores[situation], pictures[situation] = [], [overlay(shown, nothing, nothing)]
            for name, file in weights.items():
                in_clear, in_ill = (lesions(path, out / name, Path(file).resolve()) for path in (clear, ill))
                scores[situation].append(
                    score(in_clear, in_ill, truth, read(beside_ct(clear, "lungs"))[0] > 0)
                )
                pictures[situation].append(overlay(shown, in_ill[..., z], truth[..., z]))
                progress.update()
    picture = DOCS / "pictures" / "failures.png"
    draw(pictures, ["the scan", *weights], picture)
    shrink(picture, picture)
    tables = {
        part: table(
            ["", *weights],
            [
                [situation, *(f"{getattr(each, part):.{digits}f}" for each in row)]
                for situation, row in scores.items()
            ],
        )
        for part, digits in (("dice", 1), ("found", 0), ("false", 2))
    }
    with written_whole(DOCS / "failures.md") as beside:
        text = TEMPLATE.format(
            notes=(DOCS / "failures_notes.md").read_text(encoding="utf-8").strip(),
            training=training,
            thick=THICK_SLICES,
            noise=f"{NOISE_HU:.0f}",
            cyst=f"{CYST_MM:.0f}",
            depth=f"{HONEYCOMB_DEPTH_MM:.0f}",
            wall=WALL_MM,
            denser=f"{BREATHED_OUT_HU:.0f}",
            back=BACK_TO_FRONT[0],
            front=BACK_TO_FRONT[1],
            credit=COVID_CT_MD,
            **tables,
        )
        beside.write_text(text, encoding="utf-8")


def made_scans(ct: str, folder: Path) -> dict[str, tuple[Path, Path]]:
    """Writes each situation's scan without lesions and with them, lungs and truth beside, unless they are there."""
    healthy = None
    scans = {}
    for situation, made in SITUATIONS.items():
        name = situation.replace(" ", "_").replace(",", "")
        paths = (folder / f"{name}_clear.nii.gz", folder / f"{name}.nii.gz")
        scans[situation] = paths
        if not all(beside_ct(path, "lesions").is_file() for path in paths):
            healthy = healthy or healthy_scan(ct)
            for path, scan in zip(paths, (healthy, with_lesions(healthy, made.lesions)), strict=True):
                write(made.scanned(scan) if made.scanned else scan, path)
    return scans


def write(scan: Scan, path: Path) -> None:
    """Writes a scan, `_lungs` and `_lesions` beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([*scan.spacing, 1.0])
    nib.save(nib.Nifti1Image(np.rint(scan.ct).astype(np.int16), affine), path)
    nib.save(nib.Nifti1Image(scan.lungs.astype(np.uint8), affine), beside_ct(path, "lungs"))
    nib.save(nib.Nifti1Image(scan.lesions.astype(np.uint8), affine), beside_ct(path, "lesions"))


def lesions(ct: Path, out: Path, weights: Path) -> np.ndarray:
    """Segments a scan by the bundle's inference: (X, Y, Z) bool."""
    segment(ct, out, weights, count_members(weights), lungs_backend="file")
    return read(out / ct.name.removesuffix(".nii.gz") / "lesion.nii.gz")[0] > 0


def score(in_clear: np.ndarray, in_ill: np.ndarray, truth: np.ndarray, lungs: np.ndarray) -> Scores:
    """Scores the masks of a scan without lesions and with them.

    Args:
        in_clear: (X, Y, Z) bool, what is called lesion where there is none.
        in_ill: (X, Y, Z) bool, what is called lesion where there are some.
        truth: (X, Y, Z) bool, these.
        lungs: (X, Y, Z) bool.
    """
    labels, count = ndimage.label(truth & lungs, CONNECTED)
    hits = found(in_ill, labels, range(1, count + 1))
    return Scores(
        dice=voxel_scores(in_ill, truth & lungs)["DSC"],
        found=100 * float(np.mean(hits)),
        false=100 * float(in_clear.sum() / lungs.sum()),
    )


if __name__ == "__main__":
    fire.Fire(failures)
