"""The healthy CTs of the training set, preprocessed once and kept on disk (III-B, III-C1)."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.data import PersistentDataset
from monai.data.utils import pickle_hashing
from monai.transforms import Compose, EnsureTyped, MapTransform, SelectItemsd
from tqdm import tqdm

from normnet.edges import RemoveErroneousEdgesd
from normnet.exclusion import ExcludeFromLungsd, LoadExclusiond
from normnet.intensity import TAU
from normnet.lung_density import FULL_LUNG_HU
from normnet.lungs import SegmentLungsd, model_folder
from normnet.nnunet_lungs import model_hash
from normnet.reading import LoadCTd
from normnet.thorax import MODEL_SPACING, thorax_transforms
from normnet.whole_file import written_whole

__all__ = ["SLAB_SLICES", "HealthyVolumes", "content_hash", "healthy_transforms", "stored"]

SLAB_SLICES = 32
"""Slices of a training volume (III-C1)."""

CACHE_VERSION = 4
"""Raised when the preprocessing code changes what it computes, so that no old cache is read."""

DATA_FILE = re.compile(rb"^(?:ElementDataFile *=|data ?file:) *(\S.*?)\s*$", re.IGNORECASE | re.MULTILINE)
"""What a MetaImage or NRRD header says of the file that holds its voxels."""


def healthy_transforms(
    *,
    lungs: str = "classical",
    spacing: Sequence[float] = MODEL_SPACING,
    load_exclusion: MapTransform | None = None,
    full_lung_hu: float = FULL_LUNG_HU,
    edge_tau: float = TAU,
) -> Compose:
    """Composes all that happens to a healthy CT before lesions are put in: file to H and M, erroneous edges removed.

    Args:
        lungs: name of the lung backend.
        spacing: of the model's grid, mm.
        load_exclusion: writes `exclude`, the mask of what is left out; `normnet.exclusion.LoadExclusiond` by default.
        full_lung_hu: as `normnet.thorax.thorax_transforms` has it.
        edge_tau: tissue at or above it may be an erroneous edge (`normnet.edges`).

    Returns:
        From a datalist item to `image` (1, X, Y, Z) float16 in [0, 1] and `lungs` (1, X, Y, Z) uint8.
    """
    return Compose(
        [
            LoadCTd(keys="image"),
            load_exclusion or LoadExclusiond(keys="image"),
            *thorax_transforms(
                lungs=lungs, spacing=spacing, more_masks=("exclude",), full_lung_hu=full_lung_hu
            ),
            RemoveErroneousEdgesd(keys="image", tau=edge_tau),  # before the cuts that leaving out makes
            ExcludeFromLungsd(keys="image"),
            *stored(["lungs"]),
        ]
    )


def stored(masks: Sequence[str]) -> list[MapTransform]:
    """Lists what ends every preprocessing: `image` as float16 and these masks as uint8 are kept, and nothing else."""
    return [
        SelectItemsd(keys=["image", *masks]),
        EnsureTyped(keys="image", dtype=torch.float16, track_meta=False),
        EnsureTyped(keys=masks, dtype=torch.uint8, track_meta=False),
    ]


class HealthyVolumes(PersistentDataset):
    """Healthy lungs on the model's grid, computed at first use and read from `cache_dir` afterwards.

    The cache follows the content of the files, the parameters of the transforms and the network that finds the lungs:
    changed ones are computed anew. The files are looked at once; at each draw they would be hundreds of megabytes.

    Args:
        data: datalist items: `image`, and where given `lungs`, `exclude`, `exclude_slices`.
        transform: `healthy_transforms(...)`.
        cache_dir: a folder for the cache; it is made.
    """

    def __init__(self, data: Sequence[Mapping[str, Any]], transform: Compose, cache_dir: str | Path) -> None:
        self.records, self.hashes = Path(str(cache_dir)), dict[str, bytes]()
        super().__init__(
            data=data,
            transform=transform,
            cache_dir=self.records,
            hash_func=self.hash_of,
            hash_transform=_hash_of_transforms,
        )

    def prepare(self) -> "HealthyVolumes":
        """Computes what is not in the cache yet, with a progress bar, and returns the dataset."""
        for index in tqdm(range(len(self)), desc="Preparing healthy CTs", unit="CT"):
            self[index]
        return self

    def hash_of(self, item: Mapping[str, Any]) -> bytes:
        """Names an item by its content (`content_hash`), as it was when it was first asked for."""
        name = repr(sorted(item.items()))
        if name not in self.hashes:
            self.hashes[name] = content_hash(item)
        return self.hashes[name]

    def content(self) -> str:
        """Names the set by the content of its CTs."""
        return hashlib.sha256(b"".join(self.hash_of(item) for item in self.data)).hexdigest()[:32]

    def largest_lung(self, slices: int = SLAB_SLICES) -> int:
        """Counts the lung voxels of the training set's largest volume: max_j |M_j| over all runs of `slices`.

        The count is kept in the cache, under the content of all volumes.
        """
        record = self.records / f"largest_lung_{slices}_{self.content()}_{self.transform_hash}.json"
        if record.is_file():
            return int(json.loads(record.read_text())["voxels"])
        largest = max(_largest_slab(self[index]["lungs"], slices) for index in range(len(self)))
        with written_whole(record) as beside:
            beside.write_text(json.dumps({"voxels": largest, "slices": slices, "volumes": len(self)}))
        return largest


def content_hash(item: Mapping[str, Any]) -> bytes:
    """Names a datalist item by the content of its files and its other values, not by its paths or their dates."""
    digest = hashlib.sha256(f"version {CACHE_VERSION}".encode())
    for key in sorted(set(item) - {"study", "lesions"}):
        digest.update(key.encode())
        if key in ("image", "lungs", "exclude"):
            for path in _files(Path(item[key])):
                digest.update(path.name.encode())
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        else:
            digest.update(repr(item[key]).encode())
    return digest.hexdigest()[:32].encode()


def _hash_of_transforms(transforms: Sequence[Any]) -> bytes:
    """Names transforms by their parameters, and by the network that they ask: another may have come to its folder."""
    networks = [
        model_hash(str(folder))
        for step in transforms
        if isinstance(step, SegmentLungsd) and (folder := model_folder(step.lung_backend))
    ]
    return pickle_hashing([*transforms, *networks])


def _files(path: Path) -> Iterator[Path]:
    """Lists the files that hold a volume: itself, the data that a detached header names, or a DICOM folder's slices."""
    if path.is_dir():
        yield from sorted(member for member in path.rglob("*") if member.is_file())
        return
    if not path.exists():  # whoever reads it says so, in a sentence
        return
    yield path
    if path.suffix.lower() in (".mhd", ".nhdr"):
        named = DATA_FILE.search(path.read_bytes())
        data = path.parent / named[1].decode(errors="replace") if named else path.parent
        beside = sorted(file for file in path.parent.iterdir() if file.is_file() and file != path)
        yield from [data] if data.is_file() else beside  # a header may name a file for each slice


def _largest_slab(lungs: torch.Tensor, slices: int) -> int:
    area = lungs[0].sum(dim=(0, 1), dtype=torch.int64)
    depth = min(slices, len(area))
    return int(area.unfold(0, depth, 1).sum(dim=1).max())
