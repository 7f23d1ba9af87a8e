"""Studies that are DICOM series: what a folder of them and a DICOMweb server share, and the folder."""

import json
import logging
import re
import tempfile
import time
from abc import abstractmethod
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from filelock import FileLock
from monailabel.datastore.local import DataModel, ImageLabelModel
from monailabel.interfaces.exception import ImageNotFoundException

from normnet.dicom import volume_uids
from normnet.errors import InputError
from normnet.reading import read_volume
from normnet.studies import find_studies
from normnet.whole_file import written_whole

from .studies import FINAL, NIFTI, LocalStudies

__all__ = ["KEPT_IN", "UID", "DICOMFolderStudies", "SeriesStudies", "holds_dicom"]

KEPT_IN = "monailabel"
"""Folder, inside that of the studies, of all that the server writes."""

TRIED_AGAIN_S = 3600.0
"""A series that is no whole volume is nobody's next for this long, seconds: more of its slices may come."""

UID = re.compile(r"[0-9][0-9.]{0,63}")
log = logging.getLogger(__name__)


class SeriesStudies(LocalStudies):
    """Images named by their series UID; viewers and training get each as NIfTI on the series' own grid.

    The NIfTI files, the labels and the record of them lie in a folder of their own.

    Args:
        folder: that one.
        auto_reload: whether changes made by others are noticed.
    """

    def __init__(self, folder: str, auto_reload: bool = False) -> None:
        self._no_volumes: dict[str, float] = {}
        super().__init__(folder, auto_reload)

    @abstractmethod
    def series(self) -> list[str]:
        """Lists the series UIDs that are images."""

    @abstractmethod
    def series_folder(self, image_id: str) -> Path:
        """Finds the folder with the DICOM files of an image.

        Raises:
            ImageNotFoundException: there is no such image.
        """

    def list_images(self) -> list[str]:
        """Lists the images, converted or not."""
        return self.series()

    def get_unlabeled_images(
        self, label_tag: str | None = None, labels: list[str] | None = None
    ) -> list[str]:
        """Lists the images without a final label; not those found to be no volume, as localizers are."""
        tried = {uid for uid, at in self._no_volumes.items() if time.monotonic() - at < TRIED_AGAIN_S}
        left_out = tried.union(self.get_labeled_images())
        return [image for image in self.list_images() if image not in left_out]

    def get_image_uri(self, image_id: str) -> str:
        """Converts the series at its first use, and anew when its files have changed; returns the path of the NIfTI.

        Raises:
            ImageNotFoundException: there is no such image.
            InputError: the series is no whole volume.
        """
        if not UID.fullmatch(image_id):
            raise ImageNotFoundException(f"There is no series {image_id!r} among the studies.")
        nifti = Path(self._datastore.image_path()).resolve() / f"{image_id}{NIFTI}"
        sources = nifti.with_name(f".{nifti.name}.sources")
        series = self.series_folder(image_id)
        # Other requests and other processes (scoring, training) may want it now too.
        with FileLock(nifti.with_name(f".{nifti.name}.lock")):
            found = _files_of(series)
            made_of = sources.read_text(encoding="utf-8") if sources.is_file() else ""
            if not nifti.exists() or made_of != found:
                self._convert(image_id, series, nifti)
                with written_whole(sources) as beside:
                    beside.write_text(found, encoding="utf-8")
                self._enter(image_id, nifti.name)
        if image_id not in self._datastore.objects:
            self._enter(image_id, nifti.name)
        return str(nifti)

    def _convert(self, image_id: str, series: Path, nifti: Path) -> None:
        try:
            _convert(series, nifti)
        except InputError:
            self._no_volumes[image_id] = time.monotonic()
            raise
        self._no_volumes.pop(image_id, None)

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """Adds to what is known of an image, converted or not.

        Raises:
            ImageNotFoundException: there is no such image.
        """
        self.get_image_uri(image_id)
        super().update_image_info(image_id, info)

    def datalist(self, full_path: bool = True) -> list[dict[str, Any]]:
        """Lists image and final label of each corrected image, as paths."""
        pairs = [(uid, self.get_label_uri(uid, FINAL)) for uid in self.get_labeled_images()]
        return [{"image": self.get_image_uri(uid), "label": label} for uid, label in pairs if label]

    def remove_image(self, image_id: str) -> None:
        """Refuses: series are deleted where they lie."""
        raise InputError(
            f"image {image_id}: expected it to be deleted at {self.name()} itself, got a request here."
        )

    def json(self) -> dict[str, Any]:
        """Describes all images, those not yet converted too."""
        known: dict[str, Any] = super().json()
        for image_id in self.list_images():
            unused = {"image": {"ext": NIFTI, "info": {"SeriesInstanceUID": image_id}}, "labels": {}}
            known["objects"].setdefault(image_id, unused)
        return known

    def _enter(self, image_id: str, name: str) -> None:
        """Enters an image just converted: what was known of an earlier state, as its score, is forgotten."""
        with self._changing_record() as record:
            info = {"SeriesInstanceUID": image_id, "ts": int(time.time()), "name": name}
            entry = record.objects.setdefault(image_id, ImageLabelModel(image=DataModel()))
            entry.image = DataModel(info=info, ext=NIFTI)


