"""Who may do what when authentication is on: the real server, and tokens signed by an issuer of the test's own."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from monailabel.config import settings
from monailabel.endpoints.user.auth import from_token

from tests.app.conftest import OVERLAY, copy_chests
from tests.app_server import Server, running_server

USER, ANNOTATOR, ADMIN = (f"monailabel-{role}" for role in ("user", "annotator", "admin"))
KEY = generate_private_key(public_exponent=65537, key_size=2048)


@contextmanager
def realm(key: RSAPrivateKey) -> Iterator[str]:
    """Serves a realm's public key as Keycloak does; yields its address."""
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    reply = json.dumps({"realm": "monailabel", "public_key": base64.b64encode(public).decode()}).encode()

    class Realm(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Realm) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/realms/monailabel"
        server.shutdown()


def token(*roles: str, key: RSAPrivateKey = KEY, lifetime_s: float = 300) -> dict[str, str]:
    """Signs a token as Keycloak does; gives the request's header."""
    claims = {
        "preferred_username": "reader",
        "realm_access": {"roles": roles},
        "exp": time.time() + lifetime_s,
    }
    return {"Authorization": f"Bearer {jwt.encode(claims, key, algorithm='RS256')}"}


@pytest.fixture(scope="module")
def server(chests: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    work = tmp_path_factory.mktemp("roles")
    studies = copy_chests(chests, work / "studies")
    with realm(KEY) as address:
        env = {
            "MONAI_LABEL_AUTH_ENABLE": "true",
            "MONAI_LABEL_AUTH_REALM_URI": address,
            "MONAI_LABEL_AUTO_UPDATE_SCORING": "false",
        }
        with running_server(studies, work, env=env, overlay=OVERLAY) as server:
            yield server


def status(server: Server, request: str, headers: dict[str, str]) -> int:
    method, address = request.split()
    return requests.request(method, f"{server.url}{address}", headers=headers, timeout=60).status_code


REQUESTS = {
    "GET /info/": {USER},
    "GET /datastore/": {USER},
    "POST /activelearning/random": {USER},
    "GET /datastore/image?image=healthy_0": {USER},
    "POST /infer/nothing?image=healthy_0": {USER},
    "PUT /datastore/label?image=healthy_0": {ANNOTATOR},
    "PUT /datastore/image": {ANNOTATOR},
    "POST /scoring/nothing": {ANNOTATOR},
    "POST /train/nothing": {ADMIN},
    "POST /batch/infer/nothing": {ADMIN},
    "DELETE /datastore/image?id=nothing": {ADMIN},
    "GET /logs/": {ADMIN},
    "GET /model/nothing": {ADMIN},
}
"""A request, and whose role it wants. What it asks for may be nonsense: whoever may ask gets another refusal."""


@pytest.mark.parametrize("request_line", REQUESTS)
def test_each_request_wants_its_role(server: Server, request_line: str) -> None:
    for role in (USER, ANNOTATOR, ADMIN):
        refused = status(server, request_line, token(role)) == 403
        assert refused is (role not in REQUESTS[request_line]), role


def test_nobody_gets_in_without_a_token_of_the_realm(server: Server) -> None:
    everything = (USER, ANNOTATOR, ADMIN)
    stranger = generate_private_key(public_exponent=65537, key_size=2048)
    for headers in (
        {},
        {"Authorization": "Bearer nonsense"},
        token(*everything, key=stranger),
        token(*everything, lifetime_s=-60),
    ):
        assert {status(server, line, headers) for line in REQUESTS} == {401}


def test_weights_stay_closed_to_an_admin(server: Server) -> None:
    assert status(server, "DELETE /model/normnet", token(USER, ANNOTATOR, ADMIN)) == 403


def test_monai_label_itself_refuses_every_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when MONAI Label is mended; then monailabel_app/lib/login.py can be taken out."""
    with realm(KEY) as address:
        monkeypatch.setattr(settings, "MONAI_LABEL_AUTH_ENABLE", True)
        monkeypatch.setattr(settings, "MONAI_LABEL_AUTH_REALM_URI", address)
        with pytest.raises(jwt.DecodeError, match="algorithms"):
            from_token(token(USER)["Authorization"].removeprefix("Bearer "))
