"""The metrics before and after a training, by MONAI's engines, on a network of one weight."""

import json
from pathlib import Path

import pytest
import torch
from ignite.engine import Engine, Events
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import MeanAbsoluteError, ValidationHandler, from_engine

from normnet.before_after import BeforeAndAfter
from normnet.training import ResumableCheckpoint

BATCHES = [{"image": torch.ones(1, 1), "label": torch.zeros(1, 1)}] * 2
"""The answer to 1 is to become 0: the error is the weight."""

Metrics = dict[str, dict[str, float]]


def stop(engine: Engine) -> None:
    raise KeyboardInterrupt


def train(
    folder: Path, epochs: int, interval: int = 1, stop_at: int | None = None
) -> tuple[Metrics, float, int]:
    """Trains from what is in the folder; may fail right after an epoch's checkpoint.

    Returns:
        What the file holds, the weight, and how often it was validated.
    """
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(network.weight)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    validator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=BATCHES,
        network=network,
        key_val_metric={"error": MeanAbsoluteError(output_transform=from_engine(["pred", "label"]))},
    )
    handlers = [
        ResumableCheckpoint(folder / "checkpoint.pt", network, optimizer),
        ValidationHandler(interval, validator),
        BeforeAndAfter(folder / "metrics.json", [validator]),
    ]
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=BATCHES,
        network=network,
        optimizer=optimizer,
        loss_function=torch.nn.MSELoss(),
        train_handlers=handlers[:1],
    )
    if stop_at is not None:
        trainer.add_event_handler(Events.EPOCH_COMPLETED(once=stop_at), stop)
    for handler in handlers[1:]:
        handler.attach(trainer)
    runs: list[int] = []
    validator.add_event_handler(Events.COMPLETED, lambda engine: runs.append(engine.state.epoch))
    if stop_at is None:
        trainer.run()
    else:
        with pytest.raises(KeyboardInterrupt):
            trainer.run()
    return json.loads((folder / "metrics.json").read_text()), float(network.weight.detach()), len(runs)


def test_after_is_the_last_validation_which_is_not_made_twice(tmp_path: Path) -> None:
    metrics, weight, runs = train(tmp_path, epochs=2)
    assert metrics == {"before": {"error": 1.0}, "after": {"error": pytest.approx(weight)}}
    assert weight < 0.5 and runs == 3


@pytest.mark.parametrize("epochs", [1, 3])
def test_where_the_last_epoch_is_not_validated_after_is_measured_at_the_end(
    tmp_path: Path, epochs: int
) -> None:
    metrics, weight, _ = train(tmp_path, epochs, interval=4)
    assert metrics == {"before": {"error": 1.0}, "after": {"error": pytest.approx(weight)}}


def test_a_run_with_nothing_left_to_train_leaves_the_metrics_alone(tmp_path: Path) -> None:
    first, _, _ = train(tmp_path, epochs=2)
    again, _, runs = train(tmp_path, epochs=2)
    assert again == first and runs == 0


def test_a_run_that_was_stopped_after_its_last_checkpoint_is_measured_when_it_goes_on(tmp_path: Path) -> None:
    stopped, _, _ = train(tmp_path, epochs=2, stop_at=2)
    assert stopped == {"before": {"error": 1.0}}
    metrics, weight, _ = train(tmp_path, epochs=2)
    assert metrics == {"before": {"error": 1.0}, "after": {"error": pytest.approx(weight)}}


def test_a_longer_training_has_no_after_of_the_shorter_one(tmp_path: Path) -> None:
    train(tmp_path, epochs=1)
    stopped, _, _ = train(tmp_path, epochs=3, stop_at=3)
    assert stopped == {"before": {"error": 1.0}}
    metrics, weight, _ = train(tmp_path, epochs=3)
    assert metrics["after"] == {"error": pytest.approx(weight)}
