"""The lung mask of a CT, from a backend chosen by name (IV-B2)."""

from collections.abc import Callable, Hashable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from normnet import bundle_root, classical_lungs, joined_lungs, nnunet_lungs
from normnet.errors import InputError
from normnet.masks import read_mask
from normnet.studies import beside_ct
from normnet.surroundings import NoLungsError

__all__ = ["LUNG_BACKENDS", "WITH_MODEL", "LungBackend", "SegmentLungsd", "find_backend", "model_folder"]

LungBackend = Callable[[MetaTensor, Any], torch.Tensor]
"""(CT (1, X, Y, Z) in HU, RAS; what the item's lungs key holds, else None) -> (1, X, Y, Z) bool."""


def classical(image: MetaTensor, given: Any = None) -> torch.Tensor:
    """Segments the lungs by thresholds and components (`normnet.classical_lungs`), whatever mask is given.

    Raises:
        InputError: no lungs in the CT.
    """
    return _by_thresholds(image, classical_lungs.segment)


def from_file(image: MetaTensor, given: Any = None) -> torch.Tensor:
    """Reads the lungs from the mask file that lies beside the CT.

    Args:
        image: the CT.
        given: the mask's path.

    Raises:
        InputError: no mask, an empty one, or one on another grid.
    """
    if not isinstance(given, str | Path):
        name = beside_ct(_file(image), "lungs").name
        raise InputError(f"{_file(image)}: expected its lung mask {name} beside it, found none.")
    lungs = read_mask(given, like=image) > 0
    if not lungs.any():
        raise InputError(f"{given}: expected a lung mask, but all its voxels are 0.")
    return lungs


def by_nnunet(image: MetaTensor, given: Any = None, *, model: str | None = None) -> torch.Tensor:
    """Segments the lungs by an nnU-Net v2 model alone (`normnet.nnunet_lungs`), whatever mask is given.

    Args:
        image: the CT.
        given: not used.
        model: nnU-Net's model folder; None is the bundle's own, models/lungs.

    Raises:
        InputError: nnunetv2 is not installed, the folder holds no model, or it finds no lungs.
    """
    model = model or _own_model()
    lungs = nnunet_lungs.segment(image[0].cpu().numpy(), tuple(image.pixdim.tolist()), model)
    if not lungs.any():
        raise InputError(
            f"{_file(image)}: expected a chest CT, but the nnU-Net in {model} finds no lungs in it."
        )
    return torch.from_numpy(lungs)[None]


def joined(image: MetaTensor, given: Any = None, *, model: str | None = None) -> torch.Tensor:
    """Segments the lungs by thresholds, and consolidation by an nnU-Net v2 model (`normnet.joined_lungs`).

    Args:
        image: the CT.
        given: not used.
        model: nnU-Net's model folder; None is the bundle's own, models/lungs.

    Raises:
        InputError: no lungs in the CT, nnunetv2 is not installed, or the folder holds no model.
    """
    return _by_thresholds(image, partial(joined_lungs.segment, model=model or _own_model()))


LUNG_BACKENDS: dict[str, LungBackend] = {
    "joined": joined,
    "classical": classical,
    "nnunet": by_nnunet,
    "file": from_file,
}
"""Ways to find the lungs, by name; each takes a CT and gives a binary mask on the CT's grid."""

WITH_MODEL: dict[str, Callable[..., torch.Tensor]] = {"joined": joined, "nnunet": by_nnunet}
"""Backends that take an nnU-Net v2 model folder of the user's after a colon: nnunet:FOLDER."""


def find_backend(name: str) -> LungBackend:
    """Finds a lung backend by its name.

    Args:
        name: a key of `LUNG_BACKENDS`; `joined` and `nnunet` also with a colon and a model folder.

    Raises:
        InputError: no backend has this name.
    """
    kind, colon, model = str(name).partition(":")
    if kind not in LUNG_BACKENDS or (colon and not (model and kind in WITH_MODEL)):
        known = ", ".join([*LUNG_BACKENDS, *(f"{kind}:FOLDER" for kind in WITH_MODEL)])
        raise InputError(f"lungs_backend: expected one of {known}, got {name!r}.")
    return partial(WITH_MODEL[kind], model=model) if model else LUNG_BACKENDS[kind]


def model_folder(backend: LungBackend) -> Path | None:
    """Finds the nnU-Net model folder that a lung backend asks; None where it asks none."""
    kind, given = (backend.func, backend.keywords) if isinstance(backend, partial) else (backend, {})
    return Path(given.get("model") or _own_model()) if kind in WITH_MODEL.values() else None


class SegmentLungsd(MapTransform):
    """Adds the lung mask of a CT, (1, X, Y, Z) uint8 on the CT's grid.

    Args:
        keys: CT, (1, X, Y, Z), HU, RAS.
        lungs_key: where the mask goes; with backend `file` it holds the mask's path before.
        backend: a name that `find_backend` knows.

    Raises:
        InputError: no backend has this name.
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


def _by_thresholds(image: MetaTensor, segment: Callable[..., np.ndarray]) -> torch.Tensor:
    """Segments, and turns what the thresholds say of a CT without lungs into a sentence that names it."""
    try:
        lungs = segment(image[0].cpu().numpy(), tuple(image.pixdim.tolist()))
    except NoLungsError as error:
        raise InputError(f"{_file(image)}: expected a chest CT, but found {error}.") from error
    return torch.from_numpy(lungs)[None]


def _own_model() -> str:
    return str(Path(bundle_root()) / "models" / "lungs")


def _file(image: MetaTensor) -> str:
    return str(image.meta.get("filename_or_obj", "the CT"))
