"""A small DICOMweb server over HTTP: searches, in pages where asked, retrieves and stores."""

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pydicom
from pydicom.dataset import Dataset

SERIES = ("StudyInstanceUID", "SeriesInstanceUID", "Modality")
BOUNDARY = "edge"


class SmallPACS(ThreadingHTTPServer):
    """Holds DICOM files in memory.

    Args:
        page: the most results of one answer to a search.

    Attributes:
        files: what it holds, in the order of arrival.
    """

    def __init__(self, page: int) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.page, self.files = page, list[Dataset]()
        self.url = f"http://127.0.0.1:{self.server_port}/dicom-web"

    def load(self, *paths: Path) -> None:
        """Takes files in."""
        self.files += [pydicom.dcmread(path) for path in paths]

    def series(self) -> dict[str, list[Dataset]]:
        """Groups the files by series."""
        found: dict[str, list[Dataset]] = {}
        for file in self.files:
            found.setdefault(file.SeriesInstanceUID, []).append(file)
        return found


class _Answers(BaseHTTPRequestHandler):
    server: SmallPACS

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        asked = dict(parse_qsl(address.query))
        parts = address.path.removeprefix("/dicom-web/").split("/")
        if parts == ["series"]:
            found = [(files[0], len(files)) for files in self.server.series().values()]
            return self._page([_described(file, count) for file, count in found if _fits(file, asked)], asked)
        held = self.server.series().get(parts[3], [])
        if parts[4:] == ["instances"]:
            return self._page([{**_described(file, len(held)), **_uid(file)} for file in held], asked)
        if parts[4:] == ["metadata"]:
            return self._send(json.dumps([_header(file) for file in held]).encode(), "application/dicom+json")
        if parts[4:5] == ["instances"]:
            held = [file for file in held if file.SOPInstanceUID == parts[5]]
        head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        body = b"".join(head + _bytes(file) + b"\r\n" for file in held) + f"--{BOUNDARY}--".encode()
        self._send(body, f'multipart/related; type="application/dicom"; boundary={BOUNDARY}')

    def do_POST(self) -> None:
        boundary = self.headers["Content-Type"].partition("boundary=")[2].strip('"')
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for part in body.split(f"--{boundary}".encode())[1:-1]:
            content = part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
            self.server.files.append(pydicom.dcmread(io.BytesIO(content)))
        self._send(b"{}", "application/dicom+json")

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _page(self, found: list[Any], asked: dict[str, str]) -> None:
        begin = int(asked.get("offset", 0))
        page = found[begin : begin + self.server.page]
        self._send(json.dumps(page).encode(), "application/dicom+json")

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def small_pacs(page: int = 1000) -> Iterator[SmallPACS]:
    """Runs it until the block ends."""
    with SmallPACS(page) as pacs:
        threading.Thread(target=pacs.serve_forever, daemon=True).start()
        yield pacs
        pacs.shutdown()


def _fits(file: Dataset, asked: dict[str, str]) -> bool:
    return all(file.get(key) == asked[key] for key in SERIES if key in asked)


def _described(file: Dataset, count: int) -> dict[str, Any]:
    found = Dataset()
    for key in SERIES:
        setattr(found, key, file.get(key))
    found.NumberOfSeriesRelatedInstances = count
    return dict(found.to_json_dict())


def _uid(file: Dataset) -> dict[str, Any]:
    found = Dataset()
    found.SOPInstanceUID = file.SOPInstanceUID
    return dict(found.to_json_dict())


def _header(file: Dataset) -> dict[str, Any]:
    return {tag: value for tag, value in file.to_json_dict().items() if tag != "7FE00010"}


def _bytes(file: Dataset) -> bytes:
    whole = io.BytesIO()
    file.save_as(whole, write_like_original=False)
    return whole.getvalue()
