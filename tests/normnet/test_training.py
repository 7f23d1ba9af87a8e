"""A training run: its lengths, and its handlers on a network of one weight."""

from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine

from normnet.checkpoints import load_weights, write_checkpoint
from normnet.errors import InputError
from normnet.training import (
    FallingRate,
    ResumableCheckpoint,
    SaveMember,
    completed_iterations,
    epoch_length,
    member_seed,
    volumes_per_batch,
)


def train(
    folder: Path, epochs: int, stop_after: int | None = None, data: str = "", length: int = 3
) -> torch.nn.Module:
    """Runs epochs of so many iterations from what is in the folder; may fail after some iterations."""
    torch.manual_seed(0)
    network = torch.nn.Linear(1, 1)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)

    def step(engine: Engine, batch: Any) -> None:
        if stop_after is not None and engine.state.iteration > stop_after:
            raise KeyboardInterrupt
        optimizer.zero_grad()
        (network(torch.tensor([[float(engine.state.iteration)]])) - 1).square().sum().backward()
        optimizer.step()

    engine = Engine(step)
    engine.state.max_epochs, engine.state.epoch_length = epochs, length
    ResumableCheckpoint(folder / "checkpoint.pt", network, optimizer, data=data).attach(engine)
    SaveMember(folder / "member_0.pt", network).attach(engine)
    engine.run(range(length))
    return network


def test_a_run_that_was_stopped_ends_like_one_that_was_not(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", epochs=4)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "stopped", epochs=4, stop_after=8)
    assert completed_iterations(tmp_path / "stopped" / "checkpoint.pt") == 6
    assert not (tmp_path / "stopped" / "member_0.pt").exists()
    resumed = train(tmp_path / "stopped", epochs=4)
    assert torch.equal(resumed.weight, whole.weight)
    saved = load_weights(torch.nn.Linear(1, 1), tmp_path / "stopped" / "member_0.pt")
    assert torch.equal(saved.weight, whole.weight)


def test_a_training_says_where_its_weights_are_and_when_there_was_nothing_left_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path, epochs=2)
    assert capsys.readouterr().out == f"Weights: {tmp_path / 'member_0.pt'}\n"
    train(tmp_path, epochs=2)
    assert f"{tmp_path / 'checkpoint.pt'}: trained already, for 6 iterations.\n" in capsys.readouterr().out


@pytest.mark.parametrize("member", [-1, "one", 0.5])
def test_a_member_that_is_no_number_of_one_is_refused(member: object) -> None:
    assert member_seed(2009, 3) == 2012
    with pytest.raises(InputError, match=r"^member: expected a whole number from 0 on, found "):
        member_seed(2009, member)  # type: ignore[arg-type]


def test_a_longer_run_goes_on_in_the_middle_of_its_own_longer_epochs(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", epochs=6, length=2)
    train(tmp_path / "longer", epochs=2, length=2)  # 4 iterations: one epoch of 3, and a third of the next
    longer = train(tmp_path / "longer", epochs=4, length=3)
    assert completed_iterations(tmp_path / "longer" / "checkpoint.pt") == 12
    assert torch.equal(longer.weight, whole.weight)


@pytest.mark.parametrize(
    ("iterations", "length"), [(3500, 100), (150, 75), (1050, 75), (4, 4), (100, 100), (1009, 92)]
)
def test_epochs_make_up_the_iterations_as_nearly_as_whole_numbers_can(iterations: int, length: int) -> None:
    assert epoch_length(iterations, 100) == length
    assert -(-iterations // length) * length == (1012 if iterations == 1009 else iterations)


def test_iterations_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="max_iterations: expected a whole number of at least 1, found 0"):
        epoch_length(0, 100)
    with pytest.raises(InputError, match=r"epoch_iterations: expected a whole number .* found 2\.5"):
        epoch_length(100, 2.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("batch_size", "processes", "volumes"), [(8, 1, 1), (16, 1, 2), (16, 2, 1), (32, 2, 2), (8, 4, 1)]
)
def test_a_batch_is_made_of_whole_volumes_and_each_process_has_one(
    batch_size: int, processes: int, volumes: int
) -> None:
    assert volumes_per_batch(batch_size, of_each=8, name="n", processes=processes) == volumes


@pytest.mark.parametrize(("batch_size", "processes"), [(4, 1), (12, 1), (0, 1), (4, 2), (24, 2)])
def test_a_batch_that_is_not_made_of_whole_volumes_is_refused(batch_size: int, processes: int) -> None:
    found = (
        rf"batch_size: expected .* patches_per_slab.*, found batch_size {batch_size} and patches_per_slab 8\."
    )
    with pytest.raises(InputError, match=found):
        volumes_per_batch(batch_size, of_each=8, name="patches_per_slab", processes=processes)
    with pytest.raises(InputError, match="found batch_size 8 and patches_per_slab 0"):
        volumes_per_batch(8, of_each=0, name="patches_per_slab")


def test_the_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    train(tmp_path, epochs=1, data="these CTs")
    train(tmp_path, epochs=2, data="these CTs")
    with pytest.raises(InputError, match=r"checkpoint\.pt: expected .* on these CTs, found .* --output_dir"):
        train(tmp_path, epochs=3, data="other CTs")
    assert completed_iterations(tmp_path / "checkpoint.pt") == 6
    write_checkpoint({"weight": 1}, tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match=r"checkpoint\.pt: expected the checkpoint of a training"):
        completed_iterations(tmp_path / "checkpoint.pt")


def test_without_a_checkpoint_nothing_is_completed(tmp_path: Path) -> None:
    assert completed_iterations(tmp_path / "checkpoint.pt") == 0


def test_the_rate_rises_and_then_falls_and_follows_from_the_iteration_alone() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=7.0)
    handler = FallingRate(optimizer, highest=1.0, warm_up=0.25)
    engine = Engine(lambda *_: None)
    engine.state.max_epochs, engine.state.epoch_length = 2, 4
    rates = {}
    for iteration in (1, 2, 3, 5, 8):
        engine.state.iteration = iteration
        handler.step(engine)
        rates[iteration] = optimizer.param_groups[0]["lr"]
    assert rates[1] == 0.5  # half way up
    assert rates[2] > rates[3] > rates[5] > rates[8]
    assert rates[5] == pytest.approx(0.5)  # half way down the cosine
    assert rates[8] < 0.05
