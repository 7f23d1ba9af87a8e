"""The lungs of a comparison: beside links of the CTs, found once, and nothing is written where the CTs lie."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from generator.cohort import write_cohort
from normnet.studies import find_studies, load_datalist
from scripts.shared_lungs import healthy_with_lungs, labelled_with_lungs

COARSE = {"shape": (64, 56, 32), "spacing": (5.4, 5.4, 7.5)}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    write_cohort(folder, healthy=2, diseased=2, **COARSE)
    return folder


def test_labelled_cts_get_their_lungs_once_and_their_folder_stays_as_it_was(
    cohort: Path, tmp_path: Path
) -> None:
    folder = cohort / "diseased"
    own = nib.load(folder / "covid_0_lesions.nii.gz")
    nib.save(own, folder / "covid_0_lungs.nii.gz")  # lungs of the user's own, which were not asked for
    before = sorted(folder.iterdir())
    out = labelled_with_lungs(folder, tmp_path / "set", "classical")
    studies = find_studies(out)
    assert [study["study"] for study in studies] == ["covid_0", "covid_1"]
    for study in studies:
        ct, lungs = nib.load(study["image"]), nib.load(study["lungs"])
        assert Path(study["lesions"]).resolve().parent == folder
        inside = np.asarray(lungs.dataobj) > 0
        assert 0.05 < inside.mean() < 0.5
        assert np.allclose(nib.as_closest_canonical(ct).affine, lungs.affine)
    assert not np.array_equal(
        np.asarray(nib.load(studies[0]["lungs"]).dataobj) > 0, np.asarray(own.dataobj) > 0
    )
    assert sorted(folder.iterdir()) == before

    written = [Path(study["lungs"]).stat().st_mtime_ns for study in studies]
    labelled_with_lungs(folder, tmp_path / "set", "classical")
    assert [Path(study["lungs"]).stat().st_mtime_ns for study in studies] == written


def test_healthy_cts_are_listed_with_their_lungs_and_what_is_left_out_of_them(
    cohort: Path, tmp_path: Path
) -> None:
    first, second = (str(cohort / "healthy" / f"healthy_{number}.nii.gz") for number in range(2))
    listed = {
        "training": [{"image": first, "exclude": first, "exclude_slices": [3]}],
        "validation": [{"image": second}],
    }
    (tmp_path / "dataset.json").write_text(json.dumps(listed))
    out = healthy_with_lungs(tmp_path, tmp_path / "with_lungs", "classical")
    (trained,), (validated,) = (load_datalist(out, section) for section in ("training", "validation"))
    lungs = trained.pop("lungs")
    assert trained == listed["training"][0]
    assert validated["image"] == second
    assert lungs != validated["lungs"]
    assert np.asarray(nib.load(lungs).dataobj).any()
