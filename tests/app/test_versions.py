"""Versions of the weights: numbered, switched, whole at any moment."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from monailabel_app.lib.versions import Versions
from normnet.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
ADD_FOR_EVER = """
import sys
from pathlib import Path
from monailabel_app.lib.versions import Versions
versions = Versions(Path(sys.argv[1]), Path(sys.argv[2]))
while True:
    versions.switch(versions.add(Path(sys.argv[2]), {"lesion_dice": 0.5}))
    print("added", flush=True)
"""


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    path = tmp_path / "shipped" / "model.pt"
    path.parent.mkdir()
    path.write_bytes(b"shipped" * 100_000)
    return path


@pytest.fixture
def versions(tmp_path: Path, shipped: Path) -> Versions:
    return Versions(tmp_path / "versions", shipped)


def learnt(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "learnt.pt"
    path.write_bytes(content)
    return path


def test_the_shipped_weights_serve_first(versions: Versions, shipped: Path) -> None:
    assert versions.names() == ["0"] and versions.current() == "0"
    assert versions.path() == versions.path("0") == shipped
    assert versions.metrics("0") == {}
    assert not versions.folder.exists()


def test_a_version_is_added_and_then_switched_to(versions: Versions, tmp_path: Path) -> None:
    assert versions.add(learnt(tmp_path, b"first"), {"lesion_dice": 0.5}) == "1"
    assert versions.current() == "0"
    versions.switch("1")
    assert versions.current() == "1" and versions.path().read_bytes() == b"first"
    assert versions.metrics("1") == {"lesion_dice": 0.5}
    versions.switch("0")
    assert versions.path() == versions.shipped


def test_a_version_replaces_the_one_it_came_from_and_no_other(versions: Versions, tmp_path: Path) -> None:
    first, second = (versions.add(learnt(tmp_path, name), {}) for name in (b"first", b"second"))
    assert versions.replace("0", first) and versions.current() == first
    assert not versions.replace("0", second) and versions.current() == first


def test_versions_are_counted_up_in_order(versions: Versions, tmp_path: Path) -> None:
    added = [versions.add(learnt(tmp_path, bytes([number])), {}) for number in range(11)]
    assert added == [str(number) for number in range(1, 12)]
    assert versions.names() == ["0", *added]


@pytest.mark.parametrize("name", ["..", "2", "", "0/..", "/etc", "01", "current", "-1"])
def test_an_unknown_version_is_one_sentence(versions: Versions, tmp_path: Path, name: str) -> None:
    versions.add(learnt(tmp_path, b"first"), {})
    for call in (versions.path, versions.switch, versions.metrics):
        with pytest.raises(InputError, match="expected a version of 0, 1, got"):
            call(name)


def test_a_version_in_use_that_was_deleted_gives_way_to_the_shipped_one(
    versions: Versions, tmp_path: Path
) -> None:
    versions.switch(versions.add(learnt(tmp_path, b"first"), {}))
    (versions.folder / "1" / "model.pt").unlink()
    assert versions.current() == "0"


def test_what_was_not_finished_is_not_shown_and_cleared_by_the_next(
    versions: Versions, tmp_path: Path
) -> None:
    leftover = versions.folder / ".adding-killed"
    leftover.mkdir(parents=True)
    (leftover / "model.pt").write_bytes(b"half")
    assert versions.names() == ["0"]
    versions.add(learnt(tmp_path, b"first"), {})
    assert not leftover.exists() and versions.names() == ["0", "1"]


def test_a_failed_addition_leaves_nothing(versions: Versions, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="weights cannot be added here"):
        versions.add(tmp_path / "missing.pt", {})
    with pytest.raises(ValueError, match="not JSON compliant"):
        versions.add(learnt(tmp_path, b"first"), {"lesion_dice": float("nan")})
    assert versions.names() == ["0"] and not list(versions.folder.glob(".adding-*"))


def test_readers_see_whole_versions_while_a_writer_is_killed(versions: Versions, shipped: Path) -> None:
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", ADD_FOR_EVER, str(versions.folder), str(shipped)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert writer.stdout and writer.stdout.readline() == b"added\n"
        killer = threading.Timer(0.05, writer.send_signal, [signal.SIGKILL])
        killer.start()
        while writer.poll() is None:
            assert versions.path().read_bytes() == shipped.read_bytes()
        killer.join()
        writer.stdout.close()
        assert versions.current() in versions.names()
        for name in versions.names()[1:]:
            assert versions.path(name).read_bytes() == shipped.read_bytes()
            assert versions.metrics(name) == {"lesion_dice": 0.5}


def test_the_command_lists_and_switches(versions: Versions, shipped: Path, tmp_path: Path) -> None:
    versions.add(learnt(tmp_path, b"first"), {"lesion_dice": 0.5})

    def weights(*words: str) -> subprocess.CompletedProcess[str]:
        options = [f"--folder={versions.folder}", f"--shipped={shipped}"]
        command = [sys.executable, str(ROOT / "scripts" / "weights.py"), *words, *options]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert weights("list").stdout == "* 0  lesion Dice -\n  1  lesion Dice 0.500\n"
    assert weights("switch", "1").stdout == "Version 1 is in use.\n"
    assert versions.current() == "1"
    unknown = weights("switch", "7")
    assert unknown.returncode == 1
    assert unknown.stderr == f"error: {versions.folder}: expected a version of 0, 1, got '7'.\n"
