"""How a server starts, or does not."""

import subprocess
from pathlib import Path

import pytest

from tests.app.conftest import OVERLAY
from tests.app_server import running_server, server_command


@pytest.mark.parametrize(
    ("studies", "found"),
    [("nosuch", "but there is no such folder"), ("file", "got a file")],
)
def test_without_studies_it_ends_with_one_sentence_and_makes_nothing(
    tmp_path: Path, studies: str, found: str
) -> None:
    (tmp_path / "file").touch()
    command = server_command(tmp_path / studies, 0)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert f"{tmp_path / studies}: expected a folder of CTs or a DICOMweb address, {found}." in said
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_it_starts_in_a_folder_just_made_and_still_empty(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    with running_server(tmp_path / "studies", tmp_path / "server", overlay=OVERLAY) as server:
        assert server.client.info()["datastore"]["total"] == 0
