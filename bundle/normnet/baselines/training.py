"""What the trainer of the compared methods needs beside NormNet's own handlers."""

import numpy as np
import torch
from ignite.engine import Engine, Events

__all__ = ["NumberedDraws", "own_loss"]


class NumberedDraws:
    """Seeds torch before every iteration, from the seed and the iteration's number.

    So codes, dropout and crops are the same in a training that was stopped and went on.

    Args:
        seed: where all randomness comes from.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def attach(self, engine: Engine) -> None:
        """Registers with a trainer."""
        engine.add_event_handler(Events.ITERATION_STARTED, self.draw)

    def draw(self, engine: Engine) -> None:
        """Seeds the iteration that is about to start."""
        sequence = np.random.SeedSequence([self.seed, engine.state.iteration])
        torch.manual_seed(int(sequence.generate_state(1)[0]))


def own_loss(loss: torch.Tensor, target: None) -> torch.Tensor:
    """Passes on the loss that a method has computed itself; there is no label."""
    return loss
