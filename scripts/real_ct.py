"""Runs the ensemble on real CT, measures what it finds, and writes bundle/docs/real_ct.md.

python scripts/real_ct.py CT_DIR OUTPUT_DIR [--checkpoint bundle/models/model.pt] [--members 5] --training "..."
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fire
import numpy as np
from kept_settings import keep_settings
from monai.bundle import ConfigParser
from nodule_ct import draw_nodules, write_with_nodules
from nodules import by_class, found
from ras_nifti import read
from real_ct_page import page
from segment_ct import results_name, segment
from slice_labels import scores
from small_picture import shrink

from normnet import bundle_root
from normnet.checkpoints import weights_hash
from normnet.errors import report_input_errors
from normnet.metrics import voxel_scores
from normnet.report import MM3_PER_ML
from normnet.whole_file import written_whole

BUNDLE = Path(bundle_root())
DISEASED, HEALTHY, NODULES = ("covid_p001", "cap001"), "normal001", "normal001_nodules"
CLEAR = {HEALTHY: f"{HEALTHY}.nii.gz", "lidc0001": "lidc0001.nii.gz", "dicom_chest": "dicom_chest/series"}
"""Scans without COVID-19 or pneumonia, by name: what is found in their lungs is false, but for lidc0001's nodule."""
NODULE_COUNT, SEED = 20, 0


@fire.decorators.SetParseFns(ct_dir=str, output_dir=str, checkpoint=str, training=str)
def real_ct(
    ct_dir: str, output_dir: str, checkpoint: str | None = None, members: int = 5, *, training: str
) -> None:
    """Writes the page on real CT; studies segmented before by the same weights are not segmented again.

    Args:
        ct_dir: covid_p001, cap001, normal001, lidc0001 and lidc0001_nodule_mask .nii.gz, dicom_chest/series,
            slice_labels.json and lidc_nodules/.
        output_dir: where the masks and the CT with nodules go.
        checkpoint: weights of the ensemble; the bundle's by default.
        members: of the ensemble.
        training: how it was trained, for the page.
    """
    report_input_errors()
    cts, out = Path(ct_dir).resolve(), Path(output_dir).resolve()
    weights = Path(checkpoint or BUNDLE / "models" / "model.pt").resolve()
    labels = json.loads((cts / "slice_labels.json").read_text())["cases"]

    scans = {study: cts / f"{study}.nii.gz" for study in DISEASED}
    scans |= {study: cts / file for study, file in CLEAR.items()}
    studies = {study: segment(ct, out, weights, members) for study, ct in scans.items()}
    table = put_nodules(cts, out)
    scans[NODULES] = out / "nodules" / f"{NODULES}.nii.gz"
    studies[NODULES] = segment(scans[NODULES], out, weights, members)

    for study in CLEAR:
        nodule = cts / f"{study}_nodule_mask.nii.gz"
        studies[study]["false_percent"] = false_percent(nodule, out / results_name(scans[study]))
    aucs = {study: slice_aucs(scans[study], out / study, labels[study]) for study in DISEASED}
    for study, ct in scans.items():
        shrink(out / results_name(ct) / "overlay.png", BUNDLE / "docs" / "pictures" / f"{study}.png")
    with written_whole(BUNDLE / "docs" / "real_ct.md") as beside:
        beside.write_text(
            page(
                training=training,
                members=members,
                weights=weights_hash(weights),
                studies=studies,
                aucs=aucs,
                nodules=nodule_scores(out, table),
                notes=(BUNDLE / "docs" / "real_ct_notes.md").read_text(encoding="utf-8"),
            ),
            encoding="utf-8",
        )


