"""How the bundle's command is started, once for all scripts."""

from pathlib import Path

import pytest

from normnet.errors import InputError
from scripts.bundle_configs import CONFIGS, config_files, rule_files, setting
from scripts.bundle_process import bundle_command, run_script
from tests.e2e.conftest import bundle_command as typed


def test_the_words_are_those_that_a_user_types() -> None:
    for configs in (["train"], ["train", "paper"]):
        words = bundle_command(
            "training", [f"{name}.json" for name in configs], {"dataset_dir": Path("/cts")}
        )
        named = [word.replace("'", '"') for word in words[1:]]
        assert named == typed("training", configs, dataset_dir=Path("/cts"))


def test_later_configs_lie_on_earlier_ones_and_the_papers_brings_its_rule() -> None:
    assert setting(["train.json"], "architecture") == "subpixel_unet"
    assert setting(config_files("train,paper"), "architecture") == "unet"
    assert rule_files("train,scanners") == ["inference.json"]
    assert rule_files("train,paper") == ["inference.json", "paper_rule.json"]


def test_a_config_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(InputError, match=f"{CONFIGS / 'papre.json'}: expected"):
        config_files("train,papre")


def test_a_script_that_fails_ends_this_process_as_it_ended() -> None:
    with pytest.raises(SystemExit) as ended:
        run_script("no_such_script.py", seed=0)
    assert ended.value.code == 2
