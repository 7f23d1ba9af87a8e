"""Results of other settings are not taken for those asked for, whichever script made them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from normnet.errors import InputError
from scripts.accuracy_cases import Rules, prepared_cases
from scripts.compare import compare
from scripts.compare_networks import compare as compare_networks
from scripts.failures import failures
from scripts.kept_settings import keep_settings
from scripts.real_ct import put_nodules


def test_the_same_settings_are_taken_again_and_others_named(tmp_path: Path) -> None:
    out = tmp_path / "out"
    keep_settings(out, {"ct": tmp_path, "rates": (1, 2), "seed": None})
    keep_settings(out, {"ct": tmp_path, "rates": (1, 2), "seed": None})
    assert json.loads((out / "settings.json").read_text())["ct"] == str(tmp_path)
    with pytest.raises(InputError, match=f"{out}: .* another rates, seed; give another OUTPUT_DIR"):
        keep_settings(out, {"ct": tmp_path, "rates": (1, 3), "seed": 0})


def test_results_without_their_settings_are_refused_and_a_folder_without_results_is_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "notes.txt").touch()
    keep_settings(tmp_path / "new", {"seed": 0}, "seed_*")
    keep_settings(tmp_path, {"seed": 0}, "seed_*")
    (tmp_path / "settings.json").unlink()
    (tmp_path / "seed_0").mkdir()
    with pytest.raises(InputError, match="another seed"):
        keep_settings(tmp_path, {"seed": 0}, "seed_*")


@pytest.mark.parametrize(
    ("result", "made_again", "other"),
    [
        ("models/vae.pt", lambda out: compare(str(out), str(out / "test"), str(out)), "healthy_dir"),
        ("cts/thick.nii.gz", lambda out: failures("ct", str(out), weights={}, training=""), "ct"),
        ("unet/plan.json", lambda out: compare_networks(str(out), str(out)), "dataset_dir, minutes"),
        ("nodules/nodules.json", lambda out: put_nodules(out, out), "ct_dir"),
        (
            "normal001_thorax.pt",
            lambda out: prepared_cases(out, out, out / "w.pt", 1, Rules(lungs_backend="file")),
            "ct_dir, lungs_backend",
        ),
    ],
    ids=["compare", "failures", "compare_networks", "nodules", "accuracy"],
)
def test_a_script_asks_before_it_takes_what_is_there(
    result: str, made_again: Callable[[Path], object], other: str, tmp_path: Path
) -> None:
    (tmp_path / result).parent.mkdir(exist_ok=True)
    (tmp_path / result).touch()
    with pytest.raises(InputError, match=f"found some of another {other}"):
        made_again(tmp_path)
