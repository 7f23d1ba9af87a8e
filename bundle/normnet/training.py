"""A training run: its lengths, and its handlers for progress, checkpoint, learning rate and the final weights."""

import math
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.engines import Trainer
from tqdm import tqdm

from normnet.checkpoints import fit_weights, read_checkpoint, save_weights, write_checkpoint
from normnet.errors import InputError

__all__ = [
    "FallingRate",
    "ResumableCheckpoint",
    "SaveMember",
    "TrainingProgress",
    "completed_iterations",
    "epoch_length",
    "volumes_per_batch",
]


def epoch_length(iterations: int, longest: int) -> int:
    """Chooses the iterations of an epoch so that whole epochs make up a training's, or as few more as can be.

    Args:
        iterations: of the training.
        longest: most iterations of an epoch. One of several has more than half as many: each ends with a validation.

    Raises:
        InputError: a number that is not whole and positive.
    """
    for name, number in (("max_iterations", iterations), ("epoch_iterations", longest)):
        if not isinstance(number, int) or number < 1:
            raise InputError(f"{name}: expected a whole number of at least 1, found {number!r}.")
    if iterations <= longest:
        return iterations
    return min(range(longest, longest // 2, -1), key=lambda length: -iterations % length)


def member_seed(base: int, member: int) -> int:
    """Gives each member of an ensemble a seed of its own.

    Args:
        base: of the ensemble.
        member: 0 and up.

    Raises:
        InputError: a member that is no such number.
    """
    if not isinstance(member, int) or member < 0:
        raise InputError(f"member: expected a whole number from 0 on, found {member!r}.")
    return base + member


def volumes_per_batch(batch_size: int, *, of_each: int, name: str, processes: int = 1) -> int:
    """Tells from how many volumes a process takes its part of a batch.

    Args:
        batch_size: patches or slices of a batch.
        of_each: how many come from one volume.
        name: of the setting that says so, for errors.
        processes: that share a batch; each takes one volume at least, so that more of them than a batch has volumes
            make it larger.

    Raises:
        InputError: `batch_size` is not made up of whole volumes, as many for each process.
    """
    volumes = batch_size // of_each if of_each > 0 and batch_size % of_each == 0 else 0
    if volumes < 1 or (volumes > processes and volumes % processes):
        shared = f" that {processes} processes can share" if processes > 1 else ""
        raise InputError(
            f"batch_size: expected a multiple of {name}{shared}, found batch_size {batch_size} and {name} {of_each}."
        )
    return max(1, volumes // processes)


def completed_iterations(checkpoint: str | Path) -> int:
    """Tells how many iterations a checkpoint has behind it; 0 where there is none.

    Raises:
        InputError: the file is no checkpoint of a training.
    """
    return int(_read_state(checkpoint)["iteration"]) if Path(checkpoint).is_file() else 0


def _read_state(checkpoint: str | Path) -> Any:
    state = read_checkpoint(checkpoint)
    if not isinstance(state, dict) or not {"network", "optimizer", "iteration"} <= state.keys():
        raise InputError(f"{checkpoint}: expected the checkpoint of a training, found something else.")
    return state


class ResumableCheckpoint:
    """Keeps network, optimizer and iteration in one file at every epoch's end, and starts from it if it is there.

    Args:
        path: the checkpoint.
        network: as it is trained.
        optimizer: the network's.
        write: whether this process writes; one of several does.
        data: names what is trained on, so that a training on other CTs is not taken for this one.

    Raises:
        InputError: at the start, where the file is the checkpoint of another training, or none.
    """

    def __init__(
        self,
        path: str | Path,
        network: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        write: bool = True,
        data: str = "",
    ) -> None:
        self.path, self.network, self.optimizer, self.write = Path(path), network, optimizer, write
        self.data = data

    def attach(self, engine: Engine) -> None:
        """Registers with a trainer."""
        engine.add_event_handler(Events.STARTED, self.load)
        if self.write:
            engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)

    def load(self, engine: Engine) -> None:
        """Goes on from the checkpoint, if there is one."""
        if not self.path.is_file():
            return
        checkpoint = _read_state(self.path)
        if checkpoint.get("data", self.data) != self.data:
            raise InputError(
                f"{self.path}: expected the checkpoint of a training on these CTs, found one of a training on others, "
                "or with other corrections or weights to start from; give another --output_dir."
            )
        fit_weights(self.network, checkpoint["network"], self.path)
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        engine.state.iteration = checkpoint["iteration"]
        engine.state.epoch = checkpoint["iteration"] // engine.state.epoch_length
        if self.write and engine.state.epoch >= (engine.state.max_epochs or 0):
            tqdm.write(f"{self.path}: trained already, for {checkpoint['iteration']} iterations.")

    def save(self, engine: Engine) -> None:
        """Writes the checkpoint."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "iteration": engine.state.iteration,
            "data": self.data,
        }
        write_checkpoint(state, self.path)


class SaveMember:
    """Writes the member's weights when the training is complete, and not before.

    Args:
        path: the member's weights.
        network: the bare network, not its parallel wrapper.
        write: whether this process writes; one of several does.
    """

    def __init__(self, path: str | Path, network: torch.nn.Module, write: bool = True) -> None:
        self.path, self.network, self.write = Path(path), network, write

    def attach(self, engine: Engine) -> None:
        """Registers with a trainer."""
        if self.write:
            engine.add_event_handler(Events.COMPLETED, self.save)

    def save(self, engine: Engine) -> None:
        """Writes the weights, and says where."""
        save_weights(self.network, self.path)
        tqdm.write(f"Weights: {self.path}")


class FallingRate:
    """Lets the learning rate rise over the first iterations and fall along a cosine to nothing at the run's end.

    The rate follows from the iteration alone, so a run that was stopped goes on with the rate it would have had.

    Args:
        optimizer: its learning rate is set before each iteration.
        highest: the highest learning rate.
        warm_up: share of the run's iterations over which the rate rises.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, highest: float, warm_up: float = 0.03) -> None:
        self.optimizer, self.highest, self.warm_up = optimizer, highest, warm_up

    def attach(self, engine: Engine) -> None:
        """Registers with a trainer."""
        engine.add_event_handler(Events.ITERATION_STARTED, self.step)

    def step(self, engine: Engine) -> None:
        """Sets the rate of this iteration, the first of which is number 1."""
        total = (engine.state.max_epochs or 1) * (engine.state.epoch_length or 1)
        done = (engine.state.iteration - 1) / total
        rising = min(1.0, engine.state.iteration / max(1.0, self.warm_up * total))
        for group in self.optimizer.param_groups:
            group["lr"] = self.highest * rising * (1 + math.cos(math.pi * done)) / 2


class TrainingProgress:
    """Shows the iterations of the whole run and the loss in a progress bar.

    Args:
        description: shown before the bar.
        show: whether this process shows it.
    """

    def __init__(self, description: str = "Training", show: bool = True) -> None:
        self.description, self.show = description, show

    def attach(self, engine: Trainer) -> None:
        """Registers with a trainer."""
        if self.show:
            engine.add_event_handler(Events.STARTED, self.start)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self.step)
            engine.add_event_handler(Events.COMPLETED, lambda _: self.bar.close())

    def start(self, engine: Engine) -> None:
        """Opens the bar at the iteration the run starts from."""
        total = (engine.state.max_epochs or 0) * (engine.state.epoch_length or 0)
        self.bar = tqdm(total=total, initial=engine.state.iteration, desc=self.description, unit="it")

    def step(self, engine: Engine) -> None:
        """Moves the bar on by one iteration."""
        output: Any = engine.state.output
        loss = (output[0] if isinstance(output, list) else output)["loss"]
        self.bar.set_postfix(loss=f"{float(loss):.3f}", refresh=False)
        self.bar.update()
