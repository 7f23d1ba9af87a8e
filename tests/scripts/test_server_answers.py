"""A server that takes a connection and says nothing, one that answers, and one that ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts import server_answers
from scripts.server_answers import started

SILENT_FIRST = """
import http.server, time
class Server(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Server.asked += 1
        if Server.asked == 1:
            time.sleep(1)  # the client has given up by then
        self.send_response(200)
        self.end_headers()
    def log_message(self, *words): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
print(server.server_port, flush=True)
server.serve_forever()
"""


def test_a_server_that_is_slow_to_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_answers, "ANSWER_SECONDS", 0.3)
    with subprocess.Popen([sys.executable, "-c", SILENT_FIRST], stdout=subprocess.PIPE) as server:
        assert server.stdout
        port = int(server.stdout.readline())
        assert started(server, f"http://127.0.0.1:{port}/", 30)
        server.kill()


def test_a_server_that_ends_is_not_waited_for(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit"]) as server:
        assert not started(server, "http://127.0.0.1:9/", 60)
