"""The folder of studies: checked, whole, and shared by processes."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monailabel.datastore.local import LocalDatastore
from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException

from monailabel_app.lib.studies import LocalStudies
from normnet.errors import InputError
from tests.normnet.ct_files import AFFINE, phantom, write_itk, write_nifti


def write_label(path: Path, affine: np.ndarray = AFFINE) -> str:
    lesion = np.zeros(phantom().shape, dtype=np.uint8)
    lesion[6, 6, 4] = 1
    nib.save(nib.Nifti1Image(lesion, affine), path)
    return str(path)


def write_values(path: Path, *values: float) -> str:
    """Writes a label of 0 with these values along its first row."""
    label = np.zeros(phantom().shape)
    label[: len(values), 0, 0] = values
    nib.save(nib.Nifti1Image(label, AFFINE), path)
    return str(path)


def final_row(folder: Path, length: int) -> list[float]:
    """Reads the first voxels of the one final label that is trained on."""
    (pair,) = LocalStudies(str(folder)).datalist()
    return np.asarray(nib.load(pair["label"]).dataobj)[:length, 0, 0].tolist()  # type: ignore[no-any-return]


def files_of(folder: Path, name: str) -> set[str]:
    """Names the files of an image and its labels."""
    return {str(path.relative_to(folder)) for path in folder.rglob(f"{name}.*") if path.is_file()}


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


def test_only_what_label_info_calls_lesion_is_one(folder: Path, tmp_path: Path) -> None:
    studies = LocalStudies(str(folder))
    info = [{"name": "left lung", "idx": 1}, {"name": "Lesion", "idx": 2}, {"name": "lesion", "idx": 5}]
    label = write_values(tmp_path / "up.nii.gz", 1, 2, 5)
    studies.save_label("a", label, "final", {"label_info": info})
    assert final_row(folder, 4) == [0, 1, 1, 0]
    assert studies.get_label_info("a", "final")["label_info"] == [{"name": "lesion", "idx": 1}]
    studies.save_label("a", label, "final", {})
    assert final_row(folder, 4) == [1, 1, 1, 0]


def test_an_empty_label_says_that_there_is_no_lesion(folder: Path, tmp_path: Path) -> None:
    for info in ({}, {"label_info": []}, {"label_info": [{"name": "lesion", "idx": 1}]}):
        LocalStudies(str(folder)).save_label("a", write_values(tmp_path / "up.nii.gz"), "final", info)
        assert final_row(folder, 4) == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("values", "names", "sentence"),
    [
        ((1, 2), ["left lung", "right lung"], "expected a segment 'lesion', got left lung, right lung"),
        ((1, 2, 3), ["lesion", "left lung"], r"expected the values \[1, 2\] of label_info, got \[3.0\]"),
        ((0.5, 0.9), [], "expected whole numbers of 0 or more, got 2 other values, such as 0.5"),
        ((float("nan"), 1), [], "expected whole numbers of 0 or more, got 1 other values, such as nan"),
        ((-1000, 40), [], "expected whole numbers of 0 or more, got 1 other values, such as -1000"),
    ],
)
def test_a_label_that_marks_no_lesions_is_refused(
    folder: Path, tmp_path: Path, values: tuple[float, ...], names: list[str], sentence: str
) -> None:
    info = {"label_info": [{"name": name, "idx": number} for number, name in enumerate(names, start=1)]}
    label = write_values(tmp_path / "up.nii.gz", *values)
    with pytest.raises(InputError, match=f"^label of a: {sentence}"):
        LocalStudies(str(folder)).save_label("a", label, "final", info)
    assert files_of(folder, "a") == {"a.nii.gz"}


def test_a_label_lies_on_the_grid_of_its_image(folder: Path, tmp_path: Path) -> None:
    label = nib.load(write_label(tmp_path / "ras.nii.gz"))
    turned = label.as_reoriented([[0, -1], [1, 1], [2, 1]])
    nib.save(turned, tmp_path / "up.nii.gz")
    LocalStudies(str(folder)).save_label("a", str(tmp_path / "up.nii.gz"), "final", {})
    kept = nib.load(folder / "labels" / "final" / "a.nii.gz")
    assert np.allclose(kept.affine, AFFINE)
    assert (np.asarray(kept.dataobj) == np.asarray(label.dataobj)).all()


def test_a_label_gives_way_to_the_next_whatever_its_format(folder: Path, tmp_path: Path) -> None:
    studies = LocalStudies(str(folder))
    lesion = np.zeros(phantom().shape)
    for tag in ("final", "original"):
        studies.save_label("a", write_label(tmp_path / "up.nii.gz"), tag, {})
        studies.save_label("a", str(write_itk(tmp_path / "up.nrrd", lesion)), tag, {})
        assert len(files_of(folder / "labels" / tag, "a")) == 1
        studies.remove_label("a", tag)
    assert files_of(folder, "a") == {"a.nii.gz"}
    assert LocalStudies(str(folder)).get_labeled_images() == []
    with pytest.raises(LabelNotFoundException):
        studies.remove_label("a", "final")


def test_nothing_of_a_removed_image_is_left_for_the_next_of_its_name(folder: Path, tmp_path: Path) -> None:
    studies = LocalStudies(str(folder))
    for tag in ("final", "original"):
        studies.save_label("a", write_label(tmp_path / "up.nii.gz"), tag, {})
    (folder / "labels" / "final" / "a.nrrd").write_bytes(b"of another server")
    studies.remove_image("a")
    assert files_of(folder, "a") == set()
    assert studies.list_images() == LocalStudies(str(folder)).list_images() == []
    with pytest.raises(ImageNotFoundException):
        studies.remove_image("a")


def test_another_ct_of_the_same_name_is_not_deleted_with_it(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No client was shown it: one image of a name is offered."""
    write_itk(folder / "a.nrrd", phantom() + 9)
    studies = LocalStudies(str(folder))
    assert studies.list_images() == ["a"]
    (other,) = files_of(folder, "a") - {Path(studies.get_image_uri("a")).name}
    studies.remove_image("a")
    assert files_of(folder, "a") == {other}
    assert f"{other}: has the name of the image that was deleted, and stays; rename it." in caplog.text
    assert LocalStudies(str(folder)).list_images() == ["a"]


