"""Which corrections judge new weights, and when these may serve."""

import pytest

from monailabel_app.lib.acceptance import mean_changes, not_worse, split_corrections
from normnet.errors import InputError

CORRECTIONS = [{"image": f"/studies/ct_{n}.nii.gz", "label": f"/labels/ct_{n}.nii.gz"} for n in range(10)]
BEFORE = {
    "called_voxels_before": 10,
    "lesion_dice_before": 0.5,
    "val_lesion_kept_out_before": 0.9,
    "val_healthy_lost_before": 0.3,
}
AFTER = {
    "lesion_voxels": 20,
    "called_voxels": 10,
    "lesion_dice": 0.5,
    "val_lesion_kept_out": 0.9,
    "val_healthy_lost": 0.3,
}
NO_LESION = {"lesion_voxels": 0, "lesion_dice": 0.0, "lesion_dice_before": 0.0}


def test_the_same_scans_are_held_out_in_any_order_and_folder() -> None:
    training, held_out = split_corrections(CORRECTIONS, 0.2)
    assert len(training) == 8 and len(held_out) == 2
    assert sorted(item["image"] for item in training + held_out) == [item["image"] for item in CORRECTIONS]
    assert split_corrections(CORRECTIONS[::-1], 0.2) == (training, held_out)
    elsewhere = [{**item, "image": item["image"].replace("studies", "mnt")} for item in CORRECTIONS]
    assert [item["label"] for item in split_corrections(elsewhere, 0.2)[1]] == [
        item["label"] for item in held_out
    ]


def test_at_least_one_is_held_out() -> None:
    assert [len(part) for part in split_corrections(CORRECTIONS[:2], 0.01)] == [1, 1]


def test_a_single_correction_trains_and_validates() -> None:
    assert split_corrections(CORRECTIONS[:1], 0.2) == (CORRECTIONS[:1], CORRECTIONS[:1])


def test_no_corrections_or_none_to_train_on_is_one_sentence() -> None:
    with pytest.raises(InputError, match="There are no corrections"):
        split_corrections([], 0.2)
    with pytest.raises(InputError, match="val_split: expected a share"):
        split_corrections(CORRECTIONS[:2], 0.9)


@pytest.mark.parametrize(
    ("change", "serves"),
    [
        ({}, True),
        ({"lesion_dice": 0.51}, True),
        ({"lesion_dice": 0.49}, False),
        ({"val_lesion_kept_out": 0.87}, True),
        ({"val_lesion_kept_out": 0.85}, False),
        ({"val_healthy_lost": 0.33}, True),
        ({"val_healthy_lost": 0.35}, False),
        ({"val_lesion_kept_out": 0.8, "val_healthy_lost": 0.2}, True),
        ({"val_lesion_kept_out": 0.0, "val_healthy_lost": 0.0}, False),
        ({"val_lesion_kept_out": 1.0, "val_healthy_lost": 1.0}, False),
        ({"val_lesion_kept_out": None}, False),
        ({"called_voxels": 100_000}, True),
        ({**NO_LESION, "called_voxels": 100_000}, False),
        ({**NO_LESION, "called_voxels": 11}, False),
        ({**NO_LESION, "called_voxels": 10}, True),
        ({**NO_LESION, "called_voxels": 0, "lesion_dice": None}, True),
        ({**NO_LESION, "called_voxels": 1, "called_voxels_before": 0, "lesion_dice_before": None}, False),
        ({"val_lesion_kept_out": None, "val_lesion_kept_out_before": None}, True),
    ],
    ids=str,
)
def test_weights_serve_unless_they_are_worse(change: dict[str, float | None], serves: bool) -> None:
    assert not_worse({**BEFORE, **AFTER, **change}) is serves


def test_metrics_are_averaged_over_the_members_that_measured_them() -> None:
    changes = [
        {"before": {"dice": 0.2, "kept": None}, "after": {"dice": 0.4, "kept": 1.0}},
        {"before": {"dice": 0.4, "kept": None}, "after": {"dice": 0.6, "kept": None}},
    ]
    assert mean_changes(changes) == {
        "dice": 0.5,
        "kept": 1.0,
        "dice_before": pytest.approx(0.3),
        "kept_before": None,
    }
