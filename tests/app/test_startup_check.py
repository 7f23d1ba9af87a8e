"""What stops a start, and with which sentence."""

import shutil
import sys
from pathlib import Path

import pytest

from monailabel_app.lib.dicom_folder import DICOMFolderStudies
from monailabel_app.lib.startup_check import check_options, check_writable, warn_of_others
from monailabel_app.lib.studies import LocalStudies
from normnet.errors import InputError
from tests.app.dicom_series import write_series
from tests.normnet.ct_files import phantom, write_nifti


@pytest.fixture(autouse=True)
def _tracebacks_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "tracebacklimit", 1000, raising=False)  # What refuses sets it, for its process.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    (tmp_path / "bad.json").write_text("{not json")
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "overlay.json").write_text('{"votes": "majority"}')
    (tmp_path / "empty").mkdir()
    (tmp_path / "healthy").mkdir()
    write_nifti(tmp_path / "healthy" / "a.nii.gz", phantom())
    return tmp_path


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("overlay", "nosuch.json", r"^PATH: expected a JSON file .* \(No such file or directory\)\.$"),
        ("overlay", "bad.json", r"^PATH: expected a JSON file .* \(Expecting property name .*\)\.$"),
        ("overlay", "file", r"^PATH: expected a JSON file .* \(unknown file input: .*\)\.$"),
        ("overlay", "list.json", r"^PATH: expected JSON with settings by their names, got a list\.$"),
        ("model_dir", "file", r"^PATH: expected a folder for fine-tuned weights, but .*/file is a file\.$"),
        ("model_dir", "file/deeper", r"^PATH: expected a folder .* but .*/file is a file\.$"),
        ("healthy", "nosuch", r"^--conf healthy: PATH: expected a CT or a folder of CTs"),
        ("healthy", "empty", r"^--conf healthy: PATH: expected DICOM folders or files"),
    ],
)
def test_an_option_that_cannot_be_is_one_sentence(
    folder: Path, option: str, value: str, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence.replace("PATH", str(folder / value))):
        check_options({option: str(folder / value)})


def test_an_option_that_nothing_reads_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    check_options({"modeldir": "empty", "server_mode": "true"})
    (said,) = caplog.messages
    assert said == "--conf modeldir: nothing reads it; this app has bundle, overlay, model_dir, healthy."


def test_what_can_be_is_taken_and_nothing_is_made(folder: Path) -> None:
    options = {"overlay": "overlay.json", "model_dir": "new/model", "healthy": "healthy"}
    check_options({name: str(folder / value) for name, value in options.items()})
    check_options({"bundle": "", "overlay": "", "server_mode": "true"})
    check_writable(folder / "new" / "monailabel")
    assert not (folder / "new").exists()


def test_a_studies_folder_that_cannot_be_written_to_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"^/proc: results cannot be written here \(.*\)\.$"):
        check_writable(Path("/proc"))


def test_scans_that_are_not_offered_are_counted_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_nifti(tmp_path / "a.nii.gz", phantom())
    for own in ("a_lungs.nii.gz", "labels/final/a.nii.gz", "labels/original/a.nii.gz"):
        (tmp_path / own).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / "a.nii.gz", tmp_path / own)
    warn_of_others(str(tmp_path), LocalStudies(str(tmp_path)))
    assert not caplog.text
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for other in ("UP.NII.GZ", "deep/er/b.nii.gz", "m.mhd", "z.nhdr"):
        (tmp_path / other).touch()
    warn_of_others(str(tmp_path), LocalStudies(str(tmp_path)))
    assert "not offered are 4 of the scans found here ('UP.NII.GZ', 'deep/er/b.nii.gz', 'm.mhd', ...)" in (
        caplog.text
    )


def test_files_beside_dicom_are_not_offered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_series(tmp_path / "ct", phantom(), (3.0, 3.0, 5.0))
    studies = DICOMFolderStudies(tmp_path)
    warn_of_others(str(tmp_path), studies)
    assert not caplog.text
    studies.get_image_uri(studies.list_images()[0])
    write_nifti(tmp_path / "a.nii.gz", phantom())
    warn_of_others(str(tmp_path), studies)
    assert "not offered are 1 of the scans found here ('a.nii.gz'): " in caplog.text


def test_studies_that_cannot_be_listed_do_not_stop_the_start(tmp_path: Path) -> None:
    studies = LocalStudies(str(tmp_path))
    warn_of_others(str(tmp_path), studies)
    for name in ("a.nii.gz", "a_lungs.nii.gz", "a_lungs.nrrd"):
        (tmp_path / name).touch()
    warn_of_others(str(tmp_path), studies)
