"""Settings that a run cannot work with: one sentence before the first CT."""

from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser

from normnet import bundle_root
from normnet.errors import InputError, input_error_in
from normnet.network import ARCHITECTURES, member_network
from normnet.settings import refuse_wrong_settings

CONFIGS = f"{bundle_root()}/configs"


def refusal(config: str, setting: str, value: object) -> str:
    """The sentence that a config has for a setting; none, where it takes it."""
    parser = ConfigParser()
    parser.read_config(f"{CONFIGS}/{config}.json")
    parser[setting] = value
    try:
        parser.get_parsed_content("refuse_wrong_settings")
    except Exception as error:
        return str(input_error_in(error))
    return ""


@pytest.mark.parametrize(
    ("setting", "wanted", "wrong"),
    [
        ("patch_size", "three multiples of 16", [[128, 128], [100, 128, 32], [0, 16, 16], [16.0, 16, 16], 16]),
        ("spacing", "three numbers of mm above 0", [[1, 1], [1, 1, 0], [1, -1, 1], [1, 1, float("inf")], 1, "1"]),
        ("slab_slices", "a whole number of at least 1", [0, 2.5, "x", True, None]),
        ("batch_size", "a whole number of at least 1", [0, 4.0, "x"]),
        ("patches_per_slab", "a whole number of at least 1", [0, "x"]),
        ("val_interval", "a whole number of at least 1", [0, 0.5]),
        ("validate::draws", "a whole number of at least 1", [0, "x"]),
        ("num_workers", "a whole number from 0 on", [-1, "x"]),
        ("base_seed", "a whole number from 0 on", [-1, 1.5, "x"]),
        ("learning_rate", "a number from 0 on", [-1, "abc", float("nan"), None]),
        ("tau", "a number above 0 and below 1", [1, 0, -600, "x"]),
        ("device", "a device of this machine, such as cpu or cuda:0", ["gpu", "cuda:99", "meta", 1.5, [0]]),
        ("reduced_precision", "true, false or null", ["x", 2]),
    ],
)  # fmt: skip
def test_a_setting_that_a_training_cannot_work_with_is_named(
    setting: str, wanted: str, wrong: list[object]
) -> None:
    for value in wrong:
        expected = f"{setting.split('::')[-1]}: expected {wanted}, found {value!r}."
        assert refusal("train", setting, value) == expected


def test_inference_and_the_compared_methods_are_asked_too() -> None:
    assert refusal("inference", "device", "gpu").startswith("device: expected a device of this machine")
    assert refusal("inference", "spacing", 1) == "spacing: expected three numbers of mm above 0, found 1."
    assert (
        refusal("inference", "members", "x") == "members: expected a whole number of at least 1, found 'x'."
    )
    assert (
        refusal("inference", "save_probability", "x")
        == "save_probability: expected true or false, found 'x'."
    )
    assert refusal("inference", "device", "cpu") == ""
    assert refusal("baseline", "seed", "x") == "seed: expected a whole number from 0 on, found 'x'."
    assert refusal("baseline", "slices_per_volume", 0).startswith("slices_per_volume: expected")
    assert refusal("baseline", "calibrate::draws", 0).startswith("draws: expected")


@pytest.mark.parametrize(
    ("overlay", "runs"),
    [
        (["train"], ["training"]),
        (["train", "paper"], ["training"]),
        (["train", "finetune"], ["training"]),
        (["baseline"], ["training", "calibrating", "segmenting"]),
        (["inference"], ["run"]),
        (["inference", "paper_rule"], ["run"]),
        (["inference", "evaluate"], ["evaluating"]),
    ],
)
def test_the_configs_own_settings_are_taken_and_asked_about_first(
    overlay: list[str], runs: list[str]
) -> None:
    parser = ConfigParser()
    parser.read_config([f"{CONFIGS}/{file}.json" for file in overlay])
    assert parser.get_parsed_content("refuse_wrong_settings") is None
    for run in runs:
        assert parser[run][:2] == ["@report_errors", "@refuse_wrong_settings"]


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_a_patch_that_is_taken_fits_the_networks_strides(architecture: str) -> None:
    taken: list[Any] = []
    for side in (4, 8, 16):
        try:
            refuse_wrong_settings({"patch_size": [2 * side, 3 * side, side]}, architecture)
        except InputError:
            continue
        taken.append(side)
        network = member_network(architecture).eval()
        with torch.no_grad():
            assert network(torch.rand(1, 1, 2 * side, 3 * side, side)).shape[2:] == (2 * side, 3 * side, side)
    assert taken[-1] == 16 and 4 not in taken
