"""What the overlays of train.json change in the patches that the networks see."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.transforms import Compose

from normnet import bundle_root
from normnet.edges import RemoveErroneousEdgesd
from normnet.errors import input_error_in
from normnet.intensity import TAU, scale_window
from normnet.starting_weights import member_of_ensemble
from normnet.validation import BrightLesiond

PATCH = (8, 8, 8)
CONFIGS = f"{bundle_root()}/configs"


def transform(name: str, *overlays: str) -> Compose:
    """A part of train.json with overlays on top, for patches of 8 x 8 x 8."""
    parser = ConfigParser()
    parser.read_config([f"{CONFIGS}/{file}.json" for file in ("train", *overlays)])
    parser["patch_size"], parser["patches_per_slab"] = list(PATCH), 200
    return Compose([parser.get_parsed_content(name)]).set_random_state(seed=0)


@pytest.fixture
def slab() -> dict[str, torch.Tensor]:
    """A lung from 6 to 58 along each axis, bright and healthy in one of its corners alone: a sixty-fourth of it."""
    lungs = torch.zeros(1, 64, 64, 64)
    lungs[:, 6:58, 6:58, 6:58] = 1
    label = torch.zeros_like(lungs)
    label[:, 6:19, 6:19, 6:19] = 1
    return {
        "image": 0.1 * lungs + 0.5 * label,
        "lungs": lungs,
        "lesion": torch.zeros_like(lungs),
        "label": label,
    }


def centred_on(slab: dict[str, torch.Tensor], key: str, *overlays: str) -> float:
    """Share of the patches whose centre is not 0 in `key`."""
    patches = transform("patches", *overlays)(slab)
    centre = tuple(side // 2 for side in PATCH)
    return float(np.mean([float(patch[key][(0, *centre)]) for patch in patches]))


def test_patches_are_centred_anywhere_in_the_lungs(slab: dict[str, torch.Tensor]) -> None:
    assert centred_on(slab, "lungs") == 1
    assert centred_on(slab, "label") < 0.06


def test_bright_patches_half_of_them_are_centred_on_bright_healthy_tissue(
    slab: dict[str, torch.Tensor],
) -> None:
    assert centred_on(slab, "lungs", "bright_patches") == 1
    assert 0.4 < centred_on(slab, "label", "bright_patches") < 0.6


def test_scanners_vary_the_image_within_its_range_and_the_lungs(slab: dict[str, torch.Tensor]) -> None:
    vary = transform("scanner_variation", "scanners")
    changed = [vary(dict(slab)) for _ in range(20)]
    assert sum(not torch.equal(item["image"], slab["image"]) for item in changed) > 15
    for item in changed:
        assert item["image"].min() >= 0 and item["image"].max() <= 1
        assert not item["image"][item["lungs"] == 0].any()
    untouched = transform("scanner_variation")(dict(slab))
    assert torch.equal(untouched["image"], slab["image"])


def test_fibrosis_is_drawn_with_its_overlay_alone_and_is_healthy_tissue(
    slab: dict[str, torch.Tensor],
) -> None:
    drawn = transform("fibrosis", "fibrosis")
    walls = max((drawn(dict(slab))["image"] - slab["image"] for _ in range(20)), key=torch.sum)
    assert (walls > 0.2).any()
    assert not walls[slab["lungs"] == 0].any()
    parser = ConfigParser()
    parser.read_config([f"{CONFIGS}/{file}.json" for file in ("train", "fibrosis")])
    steps = parser["train::preprocessing::transforms"]
    assert steps.index("@fibrosis") < steps.index(
        "@synthetic_lesions"
    )  # which takes what is bright for healthy
    parser["spacing"] = [1.6, 1.6, 2.0]
    assert parser.get_parsed_content("fibrosis").transforms[0].spacing == (1.6, 1.6, 2.0)
    assert torch.equal(transform("fibrosis")(dict(slab))["image"], slab["image"])


@pytest.mark.parametrize(
    ("config", "volumes", "of_each"),
    [
        ("train", "slabs_per_batch", "patches_per_slab"),
        ("baseline", "volumes_per_batch", "slices_per_volume"),
    ],
)
def test_a_batch_size_and_a_number_of_iterations_are_kept_or_refused(
    config: str, volumes: str, of_each: str
) -> None:
    parser = ConfigParser()
    parser.read_config(f"{CONFIGS}/{config}.json")
    parser["max_iterations"], parser["batch_size"] = 1050, 3 * parser[of_each]
    assert parser.get_parsed_content("epoch_length") * 14 == 1050
    assert parser.get_parsed_content(f"train::{volumes}") == 3
    parser["batch_size"] = 3 * parser[of_each] // 2
    parser.parse(reset=True)
    with pytest.raises(Exception) as raised:
        parser.get_parsed_content(f"train::{volumes}")
    sentence = input_error_in(raised.value)
    assert sentence is not None and of_each in str(sentence)


@pytest.mark.parametrize("config", ["train", "baseline"])
@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_a_device_may_be_given_by_its_name(config: str, device: str) -> None:
    for given in (device, torch.device(device)):
        parser = ConfigParser()
        parser.read_config(f"{CONFIGS}/{config}.json")
        parser["device"] = given
        assert parser.get_parsed_content("train::dataloader::pin_memory") == (device != "cpu")


@pytest.mark.parametrize(
    ("files", "hu"), [(["train"], -600), (["train", "paper"], -500), (["inference"], -500)]
)
def test_training_counts_darker_tissue_than_inference_and_the_paper(files: list[str], hu: float) -> None:
    parser = ConfigParser()
    parser.read_config([f"{CONFIGS}/{file}.json" for file in files])
    assert parser.get_parsed_content("tau") == pytest.approx(scale_window(torch.tensor(float(hu))).item())


def test_erroneous_edges_begin_at_the_papers_t_or_with_its_config_at_the_trainings() -> None:
    for overlays, tau in (([], TAU), (["paper"], 0.1)):
        parser = ConfigParser()
        parser.read_config([f"{CONFIGS}/{file}.json" for file in ("train", *overlays)])
        parser["tau"] = 0.1
        steps = parser.get_parsed_content("healthy_preprocessing").transforms
        assert [step.tau for step in steps if isinstance(step, RemoveErroneousEdgesd)] == [pytest.approx(tau)]
        bright = parser.get_parsed_content("validate::postprocessing").transforms[-1]
        assert isinstance(bright, BrightLesiond) and bright.tau == 0.1


@pytest.mark.parametrize("overlay", ["finetune", "warm_start"])
def test_a_training_that_goes_on_names_its_scans_corrections_and_starting_weights(
    overlay: str, cohort: Path, weights: Path, tmp_path: Path
) -> None:
    def data(label: str, checkpoint: Path) -> str:
        parser = ConfigParser()
        parser.read_config([f"{CONFIGS}/{file}.json" for file in ("train", overlay)])
        correction = {"image": str(cohort / "diseased" / "covid_0.nii.gz"), "label": str(tmp_path / label)}
        healthy = {"image": str(cohort / "healthy" / "healthy_0.nii.gz")}
        lists = {"training": [healthy], "corrections": [correction]}
        (tmp_path / "dataset.json").write_text(json.dumps(lists))
        parser["dataset_dir"], parser["checkpoint"] = str(tmp_path), str(checkpoint)
        parser["cache_dir"], parser["spacing"] = str(tmp_path / "cache"), [3.6, 3.6, 5.0]
        parser["lungs_backend"] = "classical"
        return str(parser.get_parsed_content("train::handlers::0::data"))

    for name, content in (("a.nii.gz", b"a label"), ("b.nii.gz", b"another")):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "other.pt").write_bytes(b"other weights")
    first = data("a.nii.gz", weights)
    assert data("a.nii.gz", weights) == first
    assert data("a.nii.gz", tmp_path / "other.pt") != first
    assert (data("b.nii.gz", weights) != first) == (overlay == "finetune")


@pytest.mark.parametrize(
    ("config", "setting"),
    [(config, name) for config in ("train", "baseline") for name in ("output_dir", "ckpt_dir", "cache_dir")]
    + [
        ("train", "member_path"),
        ("train", "member_dir"),
        ("baseline", "weights_path"),
        ("baseline", "run_dir"),
    ],
)
def test_every_folder_that_is_written_to_is_tried_first(config: str, setting: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    parser = ConfigParser()
    parser.read_config(f"{CONFIGS}/{config}.json")
    parser["output_dir"] = parser["ckpt_dir"] = str(tmp_path)
    parser[setting] = str(tmp_path / "file" / "out")
    with pytest.raises(Exception) as raised:
        parser.get_parsed_content("refuse_unwritable")
    assert str(input_error_in(raised.value)).startswith(f"{tmp_path / 'file'}")
    lists = ["training"] if config == "train" else ["training", "calibrating", "segmenting"]
    assert all("@refuse_unwritable" in parser[run] for run in lists)


def test_folders_named_by_digits_come_from_the_command_line_as_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "7001").mkdir()
    (tmp_path / "7001" / "ct.nii.gz").touch()
    (tmp_path / "7001" / "label.nii.gz").touch()
    lists = {"corrections": [{"image": "ct.nii.gz", "label": "label.nii.gz"}]}
    (tmp_path / "7001" / "dataset.json").write_text(json.dumps(lists))
    parser = ConfigParser()
    parser.read_config([f"{CONFIGS}/{file}.json" for file in ("train", "finetune")])
    parser["dataset_dir"], parser["cache_dir"] = 7001, 6001
    for name in ("train::volumes_def", "train::corrections_def"):
        assert len(parser.get_parsed_content(name)) == 1
    assert (tmp_path / "6001").is_dir()


def test_a_warm_start_begins_with_the_weights_that_the_member_has_in_the_ensemble() -> None:
    parser = ConfigParser()
    parser.read_config([f"{CONFIGS}/{file}.json" for file in ("train", "warm_start")])
    parser["member"] = 2
    start = parser.get_parsed_content("network_def").state_dict()
    shipped = member_of_ensemble(parser.get_parsed_content("checkpoint"), 2).state_dict()
    assert all(torch.equal(start[name], value) for name, value in shipped.items())
