"""From the ensemble's probabilities to the lesion mask: Fig. 4 put together (III-D)."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type

from normnet.disagreement import vote_entropy
from normnet.edges import mostly_on_edge
from normnet.errors import InputError
from normnet.growing import GROWING_STEPS, grow
from normnet.intensity import TAU
from normnet.smoothing import mean_filter
from normnet.vote import HEALTHY_PROBABILITY, MAJORITY, SUREST, Votes, refuse_other_votes, vote_healthy

__all__ = [
    "LesionRule",
    "LesionStages",
    "MeanProbabilityd",
    "SegmentLesionsd",
    "VoteHealthyd",
    "lesion_stages",
    "segment_lesions",
]


@dataclass(frozen=True)
class LesionRule:
    """The parameters of Fig. 4; kernels and steps in voxels of the 0.8 x 0.8 x 1.0 mm grid (IV-B3).

    Attributes:
        tau: tissue at or above it is bright, on the image scaled to [0, 1] (III-A).
        bright_kernel: edge of the mean filter over the bright lesions (d).
        bright_threshold: their mean has to exceed it.
        full_kernel: edge of the mean filter over the lesions of all brightness (f).
        full_threshold: their mean has to exceed it.
        border_kernel: edge of a smaller mean filter over (f), whose mean has to exceed the same threshold: that over
            full_kernel reaches two voxels beyond whatever is dense. 0 leaves it at that, as the paper does.
        growing_steps: how far (e) grows inside (g); None is as far as it goes. A decision, the paper names no
            number.
        edge_depth: a connected lesion that lies for the most part so near the edge of the lungs is an error of the
            lung mask (`normnet.edges`; III-B says so of training alone); 0 keeps all, as the paper does.
    """

    tau: float = TAU
    bright_kernel: int = 9
    bright_threshold: float = 0.2
    full_kernel: int = 7
    full_threshold: float = 0.15
    border_kernel: int = 0
    growing_steps: int | None = GROWING_STEPS
    edge_depth: int = 0

    def __post_init__(self) -> None:
        """Refuses what a config or a command line may hold by mistake, before any study is read.

        Raises:
            InputError: a kernel that is not odd and positive, steps or a depth that are not a number of them, a
                threshold that no mean of intensities passes.
        """
        for name in ("tau", "bright_threshold", "full_threshold"):
            threshold = getattr(self, name)
            if not isinstance(threshold, int | float) or not 0 <= threshold < 1:
                raise InputError(f"{name}: expected a number from 0 to below 1, found {threshold!r}.")
        for name in ("bright_kernel", "full_kernel", "border_kernel"):
            kernel = getattr(self, name)
            none = name == "border_kernel" and kernel == 0
            if not none and (not isinstance(kernel, int) or kernel < 1 or kernel % 2 == 0):
                raise InputError(f"{name}: expected an odd number of voxels, found {kernel!r}.")
        steps = self.growing_steps
        if steps is not None and (not isinstance(steps, int) or steps < 0):
            raise InputError(f"growing_steps: expected a whole number of steps, found {steps!r}.")
        if not isinstance(self.edge_depth, int) or self.edge_depth < 0:
            raise InputError(f"edge_depth: expected a whole number of voxels, found {self.edge_depth!r}.")


@dataclass(frozen=True)
class LesionStages:
    """The pictures of Fig. 4, by letter; (X, Y, Z) each.

    Attributes:
        bright: (d) bright lung that is not healthy, float32 intensities in [0, 1].
        seed: (e) bool, where the mean of (d) is high: the lesions without growing.
        full: (f) lung of all brightness that is not healthy, float32 intensities in [0, 1].
        support: (g) bool, where the mean of (f) is high, up to the border that border_kernel draws.
        lesion: (e) grown inside (g) and the lungs, without what lies on their edge, bool.
    """

    bright: torch.Tensor
    seed: torch.Tensor
    full: torch.Tensor
    support: torch.Tensor
    lesion: torch.Tensor


def lesion_stages(
    image: torch.Tensor, lungs: torch.Tensor, healthy: torch.Tensor, rule: LesionRule | None = None
) -> LesionStages:
    """Computes every step of Fig. 4 (III-D).

    (d) and (f) carry intensities, not ones: with ones, (g) would be nearly the whole lung. For (d) the paper's text
    would allow ones too ("subtracting the predicted healthy part from lung mask": mask minus mask); it is read as (f)
    is. The seed and the support are cut to the lungs, so that growth cannot pass through the chest wall.

    Args:
        image: (X, Y, Z) float32, the thorax area H in [0, 1].
        lungs: (X, Y, Z) bool.
        healthy: (X, Y, Z) bool, the healthy tissue to subtract.
        rule: the parameters; None is the paper's.

    Returns:
        Every stage, on the device of the input.

    Raises:
        ValueError: when the shapes differ.
    """
    if not image.shape == lungs.shape == healthy.shape:
        shapes = ", ".join(str(tuple(volume.shape)) for volume in (image, lungs, healthy))
        raise ValueError(f"expected image, lungs and healthy of one shape (X, Y, Z), got {shapes}")
    rule = rule or LesionRule()
    full = torch.where(lungs & ~healthy, image, 0)
    bright = torch.where(image >= rule.tau, full, 0)
    seed = (mean_filter(bright, rule.bright_kernel) > rule.bright_threshold) & lungs
    support = (mean_filter(full, rule.full_kernel) > rule.full_threshold) & lungs
    if rule.border_kernel:
        support &= mean_filter(full, rule.border_kernel) > rule.full_threshold
    lesion = grow(seed, support, rule.growing_steps)
    if rule.edge_depth:
        on_edge = mostly_on_edge(lesion.cpu().numpy(), lungs.cpu().numpy(), depth=rule.edge_depth)
        lesion = lesion & ~torch.from_numpy(on_edge).to(lesion.device)
    return LesionStages(bright, seed, full, support, lesion)


def segment_lesions(
    image: torch.Tensor, lungs: torch.Tensor, healthy: torch.Tensor, *, rule: LesionRule | None = None
) -> torch.Tensor:
    """Turns the healthy tissue into the lesion mask (III-D): the last stage of `lesion_stages`, same arguments.

    Returns:
        (X, Y, Z) bool, inside the lungs.
    """
    return lesion_stages(image, lungs, healthy, rule).lesion


class VoteHealthyd(MapTransform):
    """Takes the ensemble's vote, or its members' mean, and their disagreement.

    What it writes lies on the image's grid and has its affine; it stays on the device of the probabilities.

    Args:
        keys: each member's probability of healthy tissue, (K, X, Y, Z), in [0, 1].
        healthy_key: where the healthy tissue goes, (1, X, Y, Z) uint8: bright lung that the vote calls
            healthy.
        disagreement_key: where the entropy of the votes goes, (1, X, Y, Z) float32, bits.
        vote_key: where the vote itself goes, (1, X, Y, Z) uint8, voxels below tau included.
        image_key: thorax area H, (1, X, Y, Z), in [0, 1].
        lungs_key: lung mask, (1, X, Y, Z).
        threshold: a member votes for a voxel when its probability is strictly above it (IV-B3).
        votes: how many votes it takes, "majority" or "mean" (`normnet.vote`).
        tau: tissue at or above it is bright (III-A).
        members: of the ensemble, so that votes it cannot have are refused before any study is read.

    Raises:
        InputError: votes that so many members do not have, a probability that none can be surer of.
    """

    def __init__(
        self,
        keys: KeysCollection = "pred",
        healthy_key: str = "healthy",
        disagreement_key: str = "disagreement",
        vote_key: str = "vote",
        image_key: str = "image",
        lungs_key: str = "lungs",
        threshold: float = HEALTHY_PROBABILITY,
        votes: Votes = MAJORITY,
        tau: float = TAU,
        members: int | None = None,
    ) -> None:
        super().__init__(keys)
        if members is not None:
            refuse_other_votes(votes, members)
        if not isinstance(threshold, int | float) or not 0 <= threshold < SUREST:
            raise InputError(
                f"healthy_probability: expected a number from 0 to below {SUREST:.4f}, found {threshold!r}."
            )
        self.healthy_key, self.disagreement_key, self.vote_key = healthy_key, disagreement_key, vote_key
        self.image_key, self.lungs_key = image_key, lungs_key
        self.threshold, self.votes, self.tau = threshold, votes, tau

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        image = data[self.image_key]
        for key in self.key_iterator(data):
            probability = data[key].as_subclass(torch.Tensor)
            tissue = _plain(image, probability.device)
            bright = (tissue >= self.tau) & (_plain(data[self.lungs_key], probability.device) > 0)
            vote = vote_healthy(probability, self.threshold, self.votes)
            disagreement = vote_entropy(probability, bright, self.threshold)
            data[self.vote_key] = _like(image, vote.to(torch.uint8))
            data[self.healthy_key] = _like(image, (vote & bright).to(torch.uint8))
            data[self.disagreement_key] = _like(image, disagreement)
        return data


class MeanProbabilityd(MapTransform):
    """Averages the members' probabilities of healthy tissue: what the AUC of Table II ranks.

    Args:
        keys: each member's probability of healthy tissue, (K, X, Y, Z), in [0, 1].
        probability_key: where the mean goes, (1, X, Y, Z) float32, on the image's grid.
        image_key: thorax area H, (1, X, Y, Z).
    """

    def __init__(
        self, keys: KeysCollection = "pred", probability_key: str = "probability", image_key: str = "image"
    ) -> None:
        super().__init__(keys)
        self.probability_key, self.image_key = probability_key, image_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        for key in self.key_iterator(data):
            mean = data[key].as_subclass(torch.Tensor).mean(dim=0, dtype=torch.float32)
            data[self.probability_key] = _like(data[self.image_key], mean)
        return data


class SegmentLesionsd(MapTransform):
    """Turns the healthy tissue into the lesion mask (III-D, Fig. 4).

    Args:
        keys: the healthy tissue that Fig. 4 subtracts, (1, X, Y, Z). The bright one, `healthy`, and not the whole
            `vote`: what the networks say below tau is not trained, and the paper's GT is 0 there.
        lesion_key: where the lesion mask goes, (1, X, Y, Z) uint8, on the image's grid.
        image_key: thorax area H, (1, X, Y, Z), in [0, 1].
        lungs_key: lung mask, (1, X, Y, Z).
        **rule: the fields of `LesionRule`, each by its name.

    Raises:
        InputError: a field that cannot be.
    """

    def __init__(
        self,
        keys: KeysCollection = "healthy",
        lesion_key: str = "lesion",
        image_key: str = "image",
        lungs_key: str = "lungs",
        **rule: Any,
    ) -> None:
        super().__init__(keys)
        self.lesion_key, self.image_key, self.lungs_key = lesion_key, image_key, lungs_key
        self.rule = LesionRule(**rule)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        for key in self.key_iterator(data):
            device = data[key].device
            image, lungs = _plain(data[self.image_key], device), _plain(data[self.lungs_key], device)
            lesion = segment_lesions(image, lungs > 0, _plain(data[key], device) > 0, rule=self.rule)
            data[self.lesion_key] = _like(data[self.image_key], lesion.to(torch.uint8))
        return data


def _plain(volume: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Drops the channel and MONAI's bookkeeping, which costs time in every operation."""
    return volume.as_subclass(torch.Tensor)[0].to(device)


def _like(image: torch.Tensor, volume: torch.Tensor) -> torch.Tensor:
    """Gives (X, Y, Z) a channel and the image's grid, on the device it is on."""
    return convert_to_dst_type(volume[None], image, dtype=volume.dtype, device=volume.device)[0]
