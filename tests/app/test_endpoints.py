"""Endpoints: names are no paths, errors are sentences, and no request holds up another."""

import asyncio
import inspect
import json
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.routing import APIRoute
from httpx import ASGITransport, AsyncClient
from monailabel.datastore.local import LocalDatastore
from monailabel.endpoints import datastore, infer, logs
from monailabel.interfaces.app import MONAILabelApp
from monailabel.tasks.infer.basic_infer import BasicInferTask

from monailabel_app.lib.corrections_archive import upstream_download
from monailabel_app.lib.dicom_endpoints import upstream_proxy
from monailabel_app.lib.endpoints import harden_endpoints, in_a_thread, in_threads_apart
from monailabel_app.lib.names import SAFE_NAME
from normnet.errors import InputError


@pytest.mark.parametrize("name", ["case", "case 7", "1.2.840.1", "Müller_ct", "a..b"])
def test_names_pass(name: str) -> None:
    assert SAFE_NAME.fullmatch(name)


@pytest.mark.parametrize(
    "name", ["..", "../x", "/etc/passwd", "a/b", "a\\b", ".hidden", "a\0b", "a\nb", "x" * 201]
)
def test_paths_do_not(name: str) -> None:
    assert not SAFE_NAME.fullmatch(name)


async def endpoint(image: str = "", tag: str = "", params: str = "{}") -> str:
    return f"{image} {tag} {params}"


@pytest.mark.parametrize("argument", ["image", "tag"])
def test_an_endpoint_refuses_paths(argument: str) -> None:
    with pytest.raises(HTTPException, match="expected a name, not a path") as refusal:
        in_a_thread(endpoint)(**{argument: "../../etc/passwd"})
    assert refusal.value.status_code == 422


def test_params_cannot_replace_the_image() -> None:
    run = in_a_thread(endpoint)
    answer = run(image="case", params='{"image": "/etc/passwd", "model": "x", "device": "cpu"}')
    assert answer == 'case  {"device": "cpu"}'


@pytest.mark.parametrize("params", ["no json", "[]", "3"])
def test_params_that_are_no_object_are_refused(params: str) -> None:
    with pytest.raises(HTTPException) as refusal:
        in_a_thread(endpoint)(params=params)
    assert refusal.value.status_code == 422


@pytest.mark.parametrize("info", ["no json", "[1]", "3"])
def test_info_that_is_no_object_is_refused(info: str) -> None:
    async def takes(image: str, info: str = "{}") -> str:
        return info

    with pytest.raises(HTTPException, match="info: expected") as refusal:
        in_a_thread(takes)(image="case", info=info)
    assert refusal.value.status_code == 422


@pytest.mark.parametrize("value", ["NaN", "[-Infinity]", "1e999", r'"done \ud83d"', r'{"\ud83d": 1}'])
@pytest.mark.parametrize("name", ["params", "info"])
def test_what_no_reader_of_the_record_could_read_is_refused(name: str, value: str) -> None:
    async def stores(params: object = None, info: object = None) -> object:
        return params or info

    text = f'{{"comment": {value}}}'
    for said in (text, json.loads(text)) if name == "params" else (text,):
        with pytest.raises(HTTPException, match=f"{name}: expected finite numbers and text") as refusal:
            in_a_thread(stores)(**{name: said})
        assert refusal.value.status_code == 422
    assert in_a_thread(stores)(**{name: r'{"comment": "\ud83d\ude00"}'})


@pytest.mark.parametrize("gpus", [5, [0], 0, "0\0"], ids=repr)
def test_gpus_that_are_no_text_are_refused_before_there_is_a_task(gpus: object) -> None:
    async def starts(params: dict[str, object]) -> object:
        return params

    for params in ({"gpus": gpus}, {"normnet": {"gpus": gpus}}):
        with pytest.raises(HTTPException, match="gpus: expected 'all' or numbers") as refusal:
            in_a_thread(starts)(params=params)
        assert refusal.value.status_code == 422
    for usual in ({"gpus": "all"}, {"gpus": "0,1"}, {"gpus": None}, {}):
        assert in_a_thread(starts)(params=usual) == usual


async def segments(model: str, params: dict[str, object]) -> object:
    return params


@pytest.mark.parametrize(
    ("said", "meant"), [("false", False), ("True", True), (True, True), (0, False), (None, False)]
)
def test_save_label_may_be_text(said: object, meant: bool) -> None:
    assert in_a_thread(segments)(model="lungs", params={"save_label": said}) == {"save_label": meant}


@pytest.mark.parametrize("said", ["maybe", [], 5], ids=repr)
def test_save_label_that_is_neither_true_nor_false_is_refused(said: object) -> None:
    with pytest.raises(HTTPException, match="save_label: expected true or false") as refusal:
        in_a_thread(segments)(model="lungs", params={"save_label": said})
    assert refusal.value.status_code == 422


def test_no_client_leaves_the_mask_unwritten() -> None:
    params = {"skip_writer": True, "device": "cpu"}
    assert in_a_thread(segments)(model="lungs", params=params) == {"device": "cpu"}


