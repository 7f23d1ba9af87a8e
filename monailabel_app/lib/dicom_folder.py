"""Studies that are DICOM series: what a folder of them and a DICOMweb server share, and the folder."""

import logging
import re
import tempfile
import time
from abc import abstractmethod
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
from filelock import FileLock
from monailabel.datastore.local import DataModel, ImageLabelModel
from monailabel.interfaces.exception import ImageNotFoundException

from normnet.dicom import is_dicom
from normnet.errors import InputError
from normnet.reading import read_volume
from normnet.studies import find_studies

from .studies import LocalStudies

__all__ = ["KEPT_IN", "DICOMFolderStudies", "SeriesStudies", "holds_dicom"]

KEPT_IN = "monailabel"
"""Folder, inside that of the studies, of all that the server writes."""

NIFTI = ".nii.gz"

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
        """Converts the series at its first use; returns the path of the NIfTI.

        Raises:
            ImageNotFoundException: there is no such image.
            InputError: the series is no whole volume.
        """
        if not UID.fullmatch(image_id):
            raise ImageNotFoundException(f"There is no series {image_id!r} among the studies.")
        nifti = Path(self._datastore.image_path()).resolve() / f"{image_id}{NIFTI}"
        if not nifti.exists():
            series = self.series_folder(image_id)
            # Other requests and other processes (scoring, training) may want it now too.
            with FileLock(nifti.with_name(f".{nifti.name}.lock")):
                if not nifti.exists():
                    self._convert(image_id, series, nifti)
        if image_id not in self._datastore.objects:
            with self._changing_record() as record:
                info = {"SeriesInstanceUID": image_id, "ts": int(time.time()), "name": nifti.name}
                record.objects.setdefault(image_id, ImageLabelModel(image=DataModel(info=info, ext=NIFTI)))
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

    def json(self) -> dict[str, Any]:
        """Describes all images, those not yet converted too."""
        known: dict[str, Any] = super().json()
        for image_id in self.list_images():
            unused = {"image": {"ext": NIFTI, "info": {"SeriesInstanceUID": image_id}}, "labels": {}}
            known["objects"].setdefault(image_id, unused)
        return known


class DICOMFolderStudies(SeriesStudies):
    """A folder of CT series in folders of their own, at any depth; no DICOM file is ever written to.

    What the server writes lies in the subfolder `monailabel`.

    Args:
        studies: the folder.
        auto_reload: whether labels that others write are noticed; series that come later always are.
    """

    def __init__(self, studies: str | Path, auto_reload: bool = False) -> None:
        self._studies = Path(studies).resolve()
        self._uids: dict[Path, str | None] = {}
        super().__init__(str(self._studies / KEPT_IN), auto_reload)

    def name(self) -> str:
        """Names the folder."""
        return str(self._studies)

    def series(self) -> list[str]:
        """Lists the CT series in the folder, in its order."""
        return list(self._folders())

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
        """Maps series UIDs to folders, the first by name where a series lies twice."""
        folders: dict[str, Path] = {}
        for folder in _dicom_folders(self._studies):
            if folder not in self._uids:
                self._uids[folder] = _ct_uid(folder)
            uid = self._uids[folder]
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


def _ct_uid(folder: Path) -> str | None:
    """Reads the series UID from the first DICOM file of a folder; None where that is no CT."""
    first = next(file for file in sorted(folder.iterdir()) if is_dicom(file))
    try:
        header = pydicom.dcmread(first, specific_tags=["Modality", "SeriesInstanceUID"])
        uid = str(header.SeriesInstanceUID)
        return uid if header.Modality == "CT" and UID.fullmatch(uid) else None
    except Exception as error:  # pydicom raises whatever the damaged bytes lead to.
        log.warning("%s: passed over: its header is corrupt (%s).", first, error)
        return None


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
