"""A model over many scans."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.batch_infer import BatchInferTask

from normnet.errors import input_error_in

__all__ = ["BatchInfer"]

logger = logging.getLogger(__name__)


class BatchInfer(BatchInferTask):  # type: ignore[misc] # MONAI Label ships no types.
    """Runs a model over all or the unlabelled images; a scan that fails does not stop the others.

    MONAI Label 0.8.5 deals images out to CUDA devices even where there is none, and divides by their number; and
    with one worker it lets the first error end the batch.
    """

    def __call__(
        self, request: dict[str, Any], datastore: Datastore, infer: Callable[..., Any]
    ) -> dict[str, Any]:
        """Segments the images of the request.

        Returns:
            image id to the reply for it, or to {"error": why there is none}.
        """

        def infer_or_say_why(one: dict[str, Any], store: Datastore) -> dict[str, Any]:
            try:
                reply: dict[str, Any] = infer(one, store)
                return reply
            except Exception as error:
                sentence = input_error_in(error)
                if sentence is None:
                    logger.exception("%s could not be segmented", one.get("image"))
                logger.warning("%s is left out: %s", one.get("image"), sentence or error)
                return {"error": str(sentence or error)}

        several = torch.cuda.device_count() > 1 and bool(request.get("multi_gpu", True))
        results: dict[str, Any] = super().__call__(
            {**request, "multi_gpu": several}, datastore, infer_or_say_why
        )
        return results