def test_the_list_of_gpus_of_a_server_without_is_a_404(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(HTTPException, match="There is no nvidia-smi on this server") as refusal:
        in_a_thread(logs.gpu_info)()
    assert refusal.value.status_code == 404


@pytest.mark.parametrize("tag", ["../x", "/tmp/x", "", None, 5, "final"])
def test_a_models_mask_has_a_tag_that_is_a_name_and_not_the_annotators(tag: object) -> None:
    async def writes(model: str, params: dict[str, object]) -> object:
        return params["label_tag"]

    with pytest.raises(HTTPException, match="label_tag: expected") as refusal:
        in_a_thread(writes)(model="lungs", params={"label_tag": tag})
    assert refusal.value.status_code == 422
    assert in_a_thread(writes)(model="lungs", params={"label_tag": "second opinion"}) == "second opinion"


def test_bad_input_is_an_answer_in_words() -> None:
    async def fails() -> None:
        raise RuntimeError("applying transform") from InputError("case.nii: no lungs.")

    with pytest.raises(HTTPException) as refusal:
        in_a_thread(fails)()
    assert (refusal.value.status_code, refusal.value.detail) == (422, "case.nii: no lungs.")


def test_the_signature_with_its_roles_stays() -> None:
    assert inspect.signature(in_a_thread(infer.api_run_inference)) == inspect.signature(
        infer.api_run_inference
    )


async def seen_by_the_other(endpoint: Callable[..., Any], released: threading.Event) -> bool:
    """Asks an endpoint that waits and one that ends its waiting at once; says whether that was in time."""

    async def release() -> None:
        released.set()

    app = FastAPI()
    app.add_api_route("/waits", endpoint)
    app.add_api_route("/release", release)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://server", timeout=60) as client:
        answer, _ = await asyncio.gather(client.get("/waits"), client.get("/release"))
    return bool(answer.json())


@pytest.mark.parametrize(("hardened", "longest_s", "in_time"), [(True, 30, True), (False, 0.5, False)])
def test_an_endpoint_that_blocks_holds_up_no_other(hardened: bool, longest_s: float, in_time: bool) -> None:
    released = threading.Event()

    async def waits() -> bool:
        return released.wait(longest_s)  # blocks, as MONAI Label's coroutines do

    endpoint = in_a_thread(waits) if hardened else waits
    assert asyncio.run(seen_by_the_other(endpoint, released)) is in_time


async def seen_while_many_wait(endpoint: Callable[..., Any], released: threading.Event) -> bool:
    """Asks an endpoint that waits sixty times, then one of FastAPI's threads that ends the waiting; says as above."""

    async def release() -> None:
        released.set()

    app = FastAPI()
    app.add_api_route("/waits", endpoint)
    app.add_api_route("/release", in_a_thread(release))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://server", timeout=60) as client:
        waiting = [client.get("/waits") for _ in range(60)]
        *answers, _ = await asyncio.gather(*waiting, client.get("/release"))
    return all(answer.json() for answer in answers)


@pytest.mark.parametrize(
    ("in_threads", "longest_s", "in_time"), [(in_threads_apart, 30, True), (in_a_thread, 0.5, False)]
)
def test_requests_that_wait_in_threads_apart_hold_up_no_other(
    in_threads: Callable[..., Any], longest_s: float, in_time: bool
) -> None:
    released = threading.Event()

    async def waits() -> bool:
        return released.wait(longest_s)

    assert asyncio.run(seen_while_many_wait(in_threads(waits), released)) is in_time


def test_masks_alone_are_waited_for_in_threads_apart() -> None:
    app = pytest.importorskip("monailabel.app").app
    before = list(app.router.routes)
    try:
        harden_endpoints()
        added = [route for route in app.router.routes if isinstance(route, APIRoute) and route not in before]
        apart = {route.path for route in added if inspect.iscoroutinefunction(route.endpoint)}
        assert apart == {"/infer/{model}"}
        assert {"/datastore/", "/logs/gpu"} <= {route.path for route in added}
    finally:
        del sys.modules["monailabel.app"]


def test_monai_label_still_blocks_and_trusts() -> None:
    """Fails when MONAI Label (0.8.5) is mended: its endpoints no longer need to be put in threads, and so on."""
    assert inspect.iscoroutinefunction(infer.api_run_inference)
    assert inspect.iscoroutinefunction(datastore.api_save_label)
    assert inspect.iscoroutinefunction(upstream_proxy) and "requests.get(" in inspect.getsource(
        upstream_proxy
    )
    assert "os.path.exists(image_id)" in inspect.getsource(MONAILabelApp.infer)
    assert "http://127.0.0.1:" in inspect.getsource(MONAILabelApp._local_request)
    assert "background" not in inspect.getsource(upstream_download)
    assert "assert len(dl) > 0" in inspect.getsource(LocalDatastore.get_dataset_archive)
    assert 'setLevel(req.get("logging", "INFO").upper())' in inspect.getsource(BasicInferTask.__call__)
