"""The handlers of a training run, on a network of one weight."""

from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine

from normnet.checkpoints import load_weights, write_checkpoint
from normnet.errors import InputError
from normnet.training import FallingRate, ResumableCheckpoint, SaveMember, completed_iterations


def train(folder: Path, epochs: int, stop_after: int | None = None, data: str = "") -> torch.nn.Module:
    """Runs epochs of 3 iterations from what is in the folder; may fail after some iterations."""
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
    engine.state.max_epochs, engine.state.epoch_length = epochs, 3
    ResumableCheckpoint(folder / "checkpoint.pt", network, optimizer, data=data).attach(engine)
    SaveMember(folder / "member_0.pt", network).attach(engine)
    engine.run(range(3))
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
