"""What is segmented again: a study of other settings, or of another file of the same name."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from normnet.checkpoints import weights_hash
from normnet.errors import InputError
from scripts import segment_ct
from scripts.segment_ct import segment


def test_only_the_same_file_by_the_same_settings_is_not_segmented_again(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def command(run_id: str, configs: Sequence[str], settings: Mapping[str, Any]) -> list[str]:
        asked.append(dict(settings))
        return [sys.executable, "-c", ""]

    monkeypatch.setattr(segment_ct, "bundle_command", command)
    ct, other = tmp_path / "ct.nii.gz", tmp_path / "other" / "ct.nii.gz"
    (tmp_path / "out" / "ct").mkdir(parents=True)
    (tmp_path / "out" / "ct" / "report.json").write_text(json.dumps({"weights": weights_hash(weights)}))
    for file, backend in (
        (ct, "file"),
        (ct, "file"),
        (ct, "classical"),
        (other, "classical"),
        (other, "classical"),
    ):
        found = segment(file, tmp_path / "out", weights, 2, lungs_backend=backend)
        assert found["peak_gib"] > 0
    assert [(made["dataset_dir"], made["lungs_backend"]) for made in asked] == [
        (ct, "file"),
        (ct, "classical"),
        (other, "classical"),
    ]


def test_a_ct_that_is_not_segmented_is_named(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        segment_ct, "bundle_command", lambda *_: [sys.executable, "-c", "raise SystemExit(1)"]
    )
    with pytest.raises(InputError, match=r"ct\.nii\.gz: was not segmented"):
        segment(tmp_path / "ct.nii.gz", tmp_path, weights, 2)
