"""What is checked before ITK reads a file: where it would end the interpreter, or make up voxels or a grid."""

import os
import re
import zlib
from pathlib import Path
from typing import BinaryIO

from normnet.errors import InputError

__all__ = ["META_IMAGE", "check_compressed", "check_meta_image", "check_name"]

META_IMAGE = (".mha", ".mhd")

META_FIELDS = {
    "an ElementSpacing": ("ElementSpacing", "ElementSize"),
    "a TransformMatrix": ("TransformMatrix", "Orientation", "Rotation"),
}
"""What a MetaImage has to say, by any of these names; ITK would make it up."""

CHUNK = 2**16
"""Bytes read together; voxels of one value become a thousand times as many."""

ZLIB_OR_GZIP = zlib.MAX_WBITS | 32
"""Tells zlib to find out by itself which of the two it reads."""

SKIPS = {"HeaderSize", "line skip", "lineskip", "byte skip", "byteskip"}
"""Fields by which the compressed voxels may begin later; no writer of CTs is known to use them."""


def check_name(path: Path) -> None:
    """Raises InputError where the name is not UTF-8, at which ITK ends the interpreter."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{str(path)!a}: expected a name in UTF-8, got bytes of another encoding; rename it."
        ) from error


def check_meta_image(path: Path) -> None:
    """Raises InputError where ITK would make up the size of voxels or their axes."""
    with path.open("rb") as file:
        fields = _fields(file, last="ElementDataFile")
    for wanted, names in META_FIELDS.items():
        if fields.keys().isdisjoint(names):
            raise InputError(f"{path}: expected {wanted} in the header, it has none.")


def check_compressed(path: Path) -> None:
    """Decompresses the voxels of a NRRD or MetaImage, if they are compressed: of corrupt ones ITK takes what it gets.

    Voxels in more files than one, or after a skip, are left to ITK.

    Raises:
        InputError: when the header does not say how many compressed bytes follow in the file itself.
        zlib.error: when the voxels are corrupt.
        EOFError: when they are truncated.
    """
    meta = path.suffix.lower() in META_IMAGE
    with path.open("rb") as file:
        fields = _fields(file, last="ElementDataFile" if meta else "")
        compressed = fields.get("CompressedData", "")[:1] in ("T", "t", "1")
        compressed |= fields.get("encoding", "").lower() in ("gzip", "gz")
        if not compressed or fields.keys() & SKIPS:
            return
        names = (fields.get(name) for name in ("ElementDataFile", "data file", "datafile"))
        name = next((name for name in names if name), "LOCAL")
        if name.upper() != "LOCAL":
            if (path.parent / name).is_file():
                with (path.parent / name).open("rb") as detached:
                    _decompress(detached)
            return
        if meta and "CompressedDataSize" not in fields:
            raise InputError(f"{path}: expected a CompressedDataSize in the header, it has none.")
        _decompress(file)


def _fields(file: BinaryIO, *, last: str) -> dict[str, str]:
    """Reads the header up to its last field; a NRRD's ends with an empty line."""
    fields = {}
    for line in file:
        name, *value = re.split("[:=]", os.fsdecode(line), maxsplit=1)
        fields[name.strip()] = "".join(value).strip()
        if name.strip() == last:
            break
    return fields


def _decompress(file: BinaryIO) -> None:
    stream = zlib.decompressobj(ZLIB_OR_GZIP)
    while not stream.eof:
        chunk = file.read(CHUNK)
        if not chunk:
            raise EOFError
        stream.decompress(chunk)
