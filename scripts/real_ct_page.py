"""The text of bundle/docs/real_ct.md: a template filled with what scripts/real_ct.py measured."""

from collections.abc import Mapping
from typing import Any

from markdown_table import table

__all__ = ["page"]

SHOWS = {
    "covid_p001": "COVID-19, multifocal ground glass",
    "cap001": "community-acquired pneumonia",
    "normal001": "healthy",
    "lidc0001": "near normal, a nodule of 30 mm",
    "dicom_chest": "clear, for radiotherapy: breathing blurs its domes",
    "normal001_nodules": "the healthy scan with real nodules put in",
}

COVID_CT_MD = (
    "CT: COVID-CT-MD, Afshar et al., Sci Data 2021, "
    "[doi 10.1038/s41597-021-00900-3](https://doi.org/10.1038/s41597-021-00900-3), CC BY 4.0; overlays added"
)
LIDC = "LIDC-IDRI, CC BY 3.0"
SOURCES = {
    "lidc0001": f"CT: {LIDC}; overlays added",
    "dicom_chest": "CT: weasis demo archive, CC BY 4.0; overlays added",
    "normal001_nodules": f"{COVID_CT_MD}; nodules: {LIDC}",
}

TEMPLATE = """\
# On real CT

Measured, however it turned out. **One scan of each kind stands behind every figure**: a check on the whole chain,
not a claim about patients. Research use, not a medical device.

This page is made by

    python scripts/real_ct.py CT_DIR OUTPUT_DIR --checkpoint model.pt --members {members} --training "..."

CT_DIR holds the scans, which are not part of this repository; HU are clipped to [-1024, 600] in steps of 4.

## Training

{training}

Weights `{weights}`, {members} members.

## Lesion load

{load}

False: on a clear scan all of the lesion volume, but for what lies in lidc0001's nodule (LIDC-IDRI 0001, two of four
readers). Whether its lungs were trained on stands under Training; [accuracy.md](accuracy.md) has normal001's figures
from networks that have not seen it.

## Slices

AUC of a score of each slice against the slices that an expert marked as infected, within one scan. Only slices with at
least 1 % of the largest slice's lung area are scored. The lesion's share of the slice's lung is what this project
finds, over both lungs and over each by itself (against the slices in which a lobe of that lung is marked); beside it
two rivals without any training: the share of the lung's voxels between -600 and -170 HU, and the lung's area alone.
The labels are weak: not every slice with a visible lesion is marked.

{slices}

## Nodules put into healthy lung

{count} real nodules, drawn by seed in turn from every class of size and density, put into the healthy scan at seeded
random places: whole inside the lung mask, at least 20 mm apart. Inside its mask the nodule's own HU, resampled to
the scan's voxels, replace the CT; no soft edge, no maximum with the CT. A nodule is found when at least 10 % of its
voxels are in the lesion mask. "By chance" counts the same places in the mask of the scan without nodules. Size and mean
HU are the nodule's in its own CT. Sharp cut edges and places away from vessels and pleura differ from nodules
that grew there.

{nodules}

Dice of the lesion mask with the nodules, over all voxels: {dice:.1f} %. Nodules: {nodules_ml:.1f} mL, of which
{in_lungs_percent:.1f} % are in the lung mask of the scan with nodules. Lesion volume outside them: {outside_ml:.1f} mL
(in the same scan without nodules: {before_ml:.1f} mL).

## Minutes and memory

Wall clock of one command per study, start and saving included, with whatever else the machine was doing; the largest
resident memory of that process.

{cost}

## Pictures

{pictures}

## What went wrong

{notes}
"""


def page(
    *,
    training: str,
    members: int,
    weights: str,
    studies: Mapping[str, Mapping[str, Any]],
    aucs: Mapping[str, Mapping[str, float]],
    nodules: Mapping[str, Any],
    notes: str,
) -> str:
    """Fills the template.

    Args:
        training: how the ensemble was trained.
        members: of the ensemble.
        weights: their hash.
        studies: by name, the report with `minutes`, `peak_gib` and `machine`; of clear scans, `false_percent`.
        aucs: by study, the count of slices and the AUC of each score, in [0, 1].
        nodules: `groups` (nodules, found, found by chance, by name) and the figures of the template.
        notes: what went wrong, by hand.
    """
    return TEMPLATE.format(
        training=training,
        members=members,
        weights=weights,
        load=table(
            (
                "scan",
                "shows",
                "lung, mL",
                "lesion, mL",
                "lesion, % of lung",
                "false, % of lung",
                "lesions",
                "largest, mL",
            ),
            [
                (
                    study,
                    SHOWS[study],
                    f"{report['lung_ml']:.0f}",
                    f"{report['lesion_ml']:.1f}",
                    f"{report['lesion_percent_of_lung']:.2f}",
                    f"{report['false_percent']:.2f}" if "false_percent" in report else "",
                    report["lesions"],
                    f"{report['largest_lesion_ml']:.1f}",
                )
                for study, report in studies.items()
            ],
        ),
        slices=table(
            (
                "scan",
                "slices scored",
                "of them marked",
                "AUC, lesion share",
                "left lung alone",
                "right lung alone",
                "AUC, HU window",
                "AUC, lung area",
            ),
            [
                (
                    study,
                    scores["slices"],
                    scores["labelled"],
                    *(
                        f"{scores[key]:.3f}"
                        for key in ("lesion share", "left lung", "right lung", "HU window", "lung area")
                    ),
                )
                for study, scores in aucs.items()
            ],
        ),
        count=nodules["groups"]["all"][0],
        nodules=table(
            ("nodules", "put in", "found", "by chance"),
            [(name, *counts) for name, counts in nodules["groups"].items()],
        ),
        cost=table(
            ("scan", "minutes", "memory, GiB", "machine"),
            [
                (study, f"{run['minutes']:.1f}", f"{run['peak_gib']:.1f}", run["machine"])
                for study, run in studies.items()
            ],
        ),
        pictures="\n\n".join(
            f"![{study}: lesions found](pictures/{study}.png)\n\n"
            f"*{study}: {SHOWS[study]} (one scan). {_source(study)}.*"
            for study in studies
        ),
        notes=notes.strip(),
        **{key: value for key, value in nodules.items() if key != "groups"},
    )


def _source(study: str) -> str:
    return SOURCES.get(study, COVID_CT_MD)
