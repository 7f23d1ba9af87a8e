"""The lung mask of a CT, from a backend chosen by name (IV-B2)."""

from collections.abc import Callable, Hashable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from normnet import classical_lungs, nnunet_lungs
from normnet.errors import InputError
from normnet.masks import read_mask
from normnet.studies import EXTENSIONS

__all__ = ["LUNG_BACKENDS", "NNUNET", "LungBackend", "SegmentLungsd", "find_backend"]

LungBackend = Callable[[MetaTensor, Any], torch.Tensor]
"""(CT (1, X, Y, Z) in HU, RAS; what the item's lungs key holds, else None) -> (1, X, Y, Z) bool."""


def classical(image: MetaTensor, given: Any = None) -> torch.Tensor:
    """Segments the lungs by thresholds and components (`normnet.classical_lungs`), whatever mask is given.

    Raises:
        InputError: no lungs in the CT.
    """
    try:
        lungs = classical_lungs.segment(image[0].cpu().numpy(), tuple(image.pixdim.tolist()))
    except ValueError as error:
        raise InputError(f"{_file(image)}: expected a chest CT, but found {error}.") from error
    return torch.from_numpy(lungs)[None]


def from_file(image: MetaTensor, given: Any = None) -> torch.Tensor:
    """Reads the lungs from the mask file that lies beside the CT.

    Args:
        image: the CT.
        given: the mask's path.

    Raises:
        InputError: no mask, an empty one, or one on another grid.
    """
    if not isinstance(given, str | Path):
        name = Path(_file(image)).name
        case = next((name[: -len(end)] for end in EXTENSIONS if name.lower().endswith(end)), name)
        raise InputError(f"{_file(image)}: expected its lung mask {case}_lungs.nii.gz beside it, found none.")
    lungs = read_mask(given, like=image) > 0
    if not lungs.any():
        raise InputError(f"{given}: expected a lung mask, but all its voxels are 0.")
    return lungs


def by_nnunet(image: MetaTensor, given: Any = None, *, model: str) -> torch.Tensor:
    """Segments the lungs by an nnU-Net v2 model (`normnet.nnunet_lungs`), whatever mask is given.

    Raises:
        InputError: nnunetv2 is not installed, the folder holds no model, or it finds no lungs.
    """
    spacing = tuple(image.pixdim.tolist())
    lungs = torch.from_numpy(nnunet_lungs.segment(image[0].cpu().numpy(), spacing, model))[None]
    if not lungs.any():
        raise InputError(
            f"{_file(image)}: expected a chest CT, but the nnU-Net in {model} finds no lungs in it."
        )
    return lungs


LUNG_BACKENDS: dict[str, LungBackend] = {"classical": classical, "file": from_file}
"""Ways to find the lungs, by name; each takes a CT and gives a binary mask on the CT's grid."""

NNUNET = "nnunet"
"""One more way, named with its model folder: nnunet:MODEL_FOLDER."""


def find_backend(name: str) -> LungBackend:
    """Finds a lung backend by its name.

    Args:
        name: a key of `LUNG_BACKENDS`, or `nnunet:` and the model folder.

    Raises:
        InputError: `nnunet` without a folder.
        ValueError: no backend has this name.
    """
    kind, _, model = name.partition(":")
    if kind == NNUNET:
        if not model:
            raise InputError(
                f"expected the lung backend {NNUNET} with its model folder, '{NNUNET}:FOLDER', got {name!r}."
            )
        return partial(by_nnunet, model=model)
    if name not in LUNG_BACKENDS:
        known = ", ".join([*LUNG_BACKENDS, f"{NNUNET}:FOLDER"])
        raise ValueError(f"expected a lung backend of {known}, got {name!r}")
    return LUNG_BACKENDS[name]


class SegmentLungsd(MapTransform):
    """Adds the lung mask of a CT, (1, X, Y, Z) uint8 on the CT's grid.

    Args:
        keys: CT, (1, X, Y, Z), HU, RAS.
        lungs_key: where the mask goes; with backend `file` it holds the mask's path before.
        backend: a name that `find_backend` knows.

    Raises:
        InputError, ValueError: no backend has this name.
    """

    def __init__(
        self, keys: KeysCollection = "image", lungs_key: str = "lungs", backend: str = "classical"
    ) -> None:
        super().__init__(keys)
        self.lungs_key, self.lung_backend = lungs_key, find_backend(backend)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        for key in self.keys:
            lungs = self.lung_backend(data[key], data.get(self.lungs_key))
            mask = MetaTensor(lungs.to(torch.uint8))
            mask.copy_meta_from(data[key])
            data[self.lungs_key] = mask
        return data


def _file(image: MetaTensor) -> str:
    return str(image.meta.get("filename_or_obj", "the CT"))