def test_a_new_image_has_no_label(folder: Path, tmp_path: Path) -> None:
    studies = LocalStudies(str(folder))
    studies.save_label("a", write_label(tmp_path / "up.nii.gz"), "final", {})
    (folder / "a.nii.gz").unlink()  # As a person does who clears up; the label is forgotten.
    studies.refresh()
    studies.add_image("a", str(write_itk(tmp_path / "upload.nrrd", phantom())), {})
    studies.refresh()
    assert studies.get_labeled_images() == []
    assert files_of(folder, "a") == {"a.nrrd"}


def wait_for(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.05)


def test_files_that_are_renamed_into_the_folder_are_noticed(folder: Path, tmp_path: Path) -> None:
    """As rsync does: beside, under a hidden name, then a move."""
    studies = LocalStudies(str(folder), auto_reload=True)
    try:
        shutil.copy(folder / "a.nii.gz", folder / ".b.nii.gz.Xy12")
        (folder / ".b.nii.gz.Xy12").rename(folder / "b.nii.gz")
        wait_for(lambda: "b" in studies.list_images())
        final = folder / "labels" / "final"
        write_label(final / ".label.nii.gz")
        (final / ".label.nii.gz").rename(final / "b.nii.gz")
        wait_for(lambda: studies.get_labeled_images() == ["b"])
        LocalStudies(str(folder)).update_image_info("b", {"score": 1})
        wait_for(lambda: studies.get_image_info("b").get("score") == 1)
    finally:
        studies._observer.stop()
        studies._observer.join()


def test_entries_of_another_process_stay(folder: Path, tmp_path: Path) -> None:
    """Neither a label's info nor a look at the folder writes an old view of the record."""
    serving, other = LocalStudies(str(folder)), LocalStudies(str(folder))
    serving.save_label("a", write_label(tmp_path / "up.nii.gz"), "final", {})
    other.update_label_info("a", "final", {"by": "an annotator"})
    serving.update_image_info("a", {"score": 1})
    other.update_label_info("a", "final", {"seen": True})
    serving.update_image_info("a", {"score": 2})
    write_nifti(folder / "b.nii.gz", phantom())
    other._config_ts = (
        (folder / "datastore_v2.json").stat().st_mtime
    )  # Two writes within one tick of the clock.
    other.refresh()
    record = json.loads((folder / "datastore_v2.json").read_text())["objects"]
    assert record["a"]["image"]["info"]["score"] == 2
    assert record["a"]["labels"]["final"]["info"]["by"] == "an annotator"
    assert record["a"]["labels"]["final"]["info"]["seen"]
    assert "b" in record


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
