"""The text of bundle/docs/accuracy.md: a template filled with what scripts/accuracy.py measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markdown_table import table

from normnet import bundle_root

__all__ = ["page"]

TEMPLATE = """\
# Accuracy

Members against the ensemble, one rule of post-processing against another, and simple rivals, on the same
scans. **One scan of each kind stands behind every figure but "in place".** Research use, not a medical device.

This page is made by

    python scripts/accuracy.py CT_DIR OUTPUT_DIR --checkpoint LEFT_ONE_OUT.pt --members {members} \\
        --autoencoder AE_DIR --training "..."

{training}

Weights `{weights}`, {members} members. None of the scans scored here was trained on: covid_p001 (COVID-19), cap001
(pneumonia), normal001 (healthy; all three COVID-CT-MD), normal001 with {nodules} real nodules put in (LIDC-IDRI, as in
[real_ct.md](real_ct.md)), and normal001 with the paper's synthetic lesions in every slab of 32 slices.

Columns: AUC of the lesion's share of a slice's lung against the expert's marks; per cent of the healthy scan's lung
called lesion; nodules of which a tenth is found, and Dice over all their voxels; nodules in their own lung of which
a tenth is found; Dice over the synthetic lesions.

## Rules and rivals

{rules}

The search tries one setting after another, without a label (of its own the paper says "hyperparameter search" and no
more): the best Dice on the synthetic lesions among rules that call at most {most_false} per cent of the healthy
scan's lung lesion. It found {searched}.
The bundle's default is {default}. The threshold's rival marks bright lung that an opening leaves.

## Members, and together

{members_table}

## Nodules in their own lung

{patches} real nodules of LIDC-IDRI where they grew, each with some centimetres of the lung round it, of more than a
hundred patients; a lung by thresholds, the nodule in it. At least a tenth of a nodule's voxels is called lesion by
the bundle's default:

{in_place}

What is called lesion outside them is not counted: a patch cuts vessels off, and much of what lies beside a nodule is
no healthy lung either.

## Healthy tissue lost at 0.95

Per cent of the bright voxels of the healthy scan's lungs that are not called healthy. What is lost in single voxels
does not become a lesion: the mean filter wants a neighbourhood.

{lost}

## Disagreement and error

Bright voxels of the scan with synthetic lesions, by how many members are outvoted; wrong is a lesion voted healthy, or
healthy tissue that is not.

{disagreement}

{notes}
"""


def page(
    *,
    training: str,
    weights: str,
    members: int,
    rows: Mapping[str, Mapping[str, float]],
    one_by_one: Mapping[str, Mapping[str, float]],
    default: Mapping[str, Any],
    searched: Mapping[str, Any],
    in_place: Mapping[str, Sequence[int]],
    lost: Mapping[str, float],
    disagreement: Sequence[Mapping[str, float]],
    most_false: float,
) -> str:
    """Fills the template.

    Args:
        training: how the ensemble was trained.
        weights: their hash.
        members: of the ensemble.
        rows: scores of every rule and rival, by name.
        one_by_one: scores of every member alone, by name.
        default: the bundle's rule.
        searched: the rule that the search found.
        in_place: nodules in their own lung, and those found, by class.
        lost: per cent of healthy bright tissue lost, by who votes.
        disagreement: voxels and error, by minority.
        most_false: per cent, what the search allows.
    """
    bundle = rows["the bundle's default"]
    return TEMPLATE.format(
        training=training,
        weights=weights,
        members=members,
        nodules=int(bundle["of"]),
        patches=int(bundle["patches"]),
        in_place=table(["nodules", "there", "found"], [[name, *counts] for name, counts in in_place.items()]),
        rules=_scores(rows),
        members_table=_scores({**one_by_one, "together": bundle}),
        searched=_rule(searched),
        default=_rule(default),
        most_false=most_false,
        lost=table(list(lost), [[f"{value:.1f}" for value in lost.values()]]),
        disagreement=table(
            ["outvoted", "per cent of the voxels", "of them wrong, per cent"],
            [[row["minority"], f"{row['voxels']:.1f}", f"{row['wrong']:.1f}"] for row in disagreement],
        ),
        notes=(Path(bundle_root()) / "docs" / "accuracy_notes.md").read_text(encoding="utf-8").strip(),
    )


def _scores(rows: Mapping[str, Mapping[str, float]]) -> str:
    header = [
        "",
        "AUC covid_p001",
        "AUC cap001",
        "healthy, %",
        "nodules",
        "nodule Dice",
        "in place",
        "synthetic Dice",
    ]
    return table(
        header,
        [
            [
                name,
                f"{row['AUC covid_p001']:.3f}",
                f"{row['AUC cap001']:.3f}",
                f"{row['false']:.3f}",
                f"{row['nodules']:.0f} of {row['of']:.0f}",
                f"{row['nodule Dice']:.1f}",
                f"{row['in place']:.0f} of {row['patches']:.0f}",
                f"{row['synthetic Dice']:.1f}",
            ]
            for name, row in rows.items()
        ],
    )


def _rule(rule: Mapping[str, Any]) -> str:
    return ", ".join(f"`{name}` {'none' if value is None else value}" for name, value in rule.items())
