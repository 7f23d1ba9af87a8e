"""The client of a DICOMweb server (PACS): an answer is whole and comes in time, or it is an error.

Faults of dicomweb-client 0.60.1, which MONAI Label 0.8.5 takes, that are worked around here:

- An answer that ends early, as that of a server that is killed does, passes for a whole one: Orthanc states no length
  of a series, so part of one would be kept for good. Here the boundary that closes it must be there.
- It asks for page after page until one is empty: for ever, where a server does not know `offset` and sends the same.
- It waits for ever for a server that is silent, and asks one that is gone five times, for a quarter of a minute.
"""

import json
from collections.abc import Iterator
from typing import Any

import requests
from dicomweb_client.session_utils import create_session_from_user_pass
from monailabel.config import settings
from monailabel.datastore.dicom import DICOMwebClientX
from requests.adapters import HTTPAdapter

__all__ = ["PACSClient", "dicomweb_client"]

SILENCE_SECONDS = 30.0
"""Longest that the server may send nothing."""


class PACSClient(DICOMwebClientX):  # type: ignore[misc] # MONAI Label ships no types.
    """MONAI Label's client, for which half an answer is none."""

    def _decode_multipart_message(self, response: requests.Response, stream: bool) -> Iterator[bytes]:
        """Takes an answer apart.

        Raises:
            requests.ConnectionError: the answer ends before its closing boundary (RFC 2046, 5.1.1).
        """
        boundary = _boundary(response.headers["content-type"])
        if boundary and not response.content.rstrip().endswith(f"--{boundary}--".encode()):
            raise requests.ConnectionError(
                f"the answer ended after {len(response.content)} bytes, before it was complete: {response.url}"
            )
        parts: Iterator[bytes] = super()._decode_multipart_message(response, stream)
        return parts

    def _http_get_application_json(
        self,
        url: str,
        params: dict[str, Any] | None = None,
        stream: bool = False,
        get_remaining: bool = False,
    ) -> list[dict[str, Any]]:
        """Searches; with `get_remaining` page by page, until one brings nothing new."""
        search, offset = super()._http_get_application_json, 0
        if not get_remaining:
            return list(search(url, params, stream))
        found: dict[str, dict[str, Any]] = {}
        while page := search(url, {**(params or {}), "offset": offset}, stream):
            known = len(found)
            found |= {json.dumps(item, sort_keys=True): item for item in page}
            if len(found) == known:
                break
            offset += len(page)
        return list(found.values())


class _WithTimeout(HTTPAdapter):
    """Gives each request the timeout that the client leaves out."""

    def send(self, request: Any, *arguments: Any, **options: Any) -> requests.Response:
        return super().send(request, *arguments, **{**options, "timeout": SILENCE_SECONDS})


def dicomweb_client(address: str) -> PACSClient:
    """Connects to a DICOMweb server, by MONAI Label's settings: user, password and prefixes.

    Args:
        address: http://127.0.0.1:8042/dicom-web.
    """
    user, password = settings.MONAI_LABEL_DICOMWEB_USERNAME, settings.MONAI_LABEL_DICOMWEB_PASSWORD
    session = create_session_from_user_pass(user, password) if user and password else requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _WithTimeout())
    client = PACSClient(
        url=address.rstrip("/"),
        session=session,
        qido_url_prefix=settings.MONAI_LABEL_QIDO_PREFIX,
        wado_url_prefix=settings.MONAI_LABEL_WADO_PREFIX,
        stow_url_prefix=settings.MONAI_LABEL_STOW_PREFIX,
    )
    client.set_http_retry_params(retry=False)
    return client


def _boundary(content_type: str) -> str:
    """Reads what parts an answer; "" where the header does not tell."""
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "boundary":
            return value.strip('"')
    return ""