class DICOMFolderStudies(SeriesStudies):
    """A folder of CT series in folders of their own, at any depth; no DICOM file is ever written to.

    What the server writes lies in the subfolder `monailabel`.

    Args:
        studies: the folder.
        auto_reload: whether labels that others write are noticed; series that come later always are.
    """

    def __init__(self, studies: str | Path, auto_reload: bool = False) -> None:
        self._studies = Path(studies).resolve()
        self._uids: dict[Path, tuple[str, str | None]] = {}
        super().__init__(str(self._studies / KEPT_IN), auto_reload)

    def name(self) -> str:
        """Names the folder."""
        return str(self._studies)

    def series(self) -> list[str]:
        """Lists the CT series in the folder, in its order."""
        return list(self._folders())

    def image_paths(self) -> set[Path]:
        """Finds the folders of the series."""
        return {folder.resolve() for folder in self._folders().values()}

    def series_folder(self, image_id: str) -> Path:
        """Finds the folder of a series."""
        folder = self._folders().get(image_id)
        if folder is None:
            raise ImageNotFoundException(f"There is no CT series {image_id!r} among the studies.")
        return folder

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Lists the images with a final label."""
        labeled = set(super().get_labeled_images(label_tag, labels))
        return [image for image in self.list_images() if image in labeled]

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Refuses: an image here is a DICOM series of the folder."""
        raise InputError(f"image {image_id}: expected a DICOM series put into the folder, got an upload.")

    def _folders(self) -> dict[str, Path]:
        """Maps series UIDs to folders, the first by name where a series lies twice; headers are read once."""
        folders: dict[str, Path] = {}
        for folder in _dicom_folders(self._studies):
            files = _files_of(folder)
            if self._uids.get(folder, ("", None))[0] != files:
                self._uids[folder] = files, _ct_uid(folder)
            uid = self._uids[folder][1]
            if uid is not None:
                folders.setdefault(uid, folder)
        return folders


def holds_dicom(studies: str | Path) -> bool:
    """Tells whether a folder holds CT series in DICOM: then it is served as such."""
    return any(_ct_uid(folder) for folder in _dicom_folders(Path(studies)))


def _dicom_folders(studies: Path) -> list[Path]:
    try:
        found = [Path(study["image"]) for study in find_studies(studies)]
    except InputError as error:  # Nothing is there yet, or not all of it.
        log.warning("%s", error)
        return []
    return [path for path in found if path.is_dir() and (studies / KEPT_IN) not in path.parents]


def _files_of(folder: Path) -> str:
    """Describes the files of a folder: another name, size or date is another series, or more of it."""
    files = [(file.name, file.stat()) for file in sorted(folder.iterdir()) if file.is_file()]
    return json.dumps([(name, stat.st_size, stat.st_mtime_ns) for name, stat in files])


def _ct_uid(folder: Path) -> str | None:
    """Reads the UID of the series that is the folder's volume; None where none is, or not yet."""
    return next((uid for uid in volume_uids(folder) if UID.fullmatch(uid)), None)


def _convert(series: Path, nifti: Path) -> None:
    """Writes a series as NIfTI, its values on its own grid, beside and then at its place."""
    volume = read_volume(series)
    values = volume[0].numpy()
    whole = np.array_equal(values, np.rint(values))
    image = nib.Nifti1Image(values.astype(np.int16) if whole else values, volume.affine.numpy())
    image.header.set_xyzt_units("mm")
    with tempfile.TemporaryDirectory(dir=nifti.parent, prefix=".image") as beside:
        nib.save(image, Path(beside) / nifti.name)
        (Path(beside) / nifti.name).replace(nifti)
