"""Inference over many studies, each by itself: a bad one does not stop the others."""

import logging
from typing import Any

from ignite.engine import Events
from monai.data import DataLoader, Dataset
from monai.engines import Evaluator
from torch.utils.data import Subset
from tqdm import tqdm

from normnet.errors import InputError, input_error_in

__all__ = ["segment_studies"]

logger = logging.getLogger(__name__)


def segment_studies(evaluator: Evaluator, dataset: Dataset) -> None:
    """Runs the evaluator over one study after the other, with a progress bar.

    Args:
        evaluator: preprocessing is the dataset's; the network, post-processing and saving are the evaluator's.
        dataset: items with a `study` name.

    Raises:
        InputError: at the end, naming the studies that failed; each one's own sentence is logged when it happens.
    """
    failed: list[str] = []
    names = [str(item["study"]) for item in dataset.data]
    current = ""

    def record(engine: Any, error: BaseException) -> None:
        if isinstance(error, KeyboardInterrupt):
            raise error
        failed.append(current)
        sentence = input_error_in(error)
        if sentence is None:
            logger.error("%s failed.", current, exc_info=error)
        else:
            tqdm.write(f"error: {sentence}")

    with evaluator.add_event_handler(Events.EXCEPTION_RAISED, record):
        for index in tqdm(range(len(names)), desc="Segmenting", unit="study"):
            current = names[index]
            evaluator.data_loader = DataLoader(Subset(dataset, [index]), batch_size=1, num_workers=0)
            evaluator.state.epoch_length = 1
            evaluator.run()
    if failed:
        raise InputError(f"{len(failed)} of {len(names)} studies failed: {', '.join(failed)}.")
