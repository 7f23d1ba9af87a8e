"""Which scan an annotator corrects next."""

import random
import time
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.tasks.activelearning.random import Random

from normnet.checkpoints import weights_hash

from .scoring import SCORE, SCORED_BY
from .versions import Versions

__all__ = ["AtRandom", "MostDisagreed", "choose"]

RESERVED_S = 3600
"""A scan that was handed out is not handed out again for this long, so that two annotators get two scans, seconds."""


class MostDisagreed(Strategy):  # type: ignore[misc] # MONAI Label ships no types.
    """Hands out the unlabelled scan on which the members disagree most.

    Args:
        versions: of the weights; scores by other weights than those that serve count less than any fresh one.
    """

    def __init__(self, versions: Versions) -> None:
        super().__init__(
            "The unlabelled scan on which the networks disagree most; at random while nothing is scored"
        )
        self.versions = versions

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """Chooses the next image.

        Args:
            request: `strategy`, the name this strategy has in the app.
            datastore: of the images.

        Returns:
            id and score of the image; None when every image is labelled.
        """
        infos = {image: datastore.get_image_info(image) for image in datastore.get_unlabeled_images()}
        name = request["strategy"]
        served = {image: info.get("strategy", {}).get(name, {}).get("ts", 0) for image, info in infos.items()}
        image = choose(infos, served, weights_hash(self.versions.path()), time.time())
        return None if image is None else {"id": image, "score": infos[image].get(SCORE)}


class AtRandom(Random):  # type: ignore[misc] # MONAI Label ships no types.
    """MONAI Label's own, which weighs scans by the seconds since they were handed out.

    MONAI Label 0.8.5 raises where all that are left were handed out within this second.
    """

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """Chooses the next image: its id and weight; None when every image is labelled."""
        try:
            chosen: dict[str, Any] | None = super().__call__(request, datastore)
            return chosen
        except ValueError as error:
            if "weights" not in str(error):
                raise
            return {"id": random.choice(datastore.get_unlabeled_images()), "weight": 0}


def choose(
    infos: dict[str, dict[str, Any]], served: dict[str, float], weights: str, now: float
) -> str | None:
    """Picks from unlabelled images: fresh scores before stale ones before none, each from high to low.

    Args:
        infos: image id to its info, where scores are.
        served: image id to the time when it was last handed out, seconds; 0 for never.
        weights: hash of the weights whose scores are fresh.
        now: seconds.

    Returns:
        The image; None where there is none. Images handed out within the last hour wait until no other is left; then
        the one handed out longest ago comes first. Images without a score are equal, so one is drawn.
    """
    if not infos:
        return None
    free = [image for image in infos if now - served[image] >= RESERVED_S]
    if not free:
        return min(infos, key=lambda image: served[image])

    def rank(image: str) -> tuple[bool, bool, float]:
        info = infos[image]
        return (info.get(SCORED_BY) == weights, SCORE in info, info.get(SCORE, 0.0))

    best = max(map(rank, free))
    return random.choice([image for image in free if rank(image) == best])
