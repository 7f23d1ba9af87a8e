"""A folder of DICOM without a PACS."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
import pytest
import requests
from monailabel.interfaces.exception import ImageNotFoundException

from generator.chest import make_chest
from monailabel_app.lib.dicom_folder import KEPT_IN, DICOMFolderStudies, holds_dicom
from normnet.errors import InputError
from normnet.reading import read_ct
from tests.app.conftest import OVERLAY
from tests.app.dicom_series import instances, write_series
from tests.app_server import Server, running_server

SHAPE, SPACING = (96, 84, 48), (3.6, 3.6, 5.0)


def write_box(folder: Path, patient: str = "Generated^Chest") -> str:
    """Writes a small series that looks like a chest to the reader."""
    ct = np.full((12, 10, 6), -1000)
    ct[2:10, 2:8] = 40
    ct[4:8, 4:6] = -850
    return write_series(folder, ct, SPACING, patient=patient)


def contents(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*.dcm")}


def test_series_at_any_depth_are_images_and_all_that_is_written_lies_in_one_subfolder(tmp_path: Path) -> None:
    first = write_box(tmp_path / "a" / "deep")
    second = write_box(tmp_path / "flat")
    before = contents(tmp_path)
    studies = DICOMFolderStudies(tmp_path)
    assert studies.list_images() == [first, second]
    assert studies.get_unlabeled_images() == [first, second]
    studies.get_image_uri(second)
    assert contents(tmp_path) == before
    assert {path.name for path in tmp_path.iterdir()} == {"a", "flat", KEPT_IN}
    assert DICOMFolderStudies(tmp_path).list_images() == [first, second]


def test_image_is_the_series_voxel_for_voxel(tmp_path: Path) -> None:
    uid = write_box(tmp_path / "ct")
    image, series = read_ct(DICOMFolderStudies(tmp_path).get_image_uri(uid)), read_ct(tmp_path / "ct")
    assert (image.numpy() == series.numpy()).all()
    assert np.allclose(image.affine, series.affine, atol=1e-4)


def test_series_that_comes_later_is_listed(tmp_path: Path) -> None:
    first = write_box(tmp_path / "a")
    studies = DICOMFolderStudies(tmp_path)
    second = write_box(tmp_path / "b")
    assert studies.list_images() == [first, second]


def test_other_modalities_are_no_images(tmp_path: Path) -> None:
    write_box(tmp_path / "mr")
    for file in (tmp_path / "mr").iterdir():
        header = pydicom.dcmread(file)
        header.Modality = "MR"
        header.save_as(file)
    assert not holds_dicom(tmp_path)
    write_box(tmp_path / "ct")
    assert holds_dicom(tmp_path)


def by_height(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda file: pydicom.dcmread(file).ImagePositionPatient[2])


def test_series_that_was_arriving_is_converted_again(tmp_path: Path) -> None:
    uid = write_box(tmp_path / "all")
    (tmp_path / "studies" / "ct").mkdir(parents=True)
    studies = DICOMFolderStudies(tmp_path / "studies")
    for count in (4, 6):
        for file in by_height(tmp_path / "all")[:count]:
            (tmp_path / "studies" / "ct" / file.name).write_bytes(file.read_bytes())
        for reader in (studies, DICOMFolderStudies(tmp_path / "studies")):
            assert nib.load(reader.get_image_uri(uid)).shape[2] == count
        assert "score" not in studies.get_image_info(uid)  # One of the series cut short says nothing.
        studies.update_image_info(uid, {"score": 1})
    made = (tmp_path / "studies" / KEPT_IN / f"{uid}.nii.gz").stat().st_mtime_ns
    assert Path(studies.get_image_uri(uid)).stat().st_mtime_ns == made
    assert studies.get_image_info(uid)["score"] == 1


def test_series_whose_first_slice_was_half_there_is_listed(tmp_path: Path) -> None:
    uid = write_box(tmp_path / "all")
    first, *others = sorted((tmp_path / "all").iterdir())
    arrived = tmp_path / "studies" / "ct"
    arrived.mkdir(parents=True)
    (arrived / first.name).write_bytes(first.read_bytes()[:200])
    studies = DICOMFolderStudies(tmp_path / "studies")
    assert studies.list_images() == []
    for file in (first, *others):
        (arrived / file.name).write_bytes(file.read_bytes())
    assert studies.list_images() == [uid]


@pytest.mark.parametrize(("modality", "kind"), [("CT", "LOCALIZER"), ("SR", "AXIAL")])
def test_series_is_found_behind_another_file(tmp_path: Path, modality: str, kind: str) -> None:
    uid = write_box(tmp_path / "ct")
    other = pydicom.dcmread(tmp_path / "ct" / "0003.dcm")
    other.Modality, other.ImageType, other.SeriesInstanceUID = (
        modality,
        ["ORIGINAL", "PRIMARY", kind],
        "1.2.3",
    )
    other.save_as(tmp_path / "ct" / "0.dcm")
    assert holds_dicom(tmp_path)
    studies = DICOMFolderStudies(tmp_path)
    assert studies.list_images() == [uid]
    assert nib.load(studies.get_image_uri(uid)).shape[2] == 6


def test_series_is_not_deleted_but_its_label_is(tmp_path: Path) -> None:
    uid = write_box(tmp_path / "ct")
    before = contents(tmp_path)
    studies = DICOMFolderStudies(tmp_path)
    image = nib.load(studies.get_image_uri(uid))
    nib.save(nib.Nifti1Image(np.ones(image.shape, np.uint8), image.affine), tmp_path / "l.nii.gz")
    studies.save_label(uid, str(tmp_path / "l.nii.gz"), "final", {})
    with pytest.raises(InputError, match=f"^image {uid}: expected it to be deleted at {tmp_path} itself"):
        studies.remove_image(uid)
    assert contents(tmp_path) == before
    studies.remove_label(uid, "final")
    assert DICOMFolderStudies(tmp_path).datalist() == []


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "1.2.3", "", "1/2", "a"])
def test_name_that_is_no_series_is_not_found(tmp_path: Path, name: str) -> None:
    write_box(tmp_path / "a")
    with pytest.raises(ImageNotFoundException):
        DICOMFolderStudies(tmp_path).get_image_uri(name)


def test_incomplete_series_is_one_sentence(tmp_path: Path) -> None:
    uid = write_box(tmp_path / "ct")
    (tmp_path / "ct" / "0000.dcm").unlink()
    (tmp_path / "ct" / "0002.dcm").unlink()
    studies = DICOMFolderStudies(tmp_path)
    with pytest.raises(InputError, match="slices are missing"):
        studies.get_image_uri(uid)
    assert not list((tmp_path / KEPT_IN).glob("*.nii.gz"))


def test_a_series_found_to_be_no_volume_is_nobodys_next_scan_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chest, cut = write_box(tmp_path / "chest"), write_box(tmp_path / "cut")
    slice_between = tmp_path / "cut" / "0002.dcm"
    later = slice_between.read_bytes()
    slice_between.unlink()
    studies = DICOMFolderStudies(tmp_path)
    assert studies.get_unlabeled_images() == [chest, cut]
    with pytest.raises(InputError):
        studies.get_image_uri(cut)
    assert studies.get_unlabeled_images() == [chest]
    assert studies.list_images() == [chest, cut]
    with monkeypatch.context() as patch:
        patch.setattr("monailabel_app.lib.dicom_folder.TRIED_AGAIN_S", 0.0)
        assert studies.get_unlabeled_images() == [chest, cut]
    slice_between.write_bytes(later)
    studies.get_image_uri(cut)
    assert studies.get_unlabeled_images() == [chest, cut]


def test_empty_label_counts_and_survives_a_restart(tmp_path: Path) -> None:
    uid = write_box(tmp_path / "ct")
    studies = DICOMFolderStudies(tmp_path)
    image = nib.load(studies.get_image_uri(uid))
    nib.save(nib.Nifti1Image(np.zeros(image.shape, np.uint8), image.affine), tmp_path / "l.nii.gz")
    studies.save_label(uid, str(tmp_path / "l.nii.gz"), "final", {})
    (tmp_path / "l.nii.gz").unlink()
    studies = DICOMFolderStudies(tmp_path)
    assert studies.get_labeled_images() == [uid]
    (pair,) = studies.datalist()
    assert not np.asarray(nib.load(pair["label"]).dataobj).any()
    assert studies.status()["completed"] == 1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path, str]]:
    work = tmp_path_factory.mktemp("folder")
    uid = write_series(work / "studies" / "ct", make_chest(0, shape=SHAPE, spacing=SPACING).ct, SPACING)
    write_series(work / "studies" / "localizer", np.full((96, 84, 1), -800), SPACING)
    env = {"MONAI_LABEL_AUTO_UPDATE_SCORING": "false"}
    with running_server(work / "studies", work / "server", env=env, overlay=OVERLAY) as running:
        yield running, work / "studies" / "ct", uid


@pytest.mark.parametrize("strategy", ["random", "disagreement"])
def test_a_localizer_does_not_stand_in_the_way_of_the_next_sample(
    server: tuple[Server, Path, str], strategy: str
) -> None:
    running, _, uid = server
    for _ in range(3):
        answer = requests.post(f"{running.url}/activelearning/{strategy}", timeout=60)
        assert answer.status_code == 200, answer.text
        assert answer.json()["id"] == uid


def test_server_gives_dicom_seg_of_a_series_in_the_folder(server: tuple[Server, Path, str]) -> None:
    running, folder, uid = server
    answer = requests.post(f"{running.url}/infer/lungs?image={uid}&output=dicom_seg", timeout=300)
    assert answer.status_code == 200, answer.text
    seg = hd.seg.segread(io.BytesIO(answer.content))
    (referenced,) = seg.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == uid
    assert {item.ReferencedSOPInstanceUID for item in referenced.ReferencedInstanceSequence} == instances(
        folder
    )


def test_names_of_the_client_are_those_of_the_segments(server: tuple[Server, Path, str]) -> None:
    running, _, uid = server
    names = [{"name": "links", "idx": 1}, {"name": "rechts", "idx": 2}]
    url = f"{running.url}/infer/lungs?image={uid}&output=dicom_seg"
    answer = requests.post(url, data={"params": json.dumps({"label_info": names})}, timeout=300)
    seg = pydicom.dcmread(io.BytesIO(answer.content))
    assert [item.SegmentLabel for item in seg.SegmentSequence] == ["links", "rechts"]
    kinds = [item.SegmentedPropertyTypeCodeSequence[0].CodeMeaning for item in seg.SegmentSequence]
    assert kinds == ["Left lung", "Right lung"]
    one = requests.post(url, data={"params": json.dumps({"label_info": names[:1]})}, timeout=300)
    assert one.status_code == 422
    assert "label_info" in one.json()["detail"]


def test_server_keeps_a_label_of_a_series(server: tuple[Server, Path, str], tmp_path: Path) -> None:
    running, _, uid = server
    (tmp_path / "image.nii.gz").write_bytes(
        requests.get(f"{running.url}/datastore/image?image={uid}", timeout=60).content
    )
    image = nib.load(tmp_path / "image.nii.gz")
    nib.save(nib.Nifti1Image(np.ones(image.shape, np.uint8), image.affine), tmp_path / "label.nii.gz")
    running.client.save_label(uid, str(tmp_path / "label.nii.gz"), "final", {})
    assert requests.get(f"{running.url}/datastore/", timeout=30).json()["completed"] == 1
    (pair,) = requests.get(f"{running.url}/datastore/?output=train", timeout=30).json()
    assert np.asarray(nib.load(pair["label"]).dataobj).all()
