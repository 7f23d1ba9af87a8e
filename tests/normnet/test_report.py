import json

import numpy as np
import pytest

from normnet.report import lesion_report, write_report

SPACING = (1.0, 2.0, 5.0)
"""Voxels of 10 mm3, or 0.01 mL."""


@pytest.fixture
def chest() -> dict[str, np.ndarray]:
    """A left lung of 20 voxels and a right one of 40, with lesions of 2 and 3 voxels (joined by a corner)."""
    left, right, lesion = (np.zeros((10, 2, 10), dtype=bool) for _ in range(3))
    left[0:2, :, 0:5] = True
    right[5:9, :, 0:5] = True
    lesion[0, 0:2, 0] = True
    lesion[5, 0, 0:2] = True
    lesion[6, 1, 2] = True
    return {"lesion": lesion, "lungs": left | right, "left": left, "right": right}


def test_the_report_by_hand(chest):
    assert lesion_report(**chest, spacing=SPACING) == {
        "lesion_ml": 0.05,
        "lung_ml": 0.6,
        "lesion_percent_of_lung": 8.333,
        "left": {"lesion_ml": 0.02, "lung_ml": 0.2, "lesion_percent_of_lung": 10.0},
        "right": {"lesion_ml": 0.03, "lung_ml": 0.4, "lesion_percent_of_lung": 7.5},
        "lesions": 2,
        "largest_lesion_ml": 0.03,
    }


def test_no_lesion_is_zero_and_no_lung_has_no_share(chest):
    nothing = np.zeros_like(chest["lesion"])
    report = lesion_report(nothing, chest["left"], chest["left"], nothing, SPACING)
    assert report["lesion_ml"] == report["lesions"] == report["largest_lesion_ml"] == 0
    assert report["lesion_percent_of_lung"] == 0
    assert report["right"] == {"lesion_ml": 0, "lung_ml": 0, "lesion_percent_of_lung": None}


def test_masks_of_two_shapes_are_refused(chest):
    with pytest.raises(ValueError, match="one shape"):
        lesion_report(chest["lesion"][:5], chest["lungs"], chest["left"], chest["right"], SPACING)


def test_the_file_names_versions_and_weights(chest, tmp_path):
    report = lesion_report(**chest, spacing=SPACING)
    write_report(tmp_path / "report.json", report, {"normnet": "1.2"}, "abc123")
    content = json.loads((tmp_path / "report.json").read_text())
    assert content == {**report, "versions": {"normnet": "1.2"}, "weights": "abc123"}
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]
