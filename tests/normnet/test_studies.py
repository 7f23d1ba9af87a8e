"""What is found on disk: studies, their masks and names, and the items of a training set."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.data import MetaTensor

from normnet.errors import InputError
from normnet.masks import read_mask
from normnet.reading import read_ct
from normnet.studies import beside_ct, find_studies, load_datalist


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def dicom(folder: Path, *names: str) -> None:
    """Writes files that start like DICOM: finding reads no more than that."""
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(bytes(128) + b"DICM")


def names(root: Path) -> list[str]:
    return [study["study"] for study in find_studies(root)]


def test_files_and_dicom_folders_at_any_depth_are_listed_by_name(tmp_path: Path):
    touch(tmp_path / "c.nii.gz", tmp_path / "deep" / "er" / "a.NRRD", tmp_path / "b.mhd", tmp_path / "b.raw")
    dicom(tmp_path / "patient" / "1.2.840.5", "1.2.840.5.1", "1.2.840.5.2")
    touch(tmp_path / "notes.txt", tmp_path / ".hidden.nii.gz", tmp_path / ".cache" / "d.nii.gz")
    studies = find_studies(tmp_path)
    assert [study["study"] for study in studies] == ["1.2.840.5", "a", "b", "c"]
    assert studies[0] == {"image": str(tmp_path / "patient" / "1.2.840.5"), "study": "1.2.840.5"}


def test_one_file_or_one_dicom_folder_is_one_study(tmp_path: Path):
    touch(tmp_path / "case.nii.gz", tmp_path / "other.nii.gz")
    dicom(tmp_path / "series", "IM1", "IM2")
    assert names(tmp_path / "case.nii.gz") == ["case"]
    assert names(tmp_path / "series") == ["series"]


def test_masks_beside_a_ct_belong_to_it_and_are_no_studies(tmp_path: Path):
    touch(tmp_path / "case.nii.gz", tmp_path / "case_lungs.nrrd", tmp_path / "case_lesions.nii.gz")
    touch(tmp_path / "scan_exclude.nii", tmp_path / "orphan_lungs.nii.gz")
    dicom(tmp_path / "scan", "IM1")
    assert find_studies(tmp_path) == [
        {
            "image": str(tmp_path / "case.nii.gz"),
            "study": "case",
            "lungs": str(tmp_path / "case_lungs.nrrd"),
            "lesions": str(tmp_path / "case_lesions.nii.gz"),
        },
        {"image": str(tmp_path / "scan"), "study": "scan", "exclude": str(tmp_path / "scan_exclude.nii")},
    ]
    assert find_studies(tmp_path / "case.nii.gz")[0]["lungs"] == str(tmp_path / "case_lungs.nrrd")


def test_a_mask_without_its_ct_is_passed_over_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    touch(tmp_path / "case.nii.gz", tmp_path / "case_lungs.nii.gz", tmp_path / "chest_lungs.nii.gz")
    touch(tmp_path / "scan_lesions.nrrd", tmp_path / "lungs.nii.gz")
    dicom(tmp_path / "scan", "IM1")
    with caplog.at_level(logging.WARNING):
        assert names(tmp_path) == ["case", "lungs", "scan"]
    assert caplog.messages == [
        f"{tmp_path / 'chest_lungs.nii.gz'}: passed over as a mask, but no CT chest lies beside it."
    ]
    assert names(tmp_path / "chest_lungs.nii.gz") == ["chest_lungs"]


def test_links_that_lead_nowhere_are_listed_so_that_reading_says_so(tmp_path: Path):
    touch(tmp_path / "case.nii.gz")
    for name in ("gone.nii.gz", "case_exclude.nii.gz"):
        (tmp_path / name).symlink_to(tmp_path / "unmounted" / name)
    studies = find_studies(tmp_path)
    assert [study["study"] for study in studies] == ["case", "gone"]
    assert studies[0]["exclude"] == str(tmp_path / "case_exclude.nii.gz")
    with pytest.raises(InputError, match=r"gone\.nii\.gz: expected a volume, but there is no such file"):
        read_ct(studies[1]["image"])


def test_links_into_a_store_are_named_after_themselves_and_have_their_masks_beside_them(tmp_path: Path):
    data = tmp_path / "data"
    dicom(tmp_path / "store" / "k1", "IM1")
    touch(tmp_path / "store" / "aa.nii.gz", tmp_path / "store" / "bb.nii.gz")
    touch(data / "patient_lesions.nii.gz", data / "p1" / "ct_lungs.nii.gz", data / "p2" / "kept")
    (data / "patient").symlink_to(tmp_path / "store" / "k1")
    for patient, key in (("p1", "aa"), ("p2", "bb")):
        (data / patient / "ct.nii.gz").symlink_to(tmp_path / "store" / f"{key}.nii.gz")
    assert find_studies(data) == [
        {
            "image": str(data / "p1" / "ct.nii.gz"),
            "study": "ct_p1",
            "lungs": str(data / "p1" / "ct_lungs.nii.gz"),
        },
        {"image": str(data / "p2" / "ct.nii.gz"), "study": "ct_p2"},
        {
            "image": str(data / "patient"),
            "study": "patient",
            "lesions": str(data / "patient_lesions.nii.gz"),
        },
    ]
    assert beside_ct(data / "patient", "lungs") == data / "patient_lungs.nii.gz"


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    touch(tmp_path / "case.nii.gz", tmp_path / "closed" / "other.nii.gz")
    listed = Path.iterdir

    def iterdir(folder: Path) -> Iterator[Path]:
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(InputError, match=r"closed: expected a folder to read, .* \(Permission denied\)\.$"):
        find_studies(tmp_path)


def test_a_stray_file_that_may_not_be_read_is_passed_over_and_a_slice_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    touch(tmp_path / "a.nii.gz", tmp_path / "notes.txt")
    touch(*(tmp_path / folder / name for folder, name in (("b", "IM1"), ("c", "1.2.840.5"), ("d", "IM.DCM"))))
    opened = Path.open

    def open_(file: Path, *args: Any, **options: Any) -> Any:
        if file.is_relative_to(tmp_path):
            raise PermissionError(13, "Permission denied")
        return opened(file, *args, **options)

    monkeypatch.setattr(Path, "open", open_)
    with caplog.at_level(logging.WARNING):
        assert names(tmp_path) == ["a", "b", "c", "d"]
    (warning,) = caplog.messages
    assert "notes.txt: expected a file to read" in warning and warning.endswith("is passed over.")
    with pytest.raises(InputError, match=r"IM1: expected a file to read, .* \(Permission denied\)\.$"):
        read_ct(tmp_path / "b")


def test_a_name_of_digits_comes_from_the_command_line_as_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    touch(tmp_path / "20230115" / "ct.nii.gz")
    monkeypatch.chdir(tmp_path)
    assert [study["study"] for study in find_studies(20230115)] == ["ct"]  # type: ignore[arg-type]
    assert [item["study"] for item in load_datalist(20230115, "training")] == ["ct"]  # type: ignore[arg-type]


def test_two_masks_of_one_kind_are_an_error_of_that_study_where_they_are_read(tmp_path: Path):
    touch(tmp_path / "case.nii.gz", tmp_path / "case_lungs.nrrd", tmp_path / "case_lungs.nii.gz")
    touch(tmp_path / "other.nii.gz", tmp_path / "other_lungs.nii.gz")
    case, other = find_studies(tmp_path)
    assert other["lungs"] == str(tmp_path / "other_lungs.nii.gz")
    ct = MetaTensor(torch.zeros(1, 2, 2, 2))
    with pytest.raises(
        InputError, match=r"case_lungs\.nii\.gz: expected one mask case_lungs, but case_lungs\.nrrd"
    ):
        read_mask(case["lungs"], like=ct)


@pytest.mark.parametrize("others", [["report.json", "disagreement.nii.gz"], ["anomaly.nii.gz"], []])
def test_the_results_of_any_method_are_no_studies(tmp_path: Path, others: list[str]):
    masks = [f"{name}.nii.gz" for name in ("lesion", "healthy", "lungs")]
    touch(tmp_path / "ct.nii.gz", *(tmp_path / "out" / "ct" / name for name in [*masks, *others]))
    assert names(tmp_path) == ["ct"]


def test_a_loop_of_links_ends(tmp_path: Path):
    touch(tmp_path / "a" / "ct.nii.gz")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert names(tmp_path) == ["ct"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("missing", "no such file or folder"), ("empty", "got none"), ("notes.txt", "got another file")],
)
def test_a_path_without_a_study_is_an_error(tmp_path: Path, name: str, message: str):
    (tmp_path / "empty").mkdir()
    touch(tmp_path / "notes.txt")
    with pytest.raises(InputError, match=rf"{name}: expected .*{message}"):
        find_studies(tmp_path / name)


def test_without_a_list_the_last_fifth_by_name_validates(tmp_path: Path):
    touch(*(tmp_path / f"ct{index}.nii.gz" for index in range(10)))
    training, validation = (load_datalist(tmp_path, section) for section in ("training", "validation"))
    assert [item["study"] for item in training] == [f"ct{index}" for index in range(8)]
    assert [item["study"] for item in validation] == ["ct8", "ct9"]


def test_two_studies_are_one_each(tmp_path: Path):
    touch(tmp_path / "a.nii.gz", tmp_path / "b.nii.gz")
    assert [item["study"] for item in load_datalist(tmp_path, "training")] == ["a"]
    assert [item["study"] for item in load_datalist(tmp_path, "validation")] == ["b"]


def test_a_single_study_does_both_and_that_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    touch(tmp_path / "a.nii.gz")
    with caplog.at_level(logging.WARNING):
        assert load_datalist(tmp_path, "training") == load_datalist(tmp_path, "validation")
    assert "validation is on the lungs of the training" in caplog.text


def test_a_list_is_used_as_it_stands_with_paths_relative_to_its_folder(tmp_path: Path):
    touch(
        tmp_path / "images" / "a.nii.gz",
        tmp_path / "b.nii.gz",
        tmp_path / "b_lungs.nii.gz",
        tmp_path / "c.mha",
    )
    listing = {
        "training": [{"image": "images/a.nii.gz", "exclude_slices": [3, 4]}],
        "validation": [{"image": str(tmp_path / "b.nii.gz"), "lungs": "b_lungs.nii.gz"}],
    }
    (tmp_path / "dataset.json").write_text(json.dumps(listing))
    assert load_datalist(tmp_path, "training") == [
        {"image": str(tmp_path / "images" / "a.nii.gz"), "exclude_slices": [3, 4]}
    ]
    assert load_datalist(tmp_path, "validation") == [
        {"image": str(tmp_path / "b.nii.gz"), "lungs": str(tmp_path / "b_lungs.nii.gz")}
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{not JSON", "expected JSON with a list 'training', but it has none"),
        ('{"validation": []}', "expected JSON with a list 'training', but it has none"),
        ("[]", "expected JSON with a list 'training', but it has none"),
        ('{"training": []}', "got an empty one"),
        ('{"training": ["a.nii.gz"]}', r"expected training\[0\] to be"),
        ('{"training": [{"image": "gone.nii.gz"}]}', r"expected 'image' of training\[0\] at .*gone\.nii\.gz"),
        (
            '{"training": [{"image": "a.nii.gz", "lungs": "l.nii"}]}',
            r"expected 'lungs' of training\[0\] at .*l\.nii",
        ),
        (
            '{"training": [{"image": "a.nii.gz", "exclude_slices": [1.5]}]}',
            r"expected whole numbers .* got \[1\.5\]",
        ),
    ],
)
def test_a_broken_list_is_named(tmp_path: Path, content: str, message: str):
    touch(tmp_path / "a.nii.gz")
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(InputError, match=rf"dataset\.json: .*{message}|dataset\.json: {message}"):
        load_datalist(tmp_path, "training")


def test_what_a_server_keeps_beside_its_cts_is_passed_over(tmp_path: Path):
    touch(tmp_path / "a.nii.gz", tmp_path / "datastore_v2.json", tmp_path / "labels" / "final" / "a.nii.gz")
    touch(tmp_path / "p" / "monailabel" / "datastore_v2.json", tmp_path / "p" / "monailabel" / "copy.nii.gz")
    dicom(tmp_path / "p" / "series", "1")
    touch(tmp_path / "other" / "labels" / "b.nii.gz")  # no server's
    assert names(tmp_path) == ["a", "b", "series"]
