"""How a server starts, or does not, and what is left of it when it is stopped."""

import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.app.conftest import OVERLAY, copy_chests
from tests.app_server import running_server, server_command

STOPPED_S = 5.0
"""Longest time that a stop may take on a busy machine, seconds; the scoring takes longer."""


@pytest.mark.parametrize(
    ("studies", "option", "sentence"),
    [
        ("file", (), "FOLDER/file: expected a folder of CTs or a DICOMweb address, got a file."),
        (
            ".",
            ("overlay", "nosuch.json"),
            "nosuch.json: expected a JSON file to lay over the bundle's configs (",
        ),
    ],
    ids=["studies", "option"],
)
def test_what_cannot_be_served_is_one_sentence(
    tmp_path: Path, studies: str, option: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "file").touch()
    command = [*server_command(tmp_path / studies, 0), *(("--conf", *option) if option else ())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert sentence.replace("FOLDER", str(tmp_path)) in said
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_it_starts_without_a_ct_and_says_so(tmp_path: Path) -> None:
    with running_server(tmp_path / "studies", tmp_path / "server", overlay=OVERLAY) as server:
        assert server.client.info()["datastore"]["total"] == 0
        assert f"{tmp_path / 'studies'}: there are no CTs here yet." in server.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_what_it_started_ends_with_it(chests: Path, tmp_path: Path, number: signal.Signals) -> None:
    studies = copy_chests(chests, tmp_path / "studies")
    with running_server(studies, tmp_path / "server", overlay=OVERLAY) as server:
        server.client.next_sample("random", {})  # A scoring runs since the start: this one's waits for it.
        children = psutil.Process(server.process.pid).children(recursive=True)
        assert any("scoring" in child.cmdline() for child in children)
        began = time.monotonic()
        server.process.send_signal(number)
        server.process.wait(30)
        psutil.wait_procs(children, 30)
        assert time.monotonic() - began < STOPPED_S
    assert server.log.read_text().count("COMMAND:: ") == 1
