"""Images that clients upload for a while (sessions).

Fault of MONAI Label 0.8.5 that is worked around here, and nowhere else: an archive of which a member is named
`../../x` is unpacked to where that leads, and one that cannot be unpacked stays in the temporary folder.
"""

import gzip
import lzma
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

from monailabel.utils.sessions import Sessions

from normnet.errors import InputError

__all__ = ["Uploads"]

BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,  # A ZIP that wants a password, or a compression that is not known here.
)


class Uploads(Sessions):  # type: ignore[misc] # MONAI Label ships no types.
    """MONAI Label's sessions, into whose archives nobody can put a file for elsewhere."""

    def add_session(
        self, data_file: str, expiry: int = 0, uncompress: bool = False, session_id: str | None = None
    ) -> tuple[str, Any]:
        """Takes an upload in; see MONAI Label's function of this name.

        Raises:
            InputError: it is to be unpacked and is no archive, a broken or empty one, or one that leaves its folder.
        """
        upload = Path(data_file)
        if not uncompress or upload.is_dir():
            session: tuple[str, Any] = super().add_session(data_file, expiry, False, session_id)
            return session
        try:
            with tempfile.TemporaryDirectory() as folder:
                unpacked = Path(folder) / "images"
                _unpack(upload, unpacked)
                session = super().add_session(str(unpacked), expiry, False, session_id)
        except Exception:
            # MONAI Label's endpoint takes the folder that it made for the upload away after a success alone.
            upload.unlink()
            upload.parent.rmdir()
            raise
        return session


def _unpack(archive: Path, folder: Path) -> None:
    """Unpacks files and folders; links, which a CT has none of, are left out."""
    try:
        if tarfile.is_tarfile(archive):
            with tarfile.open(archive) as tar:
                files = [member for member in tar if member.isreg() or member.isdir()]
                tar.extractall(folder, files, filter="data")
        else:
            with zipfile.ZipFile(archive) as pack:
                pack.extractall(folder)  # It takes `..` and a leading / out of names.
    except BROKEN as error:
        raise InputError(
            f"{archive.name}: expected an archive (ZIP or TAR) that unpacks into one folder, got another: {error}."
        ) from error
    if not any(path.is_file() for path in folder.rglob("*")):
        raise InputError(f"{archive.name}: expected an archive with files, got an empty one.")
