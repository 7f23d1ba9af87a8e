"""Answers of a DICOMweb server: a whole one is taken apart, one that ends early is an error."""

import pytest
import requests
from monailabel.datastore.dicom import DICOMwebClientX

from monailabel_app.lib.pacs_client import PACSClient

ADDRESS = "http://127.0.0.1:8042/dicom-web"
PART = b"--edge\r\nContent-Type: application/dicom\r\n\r\n%s\r\n"
WHOLE = PART % b"first slice" + PART % b"second slice" + b"--edge--\r\n"


def answer(
    body: bytes, kind: str = 'multipart/related; type="application/dicom"; boundary=edge'
) -> requests.Response:
    response = requests.Response()
    response.status_code, response._content = 200, body
    response.headers["content-type"] = kind
    return response


@pytest.mark.parametrize("end", [b"", b"\r\n"])
def test_a_whole_answer_is_taken_apart(end: bytes) -> None:
    parts = PACSClient(ADDRESS)._decode_multipart_message(answer(WHOLE + end), stream=False)
    assert list(parts) == [b"first slice", b"second slice"]


def test_an_answer_without_a_boundary_is_one_part() -> None:
    parts = PACSClient(ADDRESS)._decode_multipart_message(answer(b"slice", "application/dicom"), stream=False)
    assert list(parts) == [b"slice"]


@pytest.mark.parametrize("length", [10, 70, 120, len(WHOLE) - 4])
def test_an_answer_that_ends_early_is_an_error(length: int) -> None:
    with pytest.raises(requests.ConnectionError, match=f"ended after {length} bytes"):
        PACSClient(ADDRESS)._decode_multipart_message(answer(WHOLE[:length]), stream=False)


def test_monai_labels_client_still_takes_it_for_a_whole_one() -> None:
    """Fails when dicomweb-client (0.60.1) is mended: then PACSClient's check can go."""
    cut = WHOLE[: WHOLE.index(b"d slice")]
    parts = DICOMwebClientX(ADDRESS)._decode_multipart_message(answer(cut), stream=False)
    assert list(parts) == [b"first slice", b"secon"]
