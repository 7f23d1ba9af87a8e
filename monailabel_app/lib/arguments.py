"""What a request may say: names are no paths, images are among the studies, JSON is what it is to be."""

import json
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from monailabel.interfaces.datastore import DefaultLabelTag
from monailabel.interfaces.utils.app import app_instance

from .names import SAFE_NAME
from .scoring import SCORE, SCORED_BY

__all__ = ["check_arguments", "check_listed"]

NAMES = ("image", "id", "label", "tag", "model", "session_id", "strategy", "method")
"""Arguments of the endpoints that are names."""

FROM_THE_ADDRESS = ("image", "model", "session")
"""Keys that a request's params may not set: they would put a path in the place of a checked name."""

TRUTHS = {"true": True, "1": True, "false": False, "0": False, "none": False, "": False}
"""What stands for true and false, as text in small letters; null and nothing are false."""

THE_SERVERS = (SCORE, SCORED_BY, "strategy")
"""Keys of an image's info by which the next sample is chosen; any other value than the server's would end that."""


def check_arguments(arguments: dict[str, Any]) -> None:
    """Refuses names that are paths, images that are not among the studies, and sessions that are over."""
    for name in NAMES:
        value = arguments.get(name)
        if isinstance(value, str) and value and not SAFE_NAME.fullmatch(value):
            raise HTTPException(
                status_code=422, detail=f"{name}: expected a name, not a path, got {value!r}."
            )
    about_an_image = bool({"info", "file"} & arguments.keys()) and not {"label", "model"} & arguments.keys()
    if isinstance(arguments.get("info"), str):
        info = _json_object("info", arguments["info"])
        if about_an_image:
            _check_info("info", info)
        arguments["info"] = json.dumps(info)
    writes_masks = "model" in arguments
    if isinstance(arguments.get("params"), str):
        params = _json_object("params", arguments["params"])
        if about_an_image:
            _check_info("params", params)
        arguments["params"] = json.dumps(_checked_params(params, writes_masks))
    elif isinstance(arguments.get("params"), dict):
        _check_storable("params", arguments["params"])
        arguments["params"] = _checked_params(arguments["params"], writes_masks)
    if arguments.get("image") is True:  # of GET /session
        _check_one_file(arguments["session_id"])
    if "output" in arguments and "session_id" in arguments:
        if not any(arguments.get(name) for name in ("image", "session_id", "file")):
            raise HTTPException(
                status_code=422,
                detail="image: expected one of the studies, a session_id or a file, got none.",
            )
        if arguments.get("image"):
            _check_known(arguments["image"])
        if arguments.get("session_id"):
            _check_session(arguments["session_id"])


def check_listed(arguments: dict[str, Any], name: str, where: str) -> None:
    """Refuses to start what is not there; params may name nothing else.

    Args:
        arguments: of the endpoint.
        name: of the one that says what is started.
        where: of the app's info the known ones stand.
    """
    known = app_instance().info()[where]
    if arguments[name] not in known:
        raise HTTPException(
            status_code=404,
            detail=f"{name}: expected one of {', '.join(known)}, got {arguments[name]!r}.",
        )
    if arguments.get("params"):
        arguments["params"] = {key: value for key, value in arguments["params"].items() if key != name}


def _json_object(name: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise HTTPException(status_code=422, detail=f"{name}: expected JSON, {error}.") from error
    if not isinstance(value, dict):
        raise HTTPException(status_code=422, detail=f"{name}: expected a JSON object, got {text!r}.")
    _check_storable(name, value)
    return value


def _check_storable(name: str, value: dict[str, Any]) -> None:
    """Refuses what Python's JSON takes and no one else's: the record or an answer with it in it cannot be read."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise HTTPException(
            status_code=422,
            detail=f"{name}: expected finite numbers and text that is Unicode, got others: {error}.",
        ) from error


def _checked_params(params: dict[str, Any], writes_masks: bool) -> dict[str, Any]:
    if writes_masks:
        _check_label_tag(params.get("label_tag", DefaultLabelTag.ORIGINAL.value))
        params = {key: value for key, value in params.items() if key != "skip_writer"}
        if "save_label" in params:
            params["save_label"] = _read_truth("save_label", params["save_label"])
    for image in params["images"] if isinstance(params.get("images"), list) else []:
        _check_known(image)
    for options in (params, *params.values()):  # `POST /train/` has them by model.
        if isinstance(options, dict):
            _check_gpus(options.get("gpus"))
    return {key: value for key, value in params.items() if key not in FROM_THE_ADDRESS}


def _check_info(name: str, info: dict[str, Any]) -> None:
    if taken := [key for key in THE_SERVERS if key in info]:
        raise HTTPException(
            status_code=422, detail=f"{name}: expected keys that are not the server's own, got {taken[0]!r}."
        )


def _read_truth(name: str, value: Any) -> bool:
    """Reads true or false, which some clients send as text."""
    word = str(value).lower()
    if word not in TRUTHS:
        raise HTTPException(status_code=422, detail=f"{name}: expected true or false, got {value!r}.")
    return TRUTHS[word]


def _check_gpus(gpus: Any) -> None:
    """Refuses what cannot be an environment's variable: the task would wait for ever to be started."""
    if gpus is not None and not (isinstance(gpus, str) and gpus.isprintable()):
        raise HTTPException(
            status_code=422, detail=f"gpus: expected 'all' or numbers as in '0,1', got {gpus!r}."
        )


def _check_label_tag(tag: Any) -> None:
    """Keeps the masks of models out of other folders, and from taking the place of an annotator's correction."""
    if not isinstance(tag, str) or not SAFE_NAME.fullmatch(tag) or tag == DefaultLabelTag.FINAL.value:
        raise HTTPException(
            status_code=422,
            detail=f"label_tag: expected a name other than {DefaultLabelTag.FINAL.value!r}, got {tag!r}.",
        )


def _check_one_file(session_id: str) -> None:
    sessions = app_instance().sessions()
    session = sessions.get_session(session_id, update_ts=False) if sessions is not None else None
    if session is not None and Path(session.image).is_dir():
        raise HTTPException(status_code=422, detail="image: expected a session of one file, got a folder's.")


def _check_session(session_id: str) -> None:
    sessions = app_instance().sessions()
    if sessions is None or sessions.get_session(session_id) is None:
        raise HTTPException(
            status_code=404, detail=f"The session {session_id!r} has expired; upload the image again."
        )


def _check_known(image: Any) -> None:
    if image not in app_instance().datastore().list_images():
        raise HTTPException(status_code=404, detail=f"There is no image {image!r} among the studies.")
