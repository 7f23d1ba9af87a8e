"""The synthetic-lesion transform: the training pair (A, GT) from a healthy thorax area (III-C)."""

import zlib
from collections.abc import Hashable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Randomizable

from generator import SPECS, SynthesisSpec, healthy_target, synthesize
from normnet.errors import InputError
from normnet.intensity import TAU

__all__ = ["RandSynthesizeLesionsd"]

SEEN_SLOTS = 2**20
"""Counters of how often a case was seen, shared by all workers; 8 MB. Two of 450 cases share one in 1 of 10 sets."""


class RandSynthesizeLesionsd(Randomizable, MapTransform):
    """Puts synthetic lesions into healthy lungs and writes the healthy tissue to be segmented.

    Reads the keys `keys` (thorax area H, (1, X, Y, Z) in [0, 1], on the 0.8 x 0.8 x 1.0 mm grid) and `lungs_key`
    (M, (1, X, Y, Z)). Writes `keys` (A, with lesions), `lesion_key` (G) and `target_key` ((H >= tau) and not G),
    the latter two uint8.

    With a `seed`, every draw follows from the seed, the case (its voxels) and how often that case was seen, so a
    loader gives the same volumes, to rounding (a worker has one thread), with any number of workers; MONAI's
    reseeding of workers is left without effect. Two cases that share a counter by chance (`SEEN_SLOTS`) have
    lesions that depend on which of them comes first.
    With `seed=None` the draws follow `set_random_state`, as in MONAI's own random transforms.

    Args:
        keys: the image; one key.
        lungs_key: the lung mask.
        lesion_key: where the lesion mask goes.
        target_key: where the healthy target goes.
        largest_lung: lung voxels of the training set's largest volume, max_j |M_j|; lambda is the share of it that
            this volume's lungs make up, at most 1. None: lambda = 1.
        spec: name of a spec (`generator.SPECS`), a `SynthesisSpec`, or a dictionary of constants that differ from
            the paper's.
        tau: threshold of bright tissue on the scaled image.
        seed: see above.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        lungs_key: str = "lungs",
        lesion_key: str = "lesion",
        target_key: str = "target",
        largest_lung: int | None = None,
        spec: str | SynthesisSpec | Mapping[str, Any] = "paper",
        tau: float = TAU,
        seed: int | None = 0,
    ) -> None:
        MapTransform.__init__(self, keys)
        if len(self.keys) != 1:
            raise ValueError(f"RandSynthesizeLesionsd takes one image key, got {self.keys}")
        self.lungs_key, self.lesion_key, self.target_key = lungs_key, lesion_key, target_key
        self.largest_lung, self.tau, self.case_seed = largest_lung, tau, seed
        self.spec = named_spec(spec)
        self.times_seen = torch.zeros(SEEN_SLOTS, dtype=torch.int64).share_memory_()
        self.seed = 0

    def randomize(self, data: torch.Tensor) -> None:
        """Draws the seed of the lesions in a volume; nothing else is drawn in this class."""
        if self.case_seed is None:
            self.seed = int(self.R.randint(2**31 - 1))
            return
        case = zlib.crc32(data.detach().cpu().contiguous().numpy().tobytes())
        slot = case % SEEN_SLOTS
        seen = int(self.times_seen[slot])
        self.times_seen[slot] += 1
        self.seed = int(np.random.SeedSequence([self.case_seed, case, seen]).generate_state(1)[0] >> 1)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        key = self.keys[0]
        image, lungs = data[key], data[self.lungs_key]
        healthy = plain(image)[0]
        mask = plain(lungs)[0] > 0
        self.randomize(healthy)
        voxels = max(1, int(mask.sum()))
        ill, lesion = synthesize(
            healthy,
            mask,
            lung_fraction=min(1.0, voxels / (self.largest_lung or voxels)),
            rng=torch.Generator().manual_seed(self.seed),
            spec=self.spec,
        )
        target = healthy_target(healthy, lesion, self.tau)
        data[key] = like(image, ill)
        data[self.lesion_key] = like(lungs, lesion.to(torch.uint8))
        data[self.target_key] = like(lungs, target.to(torch.uint8))
        return data


def named_spec(spec: str | SynthesisSpec | Mapping[str, Any]) -> SynthesisSpec:
    """Finds a spec by name, or builds one from constants that differ from the paper's.

    Raises:
        InputError: there is no such spec or constant, or a constant has a value it cannot have.
    """
    if isinstance(spec, SynthesisSpec):
        return spec
    if isinstance(spec, Mapping):
        known = [field.name for field in fields(SynthesisSpec)]
        unknown = [name for name in spec if name not in known]
        if unknown:
            raise InputError(f"synthesis: expected constants out of {', '.join(known)}, got {unknown[0]!r}.")
        try:
            return SynthesisSpec(**spec)
        except ValueError as error:
            raise InputError(f"synthesis: {error}.") from error
    if not isinstance(spec, str) or spec not in SPECS:
        raise InputError(f"synthesis: expected one of {', '.join(sorted(SPECS))}, got {spec!r}.")
    return SPECS[spec]


def plain(volume: torch.Tensor) -> torch.Tensor:
    """Drops the metadata, so that the generator sees a plain tensor."""
    return volume.as_tensor() if isinstance(volume, MetaTensor) else volume


def like(source: torch.Tensor, volume: torch.Tensor) -> torch.Tensor:
    """Gives (X, Y, Z) a channel and the metadata of the volume it came from."""
    if not isinstance(source, MetaTensor):
        return volume[None]
    return MetaTensor(volume[None]).copy_meta_from(source)
