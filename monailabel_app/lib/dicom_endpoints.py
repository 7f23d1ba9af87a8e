"""What this app does in the place of two of MONAI Label 0.8.5's functions, whose faults these are.

`/infer/{model}?output=dicom_seg`:

- Without `label_info` in the params it is a 404: here the model's own labels do.
- It takes studies on a DICOMweb server alone: here a local folder of DICOM too.
- A mask without a voxel is a 500: here it is a SEG of empty slices.
- It needs a binary on PATH; the file it writes stays in the temporary folder.

`/proxy/dicom`, through which OHIF reads the PACS:

- It drops what the browser accepts, so that the PACS has to decompress each slice; Orthanc without a JPEG 2000 decoder
  answers 500 and OHIF shows grey panes: here frames are asked for as the browser does.
- It waits for the PACS on the event loop, where no other client gets an answer meanwhile; one that has stopped is a
  bare 500.
"""

import asyncio
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import requests
import SimpleITK as sitk
from fastapi import Request
from fastapi.background import BackgroundTasks
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, Response
from monailabel.endpoints import infer, proxy
from monailabel.interfaces.utils.app import app_instance
from monailabel.utils.others.generic import remove_file
from urllib3.exceptions import HTTPError

from normnet.errors import InputError

from .dicom_folder import SeriesStudies
from .dicom_seg import write_seg
from .dicomweb import DICOMWebStudies
from .endpoints import in_words
from .segments import segments_from

__all__ = ["answer_dicom_seg", "pass_frames_on"]

upstream_infer, upstream_proxy = infer.run_inference, proxy.proxy_dicom
"""MONAI Label's own: its endpoints look them up by name, the only place where an app can step in."""


def answer_dicom_seg() -> None:
    """Makes this process answer `/infer/{model}?output=dicom_seg` for every image that is a DICOM series."""
    infer.run_inference = run_inference


def pass_frames_on() -> None:
    """Makes this process pass slices from a DICOMweb server on to OHIF as they are stored."""
    proxy.proxy_dicom = proxy_dicom


def run_inference(
    background_tasks: BackgroundTasks,
    model: str,
    image: str = "",
    session_id: str = "",
    params: str = "{}",
    file: Any = None,
    label: Any = None,
    output: Any = None,
) -> Any:
    """Runs a model; see MONAI Label's function of this name.

    Raises:
        InputError: a SEG is wanted of an image that is no DICOM series, or under labels that are none.
    """
    if output != "dicom_seg":
        return upstream_infer(background_tasks, model, image, session_id, params, file, label, output)
    studies = app_instance().datastore()
    if not isinstance(studies, SeriesStudies) or not image:
        raise InputError("output=dicom_seg: expected an image that is a DICOM series among the studies.")
    wanted = {**json.loads(params or "{}"), "result_extension": ".nrrd"}
    answer = upstream_infer(
        background_tasks, model, image, session_id, json.dumps(wanted), file, label, "image"
    )
    mask = sitk.ReadImage(answer.path)
    Path(answer.path).unlink()
    segments = segments_from(wanted.get("label_info"), app_instance().info()["models"][model]["labels"])
    handle, seg = tempfile.mkstemp(suffix=".dcm")
    os.close(handle)
    background_tasks.add_task(remove_file, seg)
    try:
        write_seg(mask, studies.series_folder(image), segments, Path(seg))
    except InputError:
        remove_file(seg)
        raise
    return FileResponse(seg, media_type="application/dicom", filename=f"{model}.dcm")


async def proxy_dicom(request: Request, op: str, path: str) -> Response:
    """Passes a request on to the DICOMweb server; see MONAI Label's function of this name."""
    await request.body()  # The request keeps it: the thread below has an event loop of its own.
    try:
        return await run_in_threadpool(_pass_on, request, op, path)
    except (requests.RequestException, HTTPError) as error:
        raise in_words(error) from error


def _pass_on(request: Request, op: str, path: str) -> Response:
    studies = app_instance().datastore()
    if request.method != "GET" or "/frames/" not in path or not isinstance(studies, DICOMWebStudies):
        answer: Response = asyncio.run(upstream_proxy(request, op, path))
        return answer
    frame = studies.frame(path, request.headers.get("accept", "*/*"))
    return Response(frame.content, frame.status_code, {"content-type": frame.headers.get("content-type", "")})
