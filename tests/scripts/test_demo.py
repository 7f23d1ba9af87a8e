"""The demo: what it does in a folder in which it was interrupted."""

from pathlib import Path
from typing import Any

import pytest

from scripts import demo as script


def test_a_cohort_that_was_interrupted_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Path, dict[str, Any]]] = []
    monkeypatch.setattr(script, "write_cohort", lambda folder, **counts: asked.append((folder, counts)))
    monkeypatch.setattr(script, "run_script", lambda *words, **options: None)
    monkeypatch.setattr(script, "bundle", lambda *words: None)
    (tmp_path / "cohort" / "healthy").mkdir(parents=True)
    script.demo(str(tmp_path), healthy=2, diseased=1)
    assert asked == [(tmp_path / "cohort", {"healthy": 2, "diseased": 1, "seed": 0})]
