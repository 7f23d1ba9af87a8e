"""Inference over many studies, each by itself: a bad one does not stop the others."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from ignite.engine import Events
from monai.data import DataLoader, Dataset, MetaTensor, list_data_collate
from monai.engines import Evaluator
from torch.utils.data import Subset
from tqdm import tqdm

from normnet.errors import InputError, input_error_in

__all__ = ["segment_studies"]

logger = logging.getLogger(__name__)


def segment_studies(
    evaluator: Evaluator, dataset: Dataset, afterwards: Callable[[], Any] | None = None
) -> None:
    """Runs the evaluator over one study after the other, with a progress bar.

    Under torchrun (multi_gpu_inference.json) each process takes every n-th study, and all wait for the last one: a
    process that ended early with an error would have torchrun stop the others.

    Args:
        evaluator: preprocessing is the dataset's; the network, post-processing and saving are the evaluator's.
        dataset: items with an `image`, its path, and a `study` name.
        afterwards: called when all are done, though some may have failed.

    Raises:
        InputError: at the end, naming the studies that failed; each one's own sentence is logged when it happens.
    """
    failed: list[str] = []
    rank, processes = 0, 1
    if torch.distributed.is_initialized():
        rank, processes = torch.distributed.get_rank(), torch.distributed.get_world_size()
    names = [str(item["study"]) for item in dataset.data]
    images = [str(item["image"]) for item in dataset.data]
    index = 0
    evaluator.logger.setLevel(logging.CRITICAL)  # what goes wrong with a study is said below, in one sentence

    def record(engine: Any, error: BaseException) -> None:
        if isinstance(error, KeyboardInterrupt):
            raise error
        failed.append(names[index])
        sentence = input_error_in(error)
        if sentence is None:
            logger.error("%s failed.", names[index], exc_info=error)
        else:  # The networks and the lung model do not know which file they see.
            known = images[index] in str(sentence)
            tqdm.write(f"error: {sentence}" if known else f"error: {names[index]}: {sentence}")

    with evaluator.add_event_handler(Events.EXCEPTION_RAISED, record):
        for index in tqdm(range(rank, len(names), processes), desc="Segmenting", unit="study"):
            evaluator.data_loader = DataLoader(Subset(dataset, [index]), num_workers=0, collate_fn=_as_batch)
            evaluator.state.epoch_length = 1
            evaluator.run()
    if processes > 1:
        of_each: list[list[str]] = [[] for _ in range(processes)]
        torch.distributed.all_gather_object(of_each, failed)
        failed = sorted(name for names_failed in of_each for name in names_failed)
    if afterwards is not None:
        afterwards()
    if failed:
        raise InputError(f"{len(failed)} of {len(names)} studies failed: {', '.join(failed)}.")


def _as_batch(studies: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Makes a batch of one study. MONAI's own collation copies its volumes, and not in the order they lie in memory."""
    (study,) = studies
    volumes: dict[str, Any] = {k: value for k, value in study.items() if isinstance(value, MetaTensor)}
    batch: dict[str, Any] = list_data_collate(
        [{**study, **{key: value[:0] for key, value in volumes.items()}}]
    )
    batch.update({key: value[None].copy_meta_from(batch[key]) for key, value in volumes.items()})
    return batch
