"""The bundle's inference with a client's options."""

from pathlib import Path

import pytest
import torch

from monailabel_app.lib.devices import chosen_device
from monailabel_app.lib.pipeline import Pipeline, one_study
from normnet import bundle_root
from normnet.checkpoints import save_weights
from normnet.ensemble import Ensemble
from normnet.errors import InputError
from normnet.lesions import SegmentLesionsd, VoteHealthyd

CONFIG = Path(bundle_root()) / "configs" / "inference.json"


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline(CONFIG)


def step(pipeline: Pipeline, kind: type, **request: object) -> object:
    return next(one for one in pipeline.run(request).postprocessing.transforms if isinstance(one, kind))


def test_the_bundle_sets_what_the_client_leaves_open(pipeline: Pipeline) -> None:
    vote = step(pipeline, VoteHealthyd)
    assert isinstance(vote, VoteHealthyd)
    assert (vote.threshold, vote.votes) == (0.99, "mean")
    assert pipeline.options()["votes"][:2] == ["mean", "majority"]


def test_a_client_sets_options_by_value_or_text(pipeline: Pipeline) -> None:
    vote = step(pipeline, VoteHealthyd, healthy_probability="0.8", votes="4")
    assert isinstance(vote, VoteHealthyd)
    assert (vote.threshold, vote.votes) == (0.8, 4)
    lesions = step(pipeline, SegmentLesionsd, growing_steps=3)
    assert isinstance(lesions, SegmentLesionsd)
    assert lesions.rule.growing_steps == 3


def test_a_list_of_choices_counts_by_its_head(pipeline: Pipeline) -> None:
    """MONAI Label fills a request up with the options as they were shown."""
    vote = step(pipeline, VoteHealthyd, **pipeline.options())
    assert isinstance(vote, VoteHealthyd)
    assert vote.votes == "mean"


def test_an_empty_list_of_choices_is_the_default(pipeline: Pipeline) -> None:
    vote = step(pipeline, VoteHealthyd, votes=[], lungs_backend=[])
    assert isinstance(vote, VoteHealthyd)
    assert vote.votes == "mean"


def test_a_client_may_ask_for_the_papers_majority(pipeline: Pipeline) -> None:
    vote = step(pipeline, VoteHealthyd, votes="majority")
    assert isinstance(vote, VoteHealthyd)
    assert vote.votes == "majority"


def test_an_overlays_votes_are_what_clients_are_shown(tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.json"
    overlay.write_text('{"members": 3, "votes": "$@members - 1"}')
    pipeline = Pipeline(CONFIG, overlay)
    assert pipeline.options()["votes"] == ["2", "mean", "majority", "1", "3"]
    for request in ({}, pipeline.options()):
        vote = step(pipeline, VoteHealthyd, **request)
        assert isinstance(vote, VoteHealthyd)
        assert vote.votes == 2


def test_an_overlay_may_let_lesions_grow_as_far_as_they_go(tmp_path: Path, pipeline: Pipeline) -> None:
    overlay = tmp_path / "overlay.json"
    overlay.write_text('{"growing_steps": null}')
    endless = Pipeline(CONFIG, overlay)
    for request in ({}, endless.options(), {"growing_steps": ""}):
        lesions = step(endless, SegmentLesionsd, **request)
        assert isinstance(lesions, SegmentLesionsd) and lesions.rule.growing_steps is None
    lesions = step(endless, SegmentLesionsd, growing_steps="7")
    assert isinstance(lesions, SegmentLesionsd) and lesions.rule.growing_steps == 7
    with pytest.raises(InputError, match="growing_steps: expected a number from 0 to 10000, got None"):
        pipeline.run({"growing_steps": None})


def test_every_option_of_an_overlay_may_be_computed(tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.json"
    overlay.write_text(
        '{"members": "$2 + 1", "healthy_probability": "$0.9 + 0.05", "growing_steps": "$@members * 2",'
        " \"lungs_backend\": \"$'class' + 'ical'\"}"
    )
    options = Pipeline(CONFIG, overlay).options()
    assert options["votes"] == ["mean", "majority", "1", "2", "3"]
    assert (options["healthy_probability"], options["growing_steps"]) == (pytest.approx(0.95), 6)
    assert options["lungs_backend"] == ["classical", "joined", "nnunet"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("healthy_probability", 1.5),
        ("healthy_probability", "nan"),
        ("healthy_probability", "high"),
        ("votes", 0),
        ("votes", 6),
        ("growing_steps", -1),
        ("growing_steps", float("inf")),
        ("lungs_backend", "magic"),
    ],
)
def test_a_value_that_cannot_be_is_refused(pipeline: Pipeline, name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{name}: expected "):
        pipeline.run({name: value})


@pytest.mark.parametrize("device", ["foo", "meta", 5, {"a": 1}, "cpu:x", "a') or ('"], ids=str)
def test_a_device_that_is_none_is_refused(device: object) -> None:
    with pytest.raises(InputError, match="device: expected one of "):
        chosen_device(device)


@pytest.mark.parametrize("device", ["cpu", ["cpu", "cuda"]], ids=str)
def test_a_device_is_chosen_by_name_or_by_the_head_of_a_list(device: object) -> None:
    assert chosen_device(device) == "cpu"


def test_a_request_is_about_one_ct(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.nii.gz").touch()
    assert one_study(str(tmp_path / "a.nii.gz"))["study"] == "a"
    with pytest.raises(InputError, match=r"expected one CT, got 2: a, b\.$"):
        one_study(str(tmp_path))
    (tmp_path / "b.nii.gz").unlink()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="expected the path of a CT, got none"):
        one_study("")


def test_weights_are_loaded_once_and_again_when_they_change(tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.json"
    overlay.write_text('{"members": 1}')
    pipeline = Pipeline(CONFIG, overlay)
    torch.manual_seed(0)
    save_weights(Ensemble(1), tmp_path / "model.pt")
    first = pipeline.network(tmp_path / "model.pt")
    assert pipeline.network(tmp_path / "model.pt") is first
    save_weights(Ensemble(1), tmp_path / "model.pt")
    second = pipeline.network(tmp_path / "model.pt")
    before, after = (next(iter(network.parameters())) for network in (first, second))
    assert not torch.equal(before, after)


def test_an_overlay_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"overlay\.json: expected a JSON file"):
        Pipeline(CONFIG, tmp_path / "overlay.json")
