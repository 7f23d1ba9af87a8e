"""Public sets of the paper, as small folders of the same shape."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from normnet.errors import InputError
from normnet.studies import find_studies
from scripts.prepare_labelled import prepare_labelled


def volume(path: Path, *values: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.array(values, np.int16).reshape(-1, 1, 1), np.eye(4)), path)


def test_coronacases_are_matched_by_number_and_the_volumes_without_hu_stay_out(tmp_path: Path) -> None:
    cts, out = tmp_path / "COVID-19-CT-Seg_20cases", tmp_path / "out"
    for name in ("coronacases_org_001", "coronacases_org_002", "radiopaedia_org_7_85703_0"):
        volume(cts / f"{name}.nii.gz", -800, 40, 0)
    for number in ("001", "002"):
        volume(tmp_path / "infection" / f"coronacases_{number}.nii.gz", 0, 1, int(number))
        volume(tmp_path / "lungs" / f"coronacases_{number}.nii.gz", 1, 2, 0)
    corona = {"cts_named": "coronacases*.nii.gz", "masks_named": "coronacases*.nii.gz"}
    prepare_labelled(
        str(cts), str(out), lesions=str(tmp_path / "infection"), lungs=str(tmp_path / "lungs"), **corona
    )
    studies = find_studies(out)
    assert [study["study"] for study in studies] == ["coronacases_org_001", "coronacases_org_002"]
    assert all({"lesions", "lungs"} <= set(study) for study in studies)
    lesions = np.asarray(nib.load(studies[1]["lesions"]).dataobj).ravel()
    assert lesions.tolist() == [0, 1, 1]  # ground glass and consolidation are both lesion


def test_volume_6_of_radiopaedia_stays_out_by_a_flag(tmp_path: Path) -> None:
    for number in (1, 6, 9):
        volume(tmp_path / "rp_im" / f"{number}.nii.gz", -800)
        volume(tmp_path / "rp_msk" / f"{number}.nii.gz", 1)
    prepare_labelled(
        str(tmp_path / "rp_im"), str(tmp_path / "out"), lesions=str(tmp_path / "rp_msk"), leave_out=6
    )
    assert [study["study"] for study in find_studies(tmp_path / "out")] == ["1", "9"]


def test_structseg_has_a_folder_for_each_case(tmp_path: Path) -> None:
    for number in (1, 2):
        volume(tmp_path / "oar" / str(number) / "data.nii.gz", -800, 0, 40)
        volume(tmp_path / "oar" / str(number) / "label.nii.gz", 1, 2, 3)
    named = {"cts_named": "*/data.nii.gz", "masks_named": "*/label.nii.gz"}
    prepare_labelled(str(tmp_path / "oar"), str(tmp_path / "out"), lungs=str(tmp_path / "oar"), **named)
    (first, _) = find_studies(tmp_path / "out")
    assert first["study"] == "1_data"
    assert np.asarray(nib.load(first["lungs"]).dataobj).ravel().tolist() == [1, 1, 0]  # 3 is the heart


@pytest.mark.parametrize(("masks", "sentence"), [((1,), "found none with its numbers"), ((), "found none")])
def test_a_missing_mask_is_one_sentence_and_nothing_is_written(
    tmp_path: Path, masks: tuple[int, ...], sentence: str
) -> None:
    for number in (1, 2):
        volume(tmp_path / "cts" / f"{number}.nii.gz", -800)
    for number in masks:
        volume(tmp_path / "masks" / f"{number}.nii.gz", 1)
    with pytest.raises(InputError, match=sentence):
        prepare_labelled(str(tmp_path / "cts"), str(tmp_path / "out"), lesions=str(tmp_path / "masks"))
    assert not (tmp_path / "out").exists()
