"""Public sets of the paper, as small folders of the same shape."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom.dataset import Dataset

from normnet.errors import InputError
from normnet.masks import read_mask
from normnet.reading import read_ct
from normnet.studies import find_studies
from scripts.prepare_labelled import prepare_labelled
from tests.normnet.ct_files import phantom, write_nifti, write_slices


def volume(path: Path, *values: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.array(values, np.int16).reshape(-1, 1, 1), np.eye(4)), path)


def voxels(path: str) -> list[int]:
    return np.asarray(nib.load(path).dataobj).ravel().tolist()


def test_coronacases_are_matched_by_number_and_the_volumes_without_hu_stay_out(tmp_path: Path) -> None:
    cts, out = tmp_path / "COVID-19-CT-Seg_20cases", tmp_path / "out"
    for name in (
        "coronacases_org_001",
        "coronacases_org_002",
        "radiopaedia_org_covid-19-pneumonia-7_85703_0-dcm",
    ):
        volume(cts / f"{name}.nii.gz", -800, 40, 0)
    for number in ("001", "002"):
        volume(tmp_path / "Infection_Mask" / f"coronacases_{number}.nii.gz", 0, 1, 1)
        volume(tmp_path / "Lung_Mask" / f"coronacases_{number}.nii.gz", 1, 2, 0)
    for kind in ("Infection_Mask", "Lung_Mask"):
        volume(tmp_path / kind / "radiopaedia_7_85703_0.nii.gz", 0, 1, 0)
    corona = {"cts_named": "coronacases*.nii.gz", "masks_named": "coronacases*.nii.gz"}
    masks = {"lesions": str(tmp_path / "Infection_Mask"), "lungs": str(tmp_path / "Lung_Mask")}
    prepare_labelled(str(cts), str(out), **masks, **corona)
    studies = find_studies(out)
    assert [study["study"] for study in studies] == ["coronacases_org_001", "coronacases_org_002"]
    assert all({"lesions", "lungs"} <= set(study) for study in studies)
    assert voxels(studies[1]["lesions"]) == [0, 1, 1]
    assert voxels(studies[1]["lungs"]) == [1, 1, 0]  # left and right


def test_volume_6_of_radiopaedia_stays_out_by_a_flag(tmp_path: Path) -> None:
    for number in (1, 6, 9):
        volume(tmp_path / "rp_im" / f"{number}.nii.gz", -800)
        volume(tmp_path / "rp_msk" / f"{number}.nii.gz", 0, 1, 2, 3)
    prepare_labelled(
        str(tmp_path / "rp_im"), str(tmp_path / "out"), lesions=str(tmp_path / "rp_msk"), leave_out=6
    )
    studies = find_studies(tmp_path / "out")
    assert [study["study"] for study in studies] == ["1", "9"]
    assert voxels(studies[0]["lesions"]) == [0, 1, 1, 0]  # ground glass and consolidation; 3 is an effusion


def test_structseg_has_a_folder_for_each_case(tmp_path: Path) -> None:
    for number in (1, 2):
        volume(tmp_path / "oar" / str(number) / "data.nii.gz", -800, 0, 40)
        volume(tmp_path / "oar" / str(number) / "label.nii.gz", 1, 2, 3)
    named = {"cts_named": "*/data.nii.gz", "masks_named": "*/label.nii.gz"}
    prepare_labelled(str(tmp_path / "oar"), str(tmp_path / "out"), lungs=str(tmp_path / "oar"), **named)
    (first, _) = find_studies(tmp_path / "out")
    assert first["study"] == "1_data"
    assert voxels(first["lungs"]) == [1, 1, 0]  # 3 is the heart


def test_the_decathlon_has_a_hidden_file_beside_each_ct(tmp_path: Path) -> None:
    images = tmp_path / "Task06_Lung" / "imagesTr"
    for number in ("001", "003"):
        volume(images / f"lung_{number}.nii.gz", -800)
        (images / f"._lung_{number}.nii.gz").write_bytes(b"Mac OS X")
        volume(tmp_path / "lungs" / f"lung_{number}.nii.gz", 1)
    prepare_labelled(str(images), str(tmp_path / "out"), lungs=str(tmp_path / "lungs"))
    assert [study["study"] for study in find_studies(tmp_path / "out")] == ["lung_001", "lung_003"]


@pytest.fixture
def nsclc(tmp_path: Path) -> dict[str, str]:
    """NSCLC-Radiomics as TCIA's downloader lays it out, its third CT without a mask, and PleThora."""

    def as_structures(index: int, header: Dataset) -> None:
        header.Modality = "RTSTRUCT"

    for number in ("001", "002", "128"):
        study = tmp_path / "NSCLC-Radiomics" / f"LUNG1-{number}" / "09-18-2008-StudyID-NA-69331"
        write_slices(study / "0.000000-NA-82046", phantom())
        write_slices(study / "3.000000-NA-78236", phantom()[:, :, :1], edit=as_structures)
    like = np.zeros(phantom().shape, np.int16)
    like[5], like[7] = 1, 2
    for number in ("001", "002"):
        mask = (
            tmp_path / "Thoracic_Cavities" / f"LUNG1-{number}" / f"LUNG1-{number}_thor_cav_primary_reviewer"
        )
        mask.parent.mkdir(parents=True)
        write_nifti(mask.with_name(f"{mask.name}.nii.gz"), like)
    return {
        "cts": str(tmp_path / "NSCLC-Radiomics"),
        "lungs": str(tmp_path / "Thoracic_Cavities"),
        "cts_named": "LUNG1-*",
        "masks_named": "*/*_thor_cav_primary_reviewer.nii.gz",
    }


def test_nsclc_is_dicom_with_structures_beside_it_and_masks_in_folders(
    nsclc: dict[str, str], tmp_path: Path
) -> None:
    prepare_labelled(**nsclc, output_dir=str(tmp_path / "out"), masked_only=True)
    studies = find_studies(tmp_path / "out")
    assert [study["study"] for study in studies] == ["LUNG1-001", "LUNG1-002"]
    ct = read_ct(studies[0]["image"])
    assert np.array_equal(np.sort(ct.numpy().ravel()), np.sort(np.maximum(phantom(), -1024).ravel()))
    lungs = read_mask(studies[0]["lungs"], like=ct)
    assert np.unique(lungs).tolist() == [0, 1]
    assert np.count_nonzero(lungs) == 2 * lungs[0, 0].numel()


def test_nsclc_with_two_cts_of_a_patient_is_one_sentence(nsclc: dict[str, str], tmp_path: Path) -> None:
    write_slices(Path(nsclc["cts"]) / "LUNG1-001" / "again" / "0.000000-NA-1", phantom())
    with pytest.raises(InputError, match="LUNG1-001: expected one CT series, got 2 among 3 series"):
        prepare_labelled(**nsclc, output_dir=str(tmp_path / "out"), masked_only=True)


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
