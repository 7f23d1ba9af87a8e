"""Uploads for a while: what is in an archive lands in its own folder."""

import io
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
from monailabel.utils.sessions import Sessions

from monailabel_app.lib.uploads import Uploads
from normnet.errors import InputError


def tar_of(path: Path, *names: str) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 1
            archive.addfile(member, io.BytesIO(b"x"))
    return path


def zip_of(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return path


def received(tmp_path: Path, archive: Path) -> Path:
    """Puts an archive where MONAI Label's endpoint does: into a folder of its own."""
    folder = tmp_path / "temporary" / "received"
    folder.mkdir(parents=True)
    return Path(shutil.move(archive, folder))


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Uploads:
    """Sessions; what is unpacked goes over tmp_path/temporary."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return Uploads(str(tmp_path / "sessions"))


@pytest.mark.parametrize("pack", [tar_of, zip_of])
def test_what_is_in_an_archive_is_the_sessions_image(tmp_path: Path, uploads: Uploads, pack: object) -> None:
    assert callable(pack)
    archive = received(tmp_path, pack(tmp_path / "ct.archive", "a/1.dcm", "2.dcm"))
    _, session = uploads.add_session(str(archive), uncompress=True)
    image = Path(session.image)
    assert {str(file.relative_to(image)) for file in image.rglob("*.dcm")} == {"a/1.dcm", "2.dcm"}
    assert image.is_relative_to(tmp_path / "sessions")


def test_an_archive_that_leaves_its_folder_is_refused_and_leaves_nothing(
    tmp_path: Path, uploads: Uploads
) -> None:
    archive = received(tmp_path, tar_of(tmp_path / "ct.tar.gz", "1.dcm", "../../escaped.txt"))
    with pytest.raises(InputError, match=r"^ct\.tar\.gz: expected an archive .* outside the destination"):
        uploads.add_session(str(archive), uncompress=True)
    assert not list(tmp_path.rglob("escaped.txt"))
    assert not list((tmp_path / "temporary").iterdir()) and not (tmp_path / "sessions").exists()


def test_a_zip_cannot_leave_its_folder(tmp_path: Path, uploads: Uploads) -> None:
    archive = received(tmp_path, zip_of(tmp_path / "ct.zip", "../../inside.txt"))
    _, session = uploads.add_session(str(archive), uncompress=True)
    assert [file.parent for file in tmp_path.rglob("inside.txt")] == [Path(session.image)]


def test_a_link_in_an_archive_is_left_out(tmp_path: Path, uploads: Uploads) -> None:
    with tarfile.open(tmp_path / "links.tar", "w") as archive:
        link = tarfile.TarInfo("2.dcm")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("1.dcm"), io.BytesIO())
    archive_path = received(tmp_path, tmp_path / "links.tar")
    _, session = uploads.add_session(str(archive_path), uncompress=True)
    assert [file.name for file in Path(session.image).iterdir()] == ["1.dcm"]


@pytest.mark.parametrize("pack", [tar_of, zip_of])
def test_an_archive_without_a_file_is_refused(tmp_path: Path, uploads: Uploads, pack: object) -> None:
    assert callable(pack)
    archive = received(tmp_path, pack(tmp_path / "ct.archive"))
    with pytest.raises(
        InputError, match=r"^ct\.archive: expected an archive with files, got an empty one\.$"
    ):
        uploads.add_session(str(archive), uncompress=True)
    assert not list((tmp_path / "temporary").iterdir()) and not (tmp_path / "sessions").exists()


def test_what_is_no_archive_is_refused(tmp_path: Path, uploads: Uploads) -> None:
    (tmp_path / "ct.zip").write_bytes(b"no archive")
    archive = received(tmp_path, tmp_path / "ct.zip")
    with pytest.raises(InputError, match=r"^ct\.zip: expected an archive \(ZIP or TAR\)"):
        uploads.add_session(str(archive), uncompress=True)
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.filterwarnings("ignore")  # It unpacks without a filter, into a folder that it lets go of.
def test_monai_label_still_unpacks_to_anywhere(tmp_path: Path, uploads: Uploads) -> None:
    """Fails when MONAI Label (0.8.5) or Python's own default is mended: then `Uploads` can be taken out."""
    archive = received(tmp_path, tar_of(tmp_path / "ct.tar.gz", "1.dcm", "../escaped.txt"))
    Sessions(str(tmp_path / "sessions")).add_session(str(archive), uncompress=True)
    assert (tmp_path / "temporary" / "escaped.txt").is_file()
