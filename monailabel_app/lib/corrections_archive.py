"""The corrections as one ZIP: `/datastore/dataset`.

Fault of MONAI Label 0.8.5 that is worked around here, and nowhere else: each download leaves its ZIP, all corrected
CTs, in the temporary folder.
"""

from typing import Any

from monailabel.endpoints import datastore
from monailabel.utils.others.generic import remove_file
from starlette.background import BackgroundTask

__all__ = ["remove_sent_archives", "upstream_download"]

upstream_download = datastore.download_dataset
"""MONAI Label's own: its endpoint looks it up by name, the only place where an app can step in."""


def remove_sent_archives() -> None:
    """Makes this process remove the ZIP once it is sent."""
    datastore.download_dataset = _download_dataset


def _download_dataset(limit_cases: int | None = None) -> Any:
    answer = upstream_download(limit_cases)
    answer.background = BackgroundTask(remove_file, answer.path)
    return answer