def put_nodules(cts: Path, out: Path) -> list[dict[str, Any]]:
    """Writes the healthy CT with nodules, its truth and their table, unless they are there; returns the table.

    Raises:
        InputError: those that are there are of another folder of CTs.
    """
    folder = out / "nodules"
    keep_settings(folder, {"ct_dir": cts}, "nodules.json")
    listing = folder / "nodules.json"
    if not listing.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(SEED)
        ct, affine, spacing = read(cts / f"{HEALTHY}.nii.gz")
        lungs = lungs_of(cts / f"{HEALTHY}.nii.gz")
        rows, nodules = draw_nodules(cts / "lidc_nodules", NODULE_COUNT, spacing, generator)
        path = folder / f"{NODULES}.nii.gz"
        truth = write_with_nodules(path, ct, lungs, affine, nodules, generator)
        table = [
            {
                "label": label,
                "mm3": float(row["volume_mm3"]),
                "mean_hu": float(row["mean_HU_in_mask"]),
                "file": row["file"],
            }
            for label, row in enumerate(rows, start=1)
            if (truth == label).any()
        ]
        with written_whole(listing) as beside:
            beside.write_text(json.dumps(table, indent=1), encoding="utf-8")
    return json.loads(listing.read_text())


def lungs_of(ct: Path) -> np.ndarray:
    """Finds the lungs as inference does, before there is any lesion: (X, Y, Z) bool, RAS."""
    config = ConfigParser()
    config.read_config(BUNDLE / "configs" / "inference.json")
    return np.asarray(config.get_parsed_content("preprocessing")({"image": str(ct)})["lung_mask"][0]) > 0


def false_percent(nodule: Path, results: Path) -> float:
    """Measures the per cent of a clear scan's lungs called lesion; a nodule's mask, where there is one, is left out."""
    lesion, lungs = (read(results / f"{name}.nii.gz")[0] > 0 for name in ("lesion", "lungs"))
    if nodule.is_file():
        healthy = read(nodule)[0] == 0
        lesion, lungs = lesion & healthy, lungs & healthy
    return 100 * np.count_nonzero(lesion) / np.count_nonzero(lungs)


def slice_aucs(ct: Path, results: Path, labels: Mapping[str, Any]) -> dict[str, float]:
    """Scores a study's results against the slices that an expert marked: see `slice_labels.scores`."""
    (image, _, spacing), (lungs, _, _), (lesion, _, _) = map(
        read, (ct, results / "lungs.nii.gz", results / "lesion.nii.gz")
    )
    return scores(image, lungs > 0, lesion > 0, spacing, labels)


def nodule_scores(out: Path, table: list[dict[str, Any]]) -> dict[str, Any]:
    """Scores the mask of the CT with nodules; `by chance` is the mask of the same CT without them."""
    truth, _, spacing = read(out / "nodules" / f"{NODULES}_lesions.nii.gz")
    truth = truth.astype(np.uint8)
    lesion, before, lungs = (
        read(out / name)[0] > 0
        for name in (f"{NODULES}/lesion.nii.gz", f"{HEALTHY}/lesion.nii.gz", f"{NODULES}/lungs.nii.gz")
    )
    labels = [row["label"] for row in table]
    hits, chance = found(lesion, truth, labels), found(before, truth, labels)
    groups = by_class([row["mm3"] for row in table], [row["mean_hu"] for row in table])
    voxel_ml = float(np.prod(spacing)) / MM3_PER_ML
    nodule = truth > 0
    return {
        "groups": {
            name: [sum(inside), *(int(np.sum(np.logical_and(inside, seen))) for seen in (hits, chance))]
            for name, inside in groups.items()
        },
        "dice": voxel_scores(lesion, nodule)["DSC"],
        "outside_ml": np.count_nonzero(lesion & ~nodule) * voxel_ml,
        "before_ml": np.count_nonzero(before) * voxel_ml,
        "nodules_ml": np.count_nonzero(nodule) * voxel_ml,
        "in_lungs_percent": 100 * np.count_nonzero(nodule & lungs) / max(np.count_nonzero(nodule), 1),
    }


if __name__ == "__main__":
    fire.Fire(real_ct)
