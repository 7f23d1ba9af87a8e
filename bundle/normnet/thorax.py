"""From a CT in HU to the thorax area H the networks see (III-A, IV-B2)."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from monai.config import KeysCollection
from monai.transforms import CropForegroundd, MapTransform, Orientationd

from normnet.ct_grid import KeepOnCTGridd
from normnet.intensity import scale_window
from normnet.lung_density import FULL_LUNG_HU, InflateLungsd
from normnet.lungs import SegmentLungsd
from normnet.model_grid import ToModelGridd

__all__ = ["MODEL_SPACING", "ThoraxAread", "thorax_transforms"]

MODEL_SPACING = (0.8, 0.8, 1.0)
"""Voxel size that all volumes are brought to, mm (IV-B2)."""

CROP_MARGIN = 4
"""Rim kept round the lungs by the crop, in voxels of the CT, so that their border is not the array's border."""


class ThoraxAread(MapTransform):
    """Scales the window to [0, 1] and blanks what is not lung: H = R' * M (III-A).

    Args:
        keys: CT, (1, X, Y, Z), HU.
        lungs_key: lung mask M, (1, X, Y, Z).
    """

    def __init__(self, keys: KeysCollection = "image", lungs_key: str = "lungs") -> None:
        super().__init__(keys)
        self.lungs_key = lungs_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        for key in self.keys:
            data[key] = scale_window(data[key]) * (data[self.lungs_key] > 0)
        return data


def thorax_transforms(
    *,
    lungs: str = "classical",
    spacing: Sequence[float] = MODEL_SPACING,
    more_masks: Sequence[str] = (),
    full_lung_hu: float = FULL_LUNG_HU,
) -> list[MapTransform]:
    """Lists the transforms that turn `image`, a CT, into the thorax area on the model's grid.

    Reads `image` (1, X, Y, Z) in HU on any grid. Leaves `image` H in [0, 1] and `lungs` M on the model's grid
    (RAS, `spacing`, cropped to the lungs), and `ct` and `lung_mask`, the CT and its lungs on its own grid in RAS.

    Args:
        lungs: name of the lung backend, a key of `normnet.lungs.LUNG_BACKENDS`.
        spacing: voxel size of the model's grid, mm.
        more_masks: further masks to carry along, each a key with a (1, X, Y, Z) mask on the CT's grid.
        full_lung_hu: clear lung of a full breath, HU, to which lungs that hold less air are brought
            (`normnet.lung_density`); 0 leaves them, as the paper does.
    """
    masks = ["lungs", *more_masks]
    return [
        Orientationd(keys=["image", *more_masks], axcodes="RAS", labels=None),
        SegmentLungsd(keys="image", lungs_key="lungs", backend=lungs),
        KeepOnCTGridd(keys=["image", "lungs"], names=["ct", "lung_mask"]),
        CropForegroundd(keys=["image", *masks], source_key="lungs", margin=CROP_MARGIN, allow_smaller=True),
        ToModelGridd(keys=masks, spacing=spacing),
        InflateLungsd(keys="image", lungs_key="lungs", full_hu=full_lung_hu),
        ThoraxAread(keys="image", lungs_key="lungs"),
    ]
