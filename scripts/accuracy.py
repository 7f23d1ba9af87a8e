"""Measures the ensemble against its members, its rules and simple rivals, and writes bundle/docs/accuracy.md.

python scripts/accuracy.py CT_DIR OUTPUT_DIR --checkpoint LEFT_ONE_OUT.pt --training "..."

The weights are those of an ensemble that has not seen normal001.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fire
import numpy as np
from accuracy_cases import SYNTHETIC, Case, Rules, lungs_on_ct, prepared_cases
from accuracy_nodules import NoduleInPlace, nodules_in_place
from accuracy_page import page
from accuracy_rivals import OPENING_VOXELS, Autoencoder, opened_threshold
from nodules import by_class, found
from real_ct import DISEASED, HEALTHY, NODULES
from slice_labels import scored_slices, share_auc

from normnet import bundle_root
from normnet.checkpoints import load_weights, weights_hash
from normnet.ensemble import Ensemble
from normnet.errors import report_input_errors
from normnet.intensity import TAU
from normnet.metrics import voxel_scores
from normnet.vote import HEALTHY_PROBABILITY, MAJORITY, MEAN, count_votes, mean_opinion
from normnet.whole_file import written_whole

Segment = Callable[[Case, bool], np.ndarray]
"""Gives a case's lesions, (X, Y, Z) bool; the second says whether on the CT's grid or on the model's."""

MOST_FALSE_PERCENT = 0.1
"""Of a healthy lung called lesion, that the search of the rules allows."""

SEARCHED: dict[str, list[Any]] = {
    "healthy_probability": [0.5, 0.8, 0.9, 0.95, 0.98, 0.99],
    "votes": [1, 2, 3, 4, 5, MEAN],
    "bright_kernel": [5, 7, 9, 11],
    "bright_threshold": [0.05, 0.1, 0.15, 0.2, 0.3],
    "full_kernel": [3, 5, 7, 9],
    "full_threshold": [0.1, 0.15, 0.2, 0.3],
    "border_kernel": [0, 3, 5],
    "growing_steps": [0, 3, 5, 10, 20, None],
    "edge_depth": [0, 2, 3, 4],
}
"""One setting after another is tried at these values, the others as they stand."""

PAPER_RULE: dict[str, Any] = json.loads((Path(bundle_root()) / "configs" / "paper_rule.json").read_text())
del PAPER_RULE["full_lung_hu"]  # of preprocessing, and these lungs are full
del PAPER_RULE["reduced_precision"]  # of the networks


@fire.decorators.SetParseFns(
    ct_dir=str, output_dir=str, checkpoint=str, training=str, lungs_backend=str, autoencoder=str
)
def accuracy(
    ct_dir: str,
    output_dir: str,
    checkpoint: str,
    members: int = 5,
    lungs_backend: str | None = None,
    autoencoder: str | None = None,
    *,
    training: str,
) -> None:
    """Writes the page; what OUTPUT_DIR holds of an earlier run with the same weights is used again.

    Args:
        ct_dir: covid_p001, cap001 and normal001 .nii.gz, slice_labels.json and lidc_nodules/.
        output_dir: for probabilities and the CT with nodules; it is made.
        checkpoint: weights of an ensemble that has not seen normal001.
        members: of the ensemble.
        lungs_backend: where the lungs come from; the bundle's own by default.
        autoencoder: folder of an autoencoder's weights and threshold, as `training` and `calibrating` of
            `baseline.json` with `baselines/ae.json` leave them; a row of the table.
        training: how the ensemble was trained, for the page.
    """
    report_input_errors()
    cts, out, weights = Path(ct_dir).resolve(), Path(output_dir).resolve(), Path(checkpoint).resolve()
    out.mkdir(parents=True, exist_ok=True)
    rules = Rules(**({"lungs_backend": lungs_backend} if lungs_backend else {}))
    cases, table = prepared_cases(cts, out, weights, members, rules)
    patches = nodules_in_place(cts / "lidc_nodules", load_weights(Ensemble(members), weights).eval())
    infected = {
        name: case["infected_z"]
        for name, case in json.loads((cts / "slice_labels.json").read_text())["cases"].items()
    }

    def score(segment: Segment) -> dict[str, float]:
        seen = found_in_place(patches, segment)
        return {**scores(cases, table, infected, segment), "in place": sum(seen), "patches": len(seen)}

    default = {name: rules.parser()[name] for name in PAPER_RULE}
    searched = search(cases, rules)
    rows = {
        "the paper's rule": score(lambda case, on_ct: rules.lesion(case, on_ct=on_ct, **PAPER_RULE)),
        "searched on synthetic lesions": score(
            lambda case, on_ct: rules.lesion(case, on_ct=on_ct, **searched)
        ),
        "the bundle's default": score(lambda case, on_ct: rules.lesion(case, on_ct=on_ct)),
        "the same by majority": score(lambda case, on_ct: rules.lesion(case, on_ct=on_ct, votes=MAJORITY)),
        f"bright lung, opened by {OPENING_VOXELS} voxels": score(opened_threshold),
    }
    if autoencoder:
        rows["autoencoder"] = score(Autoencoder(Path(autoencoder)).lesion)
    one_by_one = {
        f"member {member}": score(
            lambda case, on_ct, member=member: rules.lesion(case.of_member(member), on_ct=on_ct)
        )
        for member in range(members)
    }
    with written_whole(Path(bundle_root()) / "docs" / "accuracy.md") as beside:
        beside.write_text(
            page(
                training=training,
                weights=weights_hash(weights),
                members=members,
                rows=rows,
                one_by_one=one_by_one,
                default=default,
                searched=searched,
                in_place=classes_in_place(patches, rules),
                lost=healthy_lost(cases[HEALTHY]),
                disagreement=error_by_disagreement(cases[SYNTHETIC]),
                most_false=MOST_FALSE_PERCENT,
            ),
            encoding="utf-8",
        )


