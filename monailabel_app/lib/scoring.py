"""How much a scan is worth an annotator's time: the disagreement of the ensemble."""

import logging
from typing import Any

import torch
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.scoring import ScoringMethod
from tqdm import tqdm

from normnet.checkpoints import weights_hash
from normnet.disagreement import disagreement_score
from normnet.errors import input_error_in
from normnet.lesions import VoteHealthyd

from .devices import chosen_device
from .pipeline import Pipeline, one_study
from .versions import Versions

__all__ = ["SCORE", "SCORED_BY", "Disagreement"]

SCORE = "disagreement"
"""Key of an image's score in its info: mean entropy of the votes over bright lung voxels, bits."""

SCORED_BY = "disagreement_weights"
"""Key of the hash of the weights that gave the score; a score by other weights is stale."""

logger = logging.getLogger(__name__)


class Disagreement(ScoringMethod):  # type: ignore[misc] # MONAI Label ships no types.
    """Scores each unlabelled image by the members' disagreement (`normnet.disagreement.disagreement_score`).

    A score stays until the weights change. An image that cannot be scored is left without one; the others go on.

    Args:
        pipeline: the bundle's inference.
        versions: of the weights.
    """

    def __init__(self, pipeline: Pipeline, versions: Versions) -> None:
        super().__init__("Entropy of the members' votes, mean over bright lung voxels, in bits")
        self.pipeline, self.versions = pipeline, versions

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, dict[str, Any]]:
        """Scores what is not scored by the weights that serve now.

        Args:
            request: `device`, and any option of the pipeline.
            datastore: of the images.

        Returns:
            image id to the entries added to its info.
        """
        weights = self.versions.path()
        stamp = weights_hash(weights)
        images = sorted(datastore.get_unlabeled_images())
        stale = [image for image in images if datastore.get_image_info(image).get(SCORED_BY) != stamp]
        device = chosen_device(request.get("device"))
        scores = {}
        for image in tqdm(stale, desc="Scoring", unit="CT"):
            try:
                score = self.score(datastore.get_image_uri(image), device, request)
            except Exception as error:
                sentence = input_error_in(error)
                if sentence is None:
                    raise
                logger.warning("%s has no score: %s", image, sentence)
                continue
            scores[image] = {SCORE: score, SCORED_BY: stamp}
            datastore.update_image_info(image, scores[image])
        return scores

    def score(self, path: str, device: str, request: dict[str, Any]) -> float:
        """Computes the score of one CT, bits in [0, 1]."""
        run = self.pipeline.run(request, device)
        study = run.preprocessing(one_study(path))
        network = self.pipeline.network(self.versions.path(), device)
        with torch.no_grad():
            study["pred"] = run.inferer(study["image"][None].to(device), network)[0]
        vote = next(step for step in run.postprocessing.transforms if isinstance(step, VoteHealthyd))
        study = vote(study)
        bright = (study["image"][0] >= vote.tau) & (study["lungs"][0] > 0)
        return disagreement_score(study["disagreement"][0].cpu(), bright.cpu())
