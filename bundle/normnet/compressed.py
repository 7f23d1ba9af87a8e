"""Compressed NRRD and MetaImage files: ITK takes what it got out of a corrupt one as the volume."""

import os
import re
import zlib
from pathlib import Path
from typing import BinaryIO

__all__ = ["CHUNK", "check_compressed"]

CHUNK = 2**16
"""Bytes read together; voxels of one value become a thousand times as many."""

ZLIB_OR_GZIP = zlib.MAX_WBITS | 32
"""Tells zlib to find out by itself which of the two it reads."""

SKIPS = {"headersize", "line skip", "lineskip", "byte skip", "byteskip"}
"""Fields by which the compressed voxels may begin later; no writer of CTs is known to use them."""


def check_compressed(path: Path) -> None:
    """Decompresses the voxels of a NRRD or MetaImage to their end, where they are compressed.

    Voxels in more files than one, or after a skip, are left to ITK.

    Raises:
        zlib.error: when the voxels are corrupt.
        EOFError: when they are truncated.
    """
    with path.open("rb") as file:
        fields = _fields(file, last="elementdatafile" if path.suffix.lower() in (".mha", ".mhd") else "")
        compressed = fields.get("compresseddata", "")[:1] in ("T", "t", "1")
        compressed |= fields.get("encoding", "").lower() in ("gzip", "gz")
        if not compressed or fields.keys() & SKIPS:
            return
        names = (fields.get(name) for name in ("elementdatafile", "data file", "datafile"))
        name = next((name for name in names if name), "local")
        if name.lower() == "local":
            _decompress(file)
        elif (path.parent / name).is_file():
            with (path.parent / name).open("rb") as detached:
                _decompress(detached)


def _fields(file: BinaryIO, *, last: str) -> dict[str, str]:
    """Reads the header up to its last field, in lower case; a NRRD's ends with an empty line."""
    fields = {}
    for line in file:
        name, *value = re.split("[:=]", os.fsdecode(line), maxsplit=1)
        fields[name.strip().lower()] = "".join(value).strip()
        if name.strip().lower() == last:
            break
    return fields


def _decompress(file: BinaryIO) -> None:
    stream = zlib.decompressobj(ZLIB_OR_GZIP)
    while not stream.eof:
        chunk = file.read(CHUNK)
        if not chunk:
            raise EOFError
        stream.decompress(chunk)
