"""Axial slices of healthy lungs, as the compared methods see them (IV-C)."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from monai.transforms import (
    Compose,
    MapTransform,
    Orientationd,
    Randomizable,
    ScaleIntensityRanged,
)
from torch.nn import functional

from normnet.ct_grid import KeepOnCTGridd
from normnet.exclusion import ExcludeFromLungsd, LoadExclusiond
from normnet.healthy_volumes import healthy_transforms, stored
from normnet.intensity import HU_WINDOW
from normnet.lung_density import InflateLungsd
from normnet.lungs import SegmentLungsd
from normnet.model_grid import ToModelGridd
from normnet.reading import LoadCTd
from normnet.thorax import MODEL_SPACING, thorax_transforms

__all__ = ["Frame", "RandLungSlicesd", "healthy_slice_transforms", "slice_transforms"]


@dataclass(frozen=True)
class Frame:
    """The square, centred on the volume, that a slice is seen in, and the pixels it is brought to.

    Attributes:
        width_mm: the paper pads to 512 pixels of 0.8 mm, 409.6 mm (IV-B2).
        image_size: pixels along an edge. The paper names none but f-AnoGAN's; 128 is that of the comparison it
            follows (Baur et al., 2021), and gives the spatial bottleneck its 8 x 8.
        spacing: of the model's grid along X and Y, mm; more values are passed over.
    """

    width_mm: float = 409.6
    image_size: int = 128
    spacing: Sequence[float] = MODEL_SPACING

    def slices(self, volume: torch.Tensor) -> torch.Tensor:
        """Cuts a volume (1, X, Y, Z) into its slices (Z, 1, image_size, image_size); outside of it is 0."""
        stack = functional.pad(volume.permute(3, 0, 1, 2).float(), self._padding(volume.shape[1:3]))
        return _resize(stack, (self.image_size, self.image_size))

    def volume(self, slices: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        """Puts slices (Z, C, image_size, image_size) back into a volume (C, X, Y, Z) of shape (X, Y)."""
        left, right, top, bottom = self._padding(shape)
        wide = _resize(slices, (shape[0] + top + bottom, shape[1] + left + right))
        return functional.pad(wide, (-left, -right, -top, -bottom)).permute(1, 2, 3, 0)

    def _padding(self, shape: Sequence[int]) -> tuple[int, int, int, int]:
        """Tells how much to add left, right, top and bottom (negative: to cut), as `pad` takes it."""
        missing = [
            round(self.width_mm / step) - size for size, step in zip(shape, self.spacing, strict=False)
        ]
        (above, below), (left, right) = ((gap // 2, gap - gap // 2) for gap in missing)
        return left, right, above, below


class RandLungSlicesd(Randomizable, MapTransform):
    """Draws axial slices that show lung from one volume: a list of {"image": (1, image_size, image_size)}.

    Args:
        frame: where the slices are seen.
        count: slices of a volume; they differ as long as the lungs have so many.
        keys: the volume, (1, X, Y, Z); one key.
        lungs_key: lung mask, (1, X, Y, Z).
    """

    def __init__(self, frame: Frame, count: int, keys: str = "image", lungs_key: str = "lungs") -> None:
        MapTransform.__init__(self, keys)
        self.frame, self.count, self.lungs_key = frame, count, lungs_key
        self.chosen: list[int] = []

    def randomize(self, data: torch.Tensor) -> None:
        """Chooses the slices of a lung mask; nothing else is drawn in this class."""
        shown = torch.nonzero(data[0].any(dim=0).any(dim=0))[:, 0].tolist()
        picked = self.R.choice(shown, size=self.count, replace=len(shown) < self.count)
        self.chosen = [int(z) for z in picked]

    def __call__(self, data: Mapping[Hashable, Any]) -> list[dict[Hashable, torch.Tensor]]:
        self.randomize(data[self.lungs_key])
        key = self.keys[0]
        return [{key: image} for image in self.frame.slices(data[key][..., self.chosen])]


def slice_transforms(
    *,
    masked: bool,
    lungs: str = "classical",
    spacing: Sequence[float] = MODEL_SPACING,
    more_masks: Sequence[str] = (),
    full_lung_hu: float = 0.0,
) -> list[MapTransform]:
    """Lists the transforms from `image`, a CT in HU, to what the methods see on the model's grid, in [0, 1].

    Args:
        masked: the thorax area H, cropped to the lungs; else the raw CT in the same window, as VAE Original has it
            (IV-C). The lungs are found either way: they say which slices are trained on.
        lungs: name of the lung backend.
        spacing: of the model's grid, mm.
        more_masks: further masks to carry along.
        full_lung_hu: as `normnet.thorax.thorax_transforms` has it; 0, no correction, is the paper's (IV-B2).

    Returns:
        Transforms that leave `image`, `lungs`, `ct` and `lung_mask` as `normnet.thorax.thorax_transforms` does.
    """
    if masked:
        return thorax_transforms(
            lungs=lungs, spacing=spacing, more_masks=more_masks, full_lung_hu=full_lung_hu
        )
    low, high = HU_WINDOW
    masks = ["lungs", *more_masks]
    return [
        Orientationd(keys=["image", *more_masks], axcodes="RAS", labels=None),
        SegmentLungsd(keys="image", lungs_key="lungs", backend=lungs),
        KeepOnCTGridd(keys=["image", "lungs"], names=["ct", "lung_mask"]),
        ToModelGridd(keys=masks, spacing=spacing),
        InflateLungsd(keys="image", lungs_key="lungs", full_hu=full_lung_hu),
        ScaleIntensityRanged(keys="image", a_min=low, a_max=high, b_min=0.0, b_max=1.0, clip=True),
    ]


def healthy_slice_transforms(
    *,
    masked: bool,
    lungs: str = "classical",
    spacing: Sequence[float] = MODEL_SPACING,
    full_lung_hu: float = 0.0,
) -> Compose:
    """Composes all that happens to a healthy CT before slices are drawn from it.

    Args:
        masked: as NormNet has it (`normnet.healthy_volumes.healthy_transforms`, and with the same settings the same
            cache); else the raw CT.
        lungs: name of the lung backend.
        spacing: of the model's grid, mm.
        full_lung_hu: as `slice_transforms` has it.

    Returns:
        From a datalist item to `image` (1, X, Y, Z) float16 in [0, 1] and `lungs` (1, X, Y, Z) uint8.
    """
    if masked:
        return healthy_transforms(lungs=lungs, spacing=spacing, full_lung_hu=full_lung_hu)
    return Compose(
        [
            LoadCTd(keys="image"),
            LoadExclusiond(keys="image"),
            *slice_transforms(
                masked=False,
                lungs=lungs,
                spacing=spacing,
                more_masks=("exclude",),
                full_lung_hu=full_lung_hu,
            ),
            ExcludeFromLungsd(keys="image"),
            *stored(["lungs"]),
        ]
    )


def _resize(stack: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Resamples (Z, C, X, Y); smooths before it thins out, so that no vessel falls between two pixels."""
    return functional.interpolate(stack, size=size, mode="bilinear", align_corners=False, antialias=True)
