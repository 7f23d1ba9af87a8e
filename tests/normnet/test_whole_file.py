"""A file is on disk whole or not at all, whoever else writes it; a folder is tried out before a run."""

from pathlib import Path

import pytest

from normnet.errors import InputError
from normnet.whole_file import refuse_unwritable, written_whole


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    with pytest.raises(OSError, match="full"), written_whole(path) as beside:
        beside.write_text("half")
        raise OSError("disk full")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "largest_lung.json"
    with written_whole(path) as first:
        first.write_text("first")
        with written_whole(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("out", ["file", "file/out", "/proc/nowhere"])
def test_a_folder_that_cannot_hold_results_is_refused_and_not_made(tmp_path: Path, out: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=rf"{out}: results cannot be written here \("):
        refuse_unwritable([tmp_path, tmp_path / out])
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_can_be_made_is_left_to_whoever_writes_into_it(tmp_path: Path) -> None:
    refuse_unwritable([tmp_path / "deep" / "out"])
    assert not list(tmp_path.iterdir())
