"""The folder of studies: checked, whole, and shared by processes."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monailabel.datastore.local import LocalDatastore
from monailabel.interfaces.exception import ImageNotFoundException

from monailabel_app.lib.studies import LocalStudies
from normnet.errors import InputError
from tests.normnet.ct_files import AFFINE, phantom, write_itk, write_nifti


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    studies = tmp_path / "studies"
    studies.mkdir()
    write_nifti(studies / "a.nii.gz", phantom())
    return studies


def write_label(path: Path, affine: np.ndarray = AFFINE) -> str:
    lesion = np.zeros(phantom().shape, dtype=np.uint8)
    lesion[6, 6, 4] = 1
    nib.save(nib.Nifti1Image(lesion, affine), path)
    return str(path)


def test_masks_beside_a_ct_are_no_images(folder: Path) -> None:
    write_label(folder / "a_lungs.nii.gz")
    write_label(folder / "a_lesions.nii.gz")
    assert LocalStudies(str(folder)).list_images() == ["a"]


def test_a_ct_is_taken_in(folder: Path, tmp_path: Path) -> None:
    studies = LocalStudies(str(folder))
    studies.add_image("b", str(write_itk(tmp_path / "upload.nrrd", phantom())), {"from": "a test"})
    assert sorted(studies.list_images()) == ["a", "b"]
    assert studies.get_image_info("b")["from"] == "a test"
    assert sorted(LocalStudies(str(folder)).list_images()) == ["a", "b"]


@pytest.mark.parametrize("name", ["upload.nii.gz", "upload.nrrd", "upload.exe"])
def test_what_is_no_ct_is_refused_and_leaves_nothing(folder: Path, tmp_path: Path, name: str) -> None:
    upload = tmp_path / name
    upload.write_text("no image at all")
    studies = LocalStudies(str(folder))
    before = sorted(folder.iterdir())
    with pytest.raises(InputError, match="image b: "):
        studies.add_image("b", str(upload), {})
    assert sorted(folder.iterdir()) == before
    assert studies.list_images() == ["a"]


def test_a_name_that_is_taken_is_refused(folder: Path, tmp_path: Path) -> None:
    before = (folder / "a.nii.gz").read_bytes()
    with pytest.raises(InputError, match="image a: there is one"):
        LocalStudies(str(folder)).add_image("a", str(write_nifti(tmp_path / "up.nii.gz", phantom() + 9)), {})
    assert (folder / "a.nii.gz").read_bytes() == before


def test_a_label_makes_its_image_labelled(folder: Path, tmp_path: Path) -> None:
    studies = LocalStudies(str(folder))
    studies.save_label("a", write_label(tmp_path / "up.nii.gz"), "final", {"by": "an annotator"})
    assert studies.get_unlabeled_images() == []
    (pair,) = studies.datalist()
    assert np.asarray(nib.load(pair["label"]).dataobj).sum() == 1
    assert LocalStudies(str(folder)).get_label_info("a", "final")["by"] == "an annotator"


def test_a_label_on_another_grid_is_refused(folder: Path, tmp_path: Path) -> None:
    studies = LocalStudies(str(folder))
    shifted = AFFINE.copy()
    shifted[0, 3] += 5
    with pytest.raises(InputError, match=r"label of a: the mask has .* both must lie on one grid"):
        studies.save_label("a", write_label(tmp_path / "up.nii.gz", shifted), "final", {})
    assert studies.get_unlabeled_images() == ["a"]
    assert list((folder / "labels" / "final").iterdir()) == []


@pytest.mark.parametrize("tag", ["../../escaped", "/tmp/escaped", "", ".hidden"])
def test_a_tag_that_is_a_path_is_refused(folder: Path, tmp_path: Path, tag: str) -> None:
    with pytest.raises(InputError, match="label of a: expected a tag that is a name"):
        LocalStudies(str(folder)).save_label("a", write_label(tmp_path / "up.nii.gz"), tag, {})
    assert not list(tmp_path.rglob("*escaped*"))


def test_a_label_of_no_image_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageNotFoundException):
        LocalStudies(str(folder)).save_label("b", write_label(tmp_path / "up.nii.gz"), "final", {})


def lose_a_label(kind: type[LocalDatastore], folder: Path, tmp_path: Path) -> bool:
    """One process scores an image, as it saw the studies at its start, while another saves a label."""
    scoring, serving = kind(str(folder)), kind(str(folder))
    serving.save_label("a", write_label(tmp_path / "up.nii.gz"), "final", {"by": "an annotator"})
    scoring.update_image_info("a", {"score": 1})
    record = json.loads((folder / "datastore_v2.json").read_text())["objects"]["a"]
    return record["image"]["info"].get("score") != 1 or "final" not in record["labels"]


def test_scores_do_not_undo_labels(folder: Path, tmp_path: Path) -> None:
    assert not lose_a_label(LocalStudies, folder, tmp_path)


def test_monai_label_still_loses_labels(folder: Path, tmp_path: Path) -> None:
    """Fails when MONAI Label (0.8.5) is mended: LocalStudies need not change the record itself any more."""
    assert lose_a_label(LocalDatastore, folder, tmp_path)


def test_a_record_is_never_half_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studies = LocalStudies(str(folder))
    before = (folder / "datastore_v2.json").read_text()

    def killed(path: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        studies.update_image_info("a", {"score": 1})
    assert (folder / "datastore_v2.json").read_text() == before
