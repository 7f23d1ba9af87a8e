"""Active learning's results, by the real command: those of other settings are not taken for these."""

import json
from pathlib import Path

from tests.e2e.conftest import python

SCRIPT = Path(__file__).parents[2] / "scripts" / "active_learning.py"


def test_results_of_other_settings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "seed_0").mkdir()
    for settings, other in (
        ({"pool": 8, "tests": 4}, "pool, members, spacing"),
        ({}, "pool, tests, members"),
    ):
        if settings:
            (tmp_path / "settings.json").write_text(json.dumps(settings))
        else:
            (tmp_path / "settings.json").unlink()
        done = python(str(SCRIPT), str(tmp_path), "--pool=10", "--seeds=1", cwd=tmp_path)
        assert done.returncode == 1
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith(f"error: {tmp_path}: expected results of these settings")
        assert f"another {other}" in last
    assert list((tmp_path / "seed_0").iterdir()) == []
