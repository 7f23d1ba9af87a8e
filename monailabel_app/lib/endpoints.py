"""MONAI Label's endpoints, off the event loop, closed to paths, and with one sentence for each error.

Faults of MONAI Label 0.8.5 that are worked around here, and nowhere else:

- Its endpoints are coroutines that block: while one client's inference runs, no other client gets an answer.
- `image`, `id` and `tag` become parts of paths unchecked, and `/infer` opens any file of the server that it is given.
- Unknown models and images, and input that cannot be used, are a bare 500; a session that has expired is an image of
  no name, for which the server's own working directory is taken.
- Temporary files of a request that fails stay.
- `PUT /model` writes over the weights that serve, `DELETE /model` takes them away.

Each endpoint is registered once more, in front of MONAI Label's own, with the same signature: authentication and
roles stay as they are.
"""

import asyncio
import inspect
import json
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
    model,
    scoring,
    session,
    train,
)
from monailabel.interfaces.datastore import DefaultLabelTag
from monailabel.interfaces.exception import (
    ImageNotFoundException,
    LabelNotFoundException,
    MONAILabelException,
)
from monailabel.interfaces.utils.app import app_instance
from urllib3.exceptions import HTTPError

from normnet.errors import input_error_in

from .names import SAFE_NAME

__all__ = ["harden_endpoints", "in_words"]

logger = logging.getLogger(__name__)

NAMES = ("image", "id", "label", "tag", "model", "session_id", "strategy", "method")
"""Arguments of the endpoints that are names."""

FROM_THE_ADDRESS = ("image", "model", "session")
"""Keys that a request's params may not set: they would put a path in the place of a checked name."""

CLOSED = {("PUT", "/model/{model}"), ("DELETE", "/model/{model}"), ("POST", "/infer/wsi/{model}")}
"""Endpoints that would change the weights in place or open files outside the studies."""

MASKS = ("POST", "/infer/{model}")
"""The endpoint whose requests wait for each other: many of them may wait at once."""

MODULES = (info, infer, batch_infer, train, activelearning, scoring, datastore, session, model)


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
            closed = bool(lines & CLOSED)
            safe = in_threads_apart if MASKS in lines else in_a_thread
            router.add_api_route(
                settings.MONAI_LABEL_API_STR + route.path,
                _closed if closed else safe(route.endpoint),
                methods=sorted(route.methods),
                summary=route.summary,
                tags=route.tags,
                responses=route.responses,
                include_in_schema=route.include_in_schema and not closed,
            )
    server.app.router.routes[:0] = router.routes


def in_a_thread(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Makes an endpoint that FastAPI runs in a thread, with checked names and errors in words."""

    def run(**arguments: Any) -> Any:
        try:
            _check(arguments)
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


def _closed() -> None:
    raise HTTPException(
        status_code=403,
        detail="Weights change by training alone; its option 'restore' brings older ones back.",
    )


def _routes(routes: Iterable[Any]) -> Iterable[APIRoute]:
    return (route for route in routes if isinstance(route, APIRoute))


def _check(arguments: dict[str, Any]) -> None:
    """Refuses names that are paths, images that are not among the studies, and sessions that are over."""
    for name in NAMES:
        value = arguments.get(name)
        if isinstance(value, str) and value and not SAFE_NAME.fullmatch(value):
            raise HTTPException(
                status_code=422, detail=f"{name}: expected a name, not a path, got {value!r}."
            )
    if isinstance(arguments.get("info"), str):
        arguments["info"] = json.dumps(_json_object("info", arguments["info"]))
    writes_masks = "model" in arguments
    if isinstance(arguments.get("params"), str):
        params = _json_object("params", arguments["params"])
        arguments["params"] = json.dumps(_checked_params(params, writes_masks))
    elif isinstance(arguments.get("params"), dict):
        arguments["params"] = _checked_params(arguments["params"], writes_masks)
    if "output" in arguments and "session_id" in arguments:
        if arguments.get("image"):
            _check_known(arguments["image"])
        if arguments.get("session_id"):
            _check_session(arguments["session_id"])


def _json_object(name: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise HTTPException(status_code=422, detail=f"{name}: expected JSON, {error}.") from error
    if not isinstance(value, dict):
        raise HTTPException(status_code=422, detail=f"{name}: expected a JSON object, got {text!r}.")
    return value


def _checked_params(params: dict[str, Any], writes_masks: bool) -> dict[str, Any]:
    if writes_masks:
        _check_label_tag(params.get("label_tag", DefaultLabelTag.ORIGINAL.value))
    for image in params["images"] if isinstance(params.get("images"), list) else []:
        _check_known(image)
    return {key: value for key, value in params.items() if key not in FROM_THE_ADDRESS}


def _check_label_tag(tag: Any) -> None:
    """Keeps the masks of models out of other folders, and from taking the place of an annotator's correction."""
    if not isinstance(tag, str) or not SAFE_NAME.fullmatch(tag) or tag == DefaultLabelTag.FINAL.value:
        raise HTTPException(
            status_code=422,
            detail=f"label_tag: expected a name other than {DefaultLabelTag.FINAL.value!r}, got {tag!r}.",
        )


def _check_session(session_id: str) -> None:
    sessions = app_instance().sessions()
    if sessions is None or sessions.get_session(session_id) is None:
        raise HTTPException(
            status_code=404, detail=f"The session {session_id!r} has expired; upload the image again."
        )


def _check_known(image: Any) -> None:
    if image not in app_instance().datastore().list_images():
        raise HTTPException(status_code=404, detail=f"There is no image {image!r} among the studies.")


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
    logger.exception("An endpoint failed")
    if isinstance(error, OSError):
        return HTTPException(
            status_code=507, detail=f"The server cannot read or write: {error.strerror or error}."
        )
    return HTTPException(status_code=500, detail=f"{type(error).__name__}: {error}")
