"""The corrections as one ZIP: `/datastore/dataset`.

Faults of MONAI Label 0.8.5 that are worked around here, and nowhere else: each download leaves its ZIP, all corrected
CTs, in the temporary folder; and where nothing is corrected yet, the answer is a 500.
"""

from typing import Any

from fastapi import HTTPException
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
    try:
        answer = upstream_download(limit_cases)
    except AssertionError as error:  # so it says that there is nothing to put into the ZIP
        raise HTTPException(status_code=404, detail="There are no corrections yet.") from error
    answer.background = BackgroundTask(remove_file, answer.path)
    return answer
