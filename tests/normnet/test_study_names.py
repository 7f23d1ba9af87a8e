"""Names of studies: unique, safe for a folder, and as they were when others come."""

from pathlib import Path

import pytest

from normnet.studies import find_studies
from tests.normnet.test_studies import dicom, names, touch


def test_names_are_unique_and_safe_for_a_folder(tmp_path: Path):
    touch(tmp_path / "a" / "ct.nii.gz", tmp_path / "b" / "ct.nii.gz", tmp_path / "b" / "ct.nrrd")
    touch(tmp_path / "b" / "ct_a.nii.gz", tmp_path / "my scan: 1.nii.gz")
    assert names(tmp_path) == ["ct_a", "ct_a_2", "ct_b", "ct_b_2", "my_scan__1"]


def test_repeated_names_take_as_many_folders_as_tell_them_apart(tmp_path: Path):
    touch(*(tmp_path / patient / "CT" / "ct.nii.gz" for patient in ("p2", "p3")))
    touch(tmp_path / "p2" / "HRCT" / "ct.nii.gz")
    assert names(tmp_path) == ["ct_HRCT", "ct_p2_CT", "ct_p3_CT"]
    touch(tmp_path / "p1" / "CT" / "ct.nii.gz", tmp_path / "ct.nii.gz")
    top = f"ct_{tmp_path.name}"
    assert names(tmp_path) == ["ct_HRCT", "ct_p1_CT", "ct_p2_CT", "ct_p3_CT", top]


def test_dicom_media_keep_patients_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for patient in ("PA000001", "PA000002"):
        dicom(tmp_path / patient / "ST000001" / "SE000001", "IM1")
    wanted = ["SE000001_PA000001_ST000001", "SE000001_PA000002_ST000001"]
    assert names(tmp_path) == wanted
    monkeypatch.chdir(tmp_path)
    assert names(Path()) == names(Path("PA000001") / "..") == wanted


def test_a_number_is_the_last_resort(tmp_path: Path):
    touch(tmp_path / "p" / "CT" / "ct.nii.gz", tmp_path / "p" / "CT" / "ct.nrrd", tmp_path / "ct_CT_2.mha")
    assert names(tmp_path) == ["ct_CT", "ct_CT_2", "ct_CT_3"]
    assert find_studies(tmp_path)[1]["image"] == str(tmp_path / "ct_CT_2.mha")


def test_a_name_as_long_as_a_file_system_takes_makes_no_longer_folder(tmp_path: Path):
    longest = ["é" * 123 + end for end in "ab"]
    touch(*(tmp_path / folder / f"{name}.nii.gz" for name in longest for folder in "pq"))
    found = names(tmp_path)
    assert len(set(found)) == 4
    assert all(len(name.encode()) <= 200 and name.startswith("é" * 90) for name in found)
    assert names(tmp_path / "p") == names(tmp_path / "q")
