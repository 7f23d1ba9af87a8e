"""Answers of a DICOMweb server: a whole one is taken apart, one that ends early is an error."""

import json
from typing import Any

import pytest
import requests
from monailabel.datastore.dicom import DICOMwebClientX

from monailabel_app.lib.pacs_client import PACSClient

ADDRESS = "http://127.0.0.1:8042/dicom-web"
PART = b"--edge\r\nContent-Type: application/dicom\r\n\r\n%s\r\n"
WHOLE = PART % b"first slice" + PART % b"second slice" + b"--edge--\r\n"


SERIES = [{"0020000E": {"vr": "UI", "Value": [f"1.2.{number}"]}} for number in range(5)]


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


def searching(client: DICOMwebClientX, page: int | None, most: int = 10) -> list[int]:
    """Gives the client a server of five series in pages; None knows no pages. Returns the offsets, as they come."""
    asked: list[int] = []

    def get(url: str, params: dict[str, Any], **options: Any) -> requests.Response:
        asked.append(params["offset"])
        if len(asked) > most:
            raise TimeoutError("it asks for ever")
        found = SERIES if page is None else SERIES[params["offset"] : params["offset"] + page]
        return answer(json.dumps(found).encode(), "application/dicom+json")

    client._http_get = get
    return asked


@pytest.mark.parametrize(("page", "offsets"), [(2, [0, 2, 4, 5]), (5, [0, 5]), (None, [0, 5])])
def test_a_search_goes_on_until_a_page_brings_nothing_new(page: int | None, offsets: list[int]) -> None:
    client = PACSClient(ADDRESS)
    asked = searching(client, page)
    assert client.search_for_series(get_remaining=True) == SERIES
    assert asked == offsets


def test_monai_labels_client_still_searches_for_ever() -> None:
    """Fails when dicomweb-client (0.60.1) is mended: then PACSClient's pages can go."""
    client = DICOMwebClientX(ADDRESS)
    searching(client, page=None)
    with pytest.raises(TimeoutError):
        client.search_for_series(get_remaining=True)
