"""Scans whose lesions an annotator has corrected: real lesions, and real healthy tissue round them."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import Compose, MapTransform

from generator import healthy_target
from normnet.healthy_volumes import healthy_transforms, stored
from normnet.intensity import TAU
from normnet.lesion_labels import LoadLesionsd
from normnet.lung_density import FULL_LUNG_HU
from normnet.reading import LoadCTd
from normnet.thorax import MODEL_SPACING, thorax_transforms

__all__ = ["CorrectedTargetd", "corrected_transforms", "lesion_free_transforms"]


def corrected_transforms(
    *,
    lungs: str = "classical",
    spacing: Sequence[float] = MODEL_SPACING,
    tau: float = TAU,
    full_lung_hu: float = FULL_LUNG_HU,
) -> Compose:
    """Composes all that happens to a corrected scan: files to thorax area, lesions and what is healthy.

    Erroneous edges stay: inference does not take them out either, and here an annotator has said what they are.

    Args:
        lungs: name of the lung backend.
        spacing: of the model's grid, mm.
        tau: threshold of bright tissue on the scaled image.
        full_lung_hu: as `normnet.thorax.thorax_transforms` has it.

    Returns:
        From `image` and `exclude` (the annotator's lesion mask), both paths, to `image` (1, X, Y, Z) float16 in
        [0, 1] and, uint8, `label` (the healthy tissue to be found), `lesion` and `tissue` (see `CorrectedTargetd`).
    """
    return Compose(
        [
            LoadCTd(keys="image"),
            LoadLesionsd(keys="image"),
            *thorax_transforms(
                lungs=lungs, spacing=spacing, more_masks=("exclude",), full_lung_hu=full_lung_hu
            ),
            CorrectedTargetd(keys="image", tau=tau),
            *stored(["label", "lesion", "tissue"]),
        ]
    )


def lesion_free_transforms(
    *,
    lungs: str = "classical",
    spacing: Sequence[float] = MODEL_SPACING,
    full_lung_hu: float = FULL_LUNG_HU,
    edge_tau: float = TAU,
) -> Compose:
    """Composes what makes a healthy volume of a corrected scan: the lesions are left out of its lungs.

    Args:
        lungs: name of the lung backend.
        spacing: of the model's grid, mm.
        full_lung_hu: as `normnet.thorax.thorax_transforms` has it.
        edge_tau: as `normnet.healthy_volumes.healthy_transforms` has it.

    Returns:
        From `image` and `exclude`, both paths, to the volumes of `normnet.healthy_volumes.healthy_transforms`.
    """
    return healthy_transforms(
        lungs=lungs,
        spacing=spacing,
        load_exclusion=LoadLesionsd(keys="image"),
        full_lung_hu=full_lung_hu,
        edge_tau=edge_tau,
    )


class CorrectedTargetd(MapTransform):
    """Writes the healthy tissue of a corrected scan, `label`: (H >= tau) and not lesion, within the lungs.

    Writes also `lesion`, the lesions within the lungs, and `tissue`: 0 outside the lungs, 1 lung, 2 lesion.

    Args:
        keys: thorax area H, (1, X, Y, Z), in [0, 1].
        lungs_key: lung mask, (1, X, Y, Z).
        lesions_key: lesion mask, (1, X, Y, Z).
        tau: threshold of bright tissue.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        lungs_key: str = "lungs",
        lesions_key: str = "exclude",
        tau: float = TAU,
    ) -> None:
        super().__init__(keys)
        self.lungs_key, self.lesions_key, self.tau = lungs_key, lesions_key, tau

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        for key in self.keys:
            lungs = data[self.lungs_key] > 0
            lesion = (data[self.lesions_key] > 0) & lungs
            data["label"] = healthy_target(data[key], lesion, self.tau) & lungs
            data["lesion"] = lesion
            data["tissue"] = lungs.to(torch.uint8) + lesion.to(torch.uint8)
        return data
