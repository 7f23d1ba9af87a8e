"""The record of the studies: never half-written, and read whatever names lie in the folder."""

import json
import os
import shutil
from pathlib import Path

import pytest

from monailabel_app.lib.studies import LocalStudies


def test_a_record_is_never_half_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studies = LocalStudies(str(folder))
    before = (folder / "datastore_v2.json").read_text()

    def killed(path: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        studies.update_image_info("a", {"score": 1})
    assert (folder / "datastore_v2.json").read_text() == before


def test_a_name_that_is_not_utf_8_is_passed_over(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An old ZIP may leave such a file; in the record it would be unreadable."""
    shutil.copy(folder / "a.nii.gz", folder / os.fsdecode(b"M\xfcller.nii.gz"))
    studies = LocalStudies(str(folder))
    studies.refresh()
    studies.update_image_info("a", {"score": 1})
    assert studies.list_images() == LocalStudies(str(folder)).list_images() == ["a"]
    assert caplog.text.count(r"'M\udcfcller.nii.gz' is passed over") == 2  # Once for each of the two.


def test_a_record_with_such_a_name_is_read(folder: Path) -> None:
    LocalStudies(str(folder)).update_image_info("a", {"score": 1, "comment": "done \ud83d"})
    path = folder / "datastore_v2.json"
    record = json.loads(path.read_text())
    record["objects"]["M\udcfcller"] = record["objects"]["a"]
    path.write_text(json.dumps(record))
    (folder / os.fsdecode(b"M\xfcller.nii.gz")).touch()
    studies = LocalStudies(str(folder))
    assert studies.list_images() == ["a"]
    assert studies.get_image_info("a")["score"] == 1
    assert json.dumps(studies.json(), ensure_ascii=False).encode()  # As an answer is written.