def scores(
    cases: dict[str, Case],
    table: list[dict[str, Any]],
    infected: dict[str, list[int]],
    segment: Segment,
) -> dict[str, float]:
    """Scores a way to segment lesions on every case."""
    result: dict[str, float] = {}
    for name in DISEASED:
        lesion, lungs = segment(cases[name], True), lungs_on_ct(cases[name])
        result[f"AUC {name}"] = share_auc(lesion, lungs, scored_slices(lungs), infected[name])
        result[f"load {name}"] = 100 * lesion.sum() / lungs.sum()
    healthy = segment(cases[HEALTHY], True)
    result["false"] = 100 * healthy.sum() / lungs_on_ct(cases[HEALTHY]).sum()
    nodules, truth = segment(cases[NODULES], True), cases[NODULES].truth
    assert truth is not None
    result["nodules"] = sum(found(nodules, truth, [row["label"] for row in table]))
    result["of"] = len(table)
    result["nodule Dice"] = voxel_scores(nodules, truth > 0)["DSC"]
    synthetic = cases[SYNTHETIC].truth
    assert synthetic is not None
    result["synthetic Dice"] = voxel_scores(segment(cases[SYNTHETIC], False), synthetic)["DSC"]
    return result


def found_in_place(patches: list[NoduleInPlace], segment: Segment) -> list[bool]:
    """Tells of each nodule in its own lung whether it is found."""
    seen = []
    for patch in patches:
        assert patch.case.truth is not None
        seen += found(segment(patch.case, False), patch.case.truth.astype(np.uint8), [1])
    return seen


def classes_in_place(patches: list[NoduleInPlace], rules: Rules) -> dict[str, list[int]]:
    """Counts the nodules in their own lung, and those that the bundle's default finds, by size and density."""
    seen = found_in_place(patches, lambda case, on_ct: rules.lesion(case, on_ct=on_ct))
    groups = by_class([patch.mm3 for patch in patches], [patch.mean_hu for patch in patches])
    return {name: [sum(inside), int(np.logical_and(inside, seen).sum())] for name, inside in groups.items()}


def search(cases: dict[str, Case], rules: Rules) -> dict[str, Any]:
    """Finds the rule with the best Dice on synthetic lesions whose false share of the healthy lung is bearable."""
    best, truth = dict(PAPER_RULE), cases[SYNTHETIC].truth
    assert truth is not None
    members = len(cases[HEALTHY].study["pred"])
    lung = int((np.asarray(cases[HEALTHY].study["lungs"][0]) > 0).sum())

    def dice(rule: dict[str, Any]) -> float:
        false = rules.lesion(cases[HEALTHY], on_ct=False, **rule).sum()
        if 100 * false / lung > MOST_FALSE_PERCENT:
            return 0.0
        return voxel_scores(rules.lesion(cases[SYNTHETIC], on_ct=False, **rule), truth)["DSC"]

    highest = dice(best)
    for name, values in SEARCHED.items():
        for value in values:
            if name == "votes" and value not in (MEAN, *range(1, members + 1)):
                continue
            trial = {**best, name: value}
            reached = dice(trial)
            print(f"{name} {value}: Dice {reached:.2f}", flush=True)
            if reached > highest:
                best, highest = trial, reached
    return best


def healthy_lost(case: Case) -> dict[str, float]:
    """Per cent of the bright voxels of a healthy lung not called healthy: by each member, the vote and the mean."""
    image, lungs = np.asarray(case.study["image"][0]), np.asarray(case.study["lungs"][0]) > 0
    bright = (image >= TAU) & lungs
    probability = np.asarray(case.study["pred"])
    lost = {
        f"member {member}": 100 * float((channel[bright] <= HEALTHY_PROBABILITY).mean())
        for member, channel in enumerate(probability)
    }
    votes = count_votes(case.study["pred"]).numpy()[bright]
    lost["the vote"] = 100 * float((votes <= len(probability) // 2).mean())
    lost["the mean"] = 100 * float(
        (mean_opinion(case.study["pred"]).numpy()[bright] <= HEALTHY_PROBABILITY).mean()
    )
    return lost


def error_by_disagreement(case: Case) -> list[dict[str, float]]:
    """How often the vote is wrong about a bright voxel, by the number of members in the minority."""
    assert case.truth is not None
    image, lungs = np.asarray(case.study["image"][0]), np.asarray(case.study["lungs"][0]) > 0
    bright = (image >= TAU) & lungs
    votes = count_votes(case.study["pred"]).numpy()[bright].astype(int)
    members = len(case.study["pred"])
    wrong = (votes > members // 2) == case.truth[bright]
    minority = np.minimum(votes, members - votes)
    return [
        {
            "minority": count,
            "voxels": 100 * float((minority == count).mean()),
            "wrong": 100 * float(wrong[minority == count].mean())
            if (minority == count).any()
            else float("nan"),
        }
        for count in range(members // 2 + 1)
    ]


if __name__ == "__main__":
    fire.Fire(accuracy)
