"""MONAI Label's endpoints, off the event loop, closed to paths, and with one sentence for each error.

Faults of MONAI Label 0.8.5 that are worked around here, and nowhere else:

- Its endpoints are coroutines that block: while one client's inference runs, no other client gets an answer.
- `image`, `id` and `tag` become parts of paths unchecked, and `/infer` opens any file of the server that it is given.
- Unknown models and images, and input that cannot be used, are a bare 500; a session that has expired is an image of
  no name, for which the server's own working directory is taken.
- Temporary files of a request that fails stay.
- `PUT /model` writes over the weights that serve, `DELETE /model` takes them away.
- `/infer/wsi_v2` does what `/infer` does, around all of this.

Each endpoint is registered once more, in front of MONAI Label's own, with the same signature: authentication and
roles stay as they are.
"""

import asyncio
import inspect
import logging
import sys
from collections.abc import Callable, Iterable
from typing import Any

import requests
from fastapi import APIRouter, HTTPException
from fastapi.routing import APIRoute
from monailabel.config import settings
from monailabel.endpoints import (
    activelearning,
    batch_infer,
    datastore,
    infer,
    info,
    logs,
    model,
    scoring,
    session,
    train,
    wsi_infer,
)
from monailabel.interfaces.exception import (
    ImageNotFoundException,
    LabelNotFoundException,
    MONAILabelException,
)
from urllib3.exceptions import HTTPError

from normnet.errors import input_error_in

from .arguments import check_arguments, check_listed

__all__ = ["harden_endpoints", "in_words"]

logger = logging.getLogger(__name__)

WEIGHTS = "Weights change by training alone; its option 'restore' brings older ones back."
SLIDES = "Whole slide imaging is not for CT, which /infer/{model} segments."
CLOSED = {
    ("PUT", "/model/{model}"): WEIGHTS,
    ("DELETE", "/model/{model}"): WEIGHTS,
    ("POST", "/infer/wsi/{model}"): SLIDES,
    ("POST", "/infer/wsi_v2/{model}"): SLIDES,
}
"""Endpoints that would change the weights in place or open files outside the studies, and why they are refused."""

RELOAD = "/reload"
"""An endpoint of the server itself, open to anyone with authentication on, too."""

ONE_APP = "An app that is loaded again beside the one that runs knows nothing of its training: start the server again."

MASKS = ("POST", "/infer/{model}")
"""The endpoint whose requests wait for each other: many of them may wait at once."""

GPU_LIST = "nvidia-smi"
"""The program that `GET /logs/gpu` asks."""

STARTS = {
    batch_infer.api_run: ("model", "models"),
    train.api_run_model: ("model", "trainers"),
    scoring.api_run_method: ("method", "scoring"),
}
"""Endpoints that start a task in the background, which argument names it, and where the app's info lists the names."""

MODULES = (
    info,
    infer,
    wsi_infer,
    batch_infer,
    train,
    activelearning,
    scoring,
    datastore,
    session,
    model,
    logs,
)


def harden_endpoints() -> None:
    """Puts the safe endpoints in front of MONAI Label's own; does nothing in a process that serves nothing."""
    server = sys.modules.get("monailabel.app")
    if server is None or getattr(server.app.state, "hardened", False):
        return
    server.app.state.hardened = True
    router = APIRouter()
    for module in MODULES:
        for route in _routes(module.router.routes):
            lines = {(method, route.path) for method in route.methods}
            refusals = [sentence for line, sentence in CLOSED.items() if line in lines]
            safe = in_threads_apart if MASKS in lines else in_a_thread
            router.add_api_route(
                settings.MONAI_LABEL_API_STR + route.path,
                _closed(*refusals) if refusals else safe(route.endpoint),
                methods=sorted(route.methods),
                summary=route.summary,
                tags=route.tags,
                responses=route.responses,
                include_in_schema=route.include_in_schema and not refusals,
            )
    router.add_api_route(RELOAD, _closed(ONE_APP), methods=["POST"], include_in_schema=False)
    server.app.router.routes[:0] = router.routes


def in_a_thread(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Makes an endpoint that FastAPI runs in a thread, with checked names and errors in words."""

    def run(**arguments: Any) -> Any:
        try:
            check_arguments(arguments)
            if endpoint in STARTS:
                check_listed(arguments, *STARTS[endpoint])
            result = endpoint(**arguments)
            return asyncio.run(result) if inspect.iscoroutine(result) else result
        except Exception as error:
            # FastAPI drops the tasks of an endpoint that fails: they take away its temporary files.
            if "background_tasks" in arguments:
                asyncio.run(arguments["background_tasks"]())
            raise error if isinstance(error, HTTPException) else in_words(error) from error

    run.__name__, run.__doc__ = endpoint.__name__, endpoint.__doc__
    # Not functools.wraps: FastAPI would find the coroutine inside and wait for it on the event loop.
    run.__signature__ = inspect.signature(endpoint)  # type: ignore[attr-defined]
    return run


def in_threads_apart(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """As `in_a_thread`, but in asyncio's threads: requests that wait there take none of FastAPI's from the others."""
    run = in_a_thread(endpoint)

    async def wait(**arguments: Any) -> Any:
        return await asyncio.to_thread(run, **arguments)

    wait.__name__, wait.__doc__ = run.__name__, run.__doc__
    wait.__signature__ = inspect.signature(run)  # type: ignore[attr-defined]
    return wait


def _closed(sentence: str) -> Callable[[], None]:
    def refuse() -> None:
        raise HTTPException(status_code=403, detail=sentence)

    return refuse


def _routes(routes: Iterable[Any]) -> Iterable[APIRoute]:
    return (route for route in routes if isinstance(route, APIRoute))


def in_words(error: Exception) -> HTTPException:
    """Turns an error into an answer; what is not the client's doing keeps its traceback in the log."""
    sentence = input_error_in(error)
    if sentence is not None:
        return HTTPException(status_code=422, detail=str(sentence))
    if isinstance(error, requests.RequestException | HTTPError):
        logger.exception("The DICOMweb server failed")
        return HTTPException(
            status_code=502, detail=f"The DICOMweb server does not answer as it should: {error}"
        )
    if isinstance(error, ImageNotFoundException | LabelNotFoundException | MONAILabelException):
        return HTTPException(status_code=404, detail=str(getattr(error, "msg", error)))
    if isinstance(error, FileNotFoundError) and error.filename == GPU_LIST:
        return HTTPException(status_code=404, detail=f"There is no {GPU_LIST} on this server.")
    logger.exception("An endpoint failed")
    if isinstance(error, OSError):
        return HTTPException(
            status_code=507, detail=f"The server cannot read or write: {error.strerror or error}."
        )
    return HTTPException(status_code=500, detail=f"{type(error).__name__}: {error}")
