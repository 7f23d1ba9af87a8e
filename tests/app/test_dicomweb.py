"""Studies on a DICOMweb server: all of them, whole, with their newest lesion SEG."""

from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from monailabel_app.lib.dicom_seg import write_seg
from monailabel_app.lib.dicomweb import DICOMWebStudies
from monailabel_app.lib.pacs_client import dicomweb_client
from monailabel_app.lib.segments import segments_from
from normnet.errors import InputError
from tests.app.small_pacs import SmallPACS, small_pacs
from tests.app.test_dicom_folder import write_box

SLICES = 6


@pytest.fixture
def pacs() -> Iterator[SmallPACS]:
    with small_pacs(page=2) as running:
        yield running


@pytest.fixture
def ct(pacs: SmallPACS, tmp_path: Path) -> str:
    """One CT series on the PACS; returns its UID."""
    uid = write_box(tmp_path / "ct")
    pacs.load(*sorted((tmp_path / "ct").iterdir()))
    return uid


def served(pacs: SmallPACS, folder: Path) -> DICOMWebStudies:
    return DICOMWebStudies(dicomweb_client(pacs.url), str(folder))


def write_values(studies: DICOMWebStudies, uid: str, path: Path, *values: int) -> str:
    """Writes a label of 0 with these values along a row."""
    image = nib.load(studies.get_image_uri(uid))
    label = np.zeros(image.shape, np.uint8)
    label[: len(values), 5, 3] = values
    nib.save(nib.Nifti1Image(label, image.affine), path)
    return str(path)


def final_row(studies: DICOMWebStudies, length: int) -> list[int]:
    (pair,) = studies.datalist()
    return np.asarray(nib.load(pair["label"]).dataobj)[:length, 5, 3].tolist()  # type: ignore[no-any-return]


def test_series_beyond_the_first_page_are_listed(pacs: SmallPACS, tmp_path: Path) -> None:
    uids = [write_box(tmp_path / str(number)) for number in range(3)]
    pacs.load(*sorted(tmp_path.rglob("*.dcm")))
    assert served(pacs, tmp_path / "cache").list_images() == uids


def test_a_series_that_was_arriving_is_fetched_again(pacs: SmallPACS, tmp_path: Path) -> None:
    uid = write_box(tmp_path / "ct")
    files = sorted(
        (tmp_path / "ct").iterdir(), key=lambda file: pydicom.dcmread(file).ImagePositionPatient[2]
    )
    pacs.load(*files[:4])
    studies = served(pacs, tmp_path / "cache")
    assert nib.load(studies.get_image_uri(uid)).shape[2] == 4
    pacs.load(*files[4:])
    assert nib.load(studies.get_image_uri(uid)).shape[2] == SLICES
    label = write_values(studies, uid, tmp_path / "l.nii.gz", 1)
    assert studies.save_label(uid, label, "final", {}) == uid


def test_every_server_trains_on_the_same_lesion(pacs: SmallPACS, ct: str, tmp_path: Path) -> None:
    saving, other = served(pacs, tmp_path / "saving"), served(pacs, tmp_path / "other")
    info = {"label_info": [{"name": "lesion", "idx": 1}, {"name": "left lung", "idx": 2}]}
    label = write_values(saving, ct, tmp_path / "l.nii.gz", 1, 2, 0, 1)
    saving.save_label(ct, label, "final", info)
    assert final_row(saving, 5) == final_row(other, 5) == [1, 0, 0, 1, 0]
    with pytest.raises(InputError, match="expected a segment 'lesion', got lungs"):
        saving.save_label(ct, label, "final", {"label_info": [{"name": "lungs", "idx": 1}]})
    assert len(pacs.files) == SLICES + 1


def test_the_lesion_seg_of_a_series_is_found_beside_others(pacs: SmallPACS, ct: str, tmp_path: Path) -> None:
    studies = served(pacs, tmp_path / "cache")
    mask = sitk.ReadImage(write_values(studies, ct, tmp_path / "l.nii.gz", 1, 1))
    for number, name in enumerate(("lungs", "lesion")):
        write_seg(mask, tmp_path / "ct", segments_from(None, {name: 1}), tmp_path / f"{name}.dcm")
        seg = pydicom.dcmread(tmp_path / f"{name}.dcm")
        seg.SeriesInstanceUID, seg.InstanceNumber = "1.2.3.4", number + 1
        pacs.files.append(seg)
        assert studies.get_labeled_images() == [ct][:number]  # The second one is seen when it comes.
    assert final_row(studies, 3) == [1, 1, 0]


def test_what_lies_on_the_server_is_not_deleted_here(pacs: SmallPACS, ct: str, tmp_path: Path) -> None:
    studies = served(pacs, tmp_path / "cache")
    label = write_values(studies, ct, tmp_path / "l.nii.gz", 1)
    for tag in ("final", "original"):
        studies.save_label(ct, label, tag, {})
    studies.remove_label(ct, "original")
    assert studies.get_label_uri(ct, "original") == ""
    with pytest.raises(InputError, match=f"^label of {ct}: expected its SEG to be deleted at {pacs.url}"):
        studies.remove_label(ct, "final")
    with pytest.raises(InputError, match=f"^image {ct}: expected it to be deleted at {pacs.url}"):
        studies.remove_image(ct)
    assert len(studies.datalist()) == 1
