"""The scans of a fine-tuning: which are corrected, and which serve as healthy."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from normnet.corrections import corrected_transforms, lesion_free_transforms
from normnet.errors import InputError
from normnet.healthy_volumes import HealthyVolumes, healthy_transforms
from normnet.intensity import TAU
from normnet.lung_density import FULL_LUNG_HU
from normnet.studies import listed_item, load_datalist
from normnet.thorax import MODEL_SPACING

__all__ = ["corrected_volumes", "held_out_studies", "load_corrections", "volumes_without_lesions"]

Section = Literal["training", "validation"]
SECTIONS: Mapping[str, str] = {"training": "corrections", "validation": "corrections_validation"}

log = logging.getLogger(__name__)


def load_corrections(dataset_dir: str | Path, section: Section) -> list[dict[str, Any]]:
    """Lists the corrected scans to train or to validate on.

    Args:
        dataset_dir: a folder with a datalist `dataset.json`: {"corrections": [{"image": path, "label": path}, ...],
            "corrections_validation": [...]}, paths relative to the folder; `label` is the annotator's lesion mask.
        section: which part; without corrections to validate on, those to train on do both, which is logged.

    Returns:
        Items with `image` and `exclude`, the lesion mask, which is what is left out of the healthy tissue.

    Raises:
        InputError: there is no such list, it is empty, or names files that do not exist.
    """
    listing = Path(str(dataset_dir)) / "dataset.json"
    lists = _read(listing)
    name = SECTIONS[section]
    if not lists.get(name) and section == "validation":
        log.warning("%s: no corrections are held out: validation is on those of the training.", listing)
        name = SECTIONS["training"]
    items = lists.get(name)
    if not isinstance(items, list) or not items:
        raise InputError(f"{listing}: expected a list {name!r} of corrected scans, but there are none.")
    return [_item(listing, f"{name}[{index}]", item) for index, item in enumerate(items)]


def held_out_studies(dataset_dir: str | Path) -> list[dict[str, str]]:
    """Lists the corrections to validate on as studies for inference.

    Returns:
        Items with `study` (case_0, case_1, ...), `image` and `exclude`, the annotator's lesion mask.
    """
    items = load_corrections(dataset_dir, "validation")
    return [{"study": f"case_{number}", **item} for number, item in enumerate(items)]


def corrected_volumes(
    dataset_dir: str | Path,
    section: Section,
    *,
    cache_dir: str | Path,
    lungs: str = "classical",
    spacing: Sequence[float] = MODEL_SPACING,
    tau: float = TAU,
    full_lung_hu: float = FULL_LUNG_HU,
) -> HealthyVolumes:
    """Gives the corrected scans on the model's grid: see `normnet.corrections.corrected_transforms`."""
    transform = corrected_transforms(lungs=lungs, spacing=tuple(spacing), tau=tau, full_lung_hu=full_lung_hu)
    return HealthyVolumes(load_corrections(dataset_dir, section), transform, cache_dir)


def volumes_without_lesions(
    dataset_dir: str | Path,
    section: Section,
    *,
    cache_dir: str | Path,
    lungs: str = "classical",
    spacing: Sequence[float] = MODEL_SPACING,
    full_lung_hu: float = FULL_LUNG_HU,
    edge_tau: float = TAU,
) -> HealthyVolumes:
    """Gives the lungs that synthetic lesions are put into: healthy CTs, or what is free of lesions in corrected ones.

    Args:
        dataset_dir: a folder with `dataset.json`; healthy CTs stand in its lists `training` and `validation`.
        section: which part; without healthy CTs in it, the corrected scans serve.
        cache_dir: a folder for the preprocessed volumes.
        lungs: name of the lung backend.
        spacing: of the model's grid, mm.
        full_lung_hu: as `normnet.thorax.thorax_transforms` has it.
        edge_tau: as `normnet.healthy_volumes.healthy_transforms` has it.

    Raises:
        InputError: there are neither.
    """
    healthy = bool(_read(Path(str(dataset_dir)) / "dataset.json").get(section))
    load, transforms = (
        (load_datalist, healthy_transforms) if healthy else (load_corrections, lesion_free_transforms)
    )
    preprocessing = transforms(
        lungs=lungs, spacing=tuple(spacing), full_lung_hu=full_lung_hu, edge_tau=edge_tau
    )
    return HealthyVolumes(load(dataset_dir, section), preprocessing, cache_dir)


def _read(listing: Path) -> dict[str, Any]:
    try:
        lists = json.loads(listing.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{listing}: expected JSON with a list of corrected scans, but it has none."
        ) from error
    if not isinstance(lists, dict):
        raise InputError(f"{listing}: expected JSON with a list 'corrections', got another type.")
    return lists


def _item(listing: Path, where: str, item: Any) -> dict[str, Any]:
    found = listed_item(listing, where, item, wanted=("image", "label"), paths=("image", "label", "lungs"))
    return {
        "exclude" if key == "label" else key: found[key]
        for key in ("image", "label", "lungs")
        if key in found
    }
