"""Studies on a DICOMweb server (PACS): series come from it as they are wanted, final labels go to it as DICOM SEG.

In the place of MONAI Label 0.8.5's DICOMWebDatastore, whose faults these are:

- It fetches slices uncompressed, which Orthanc without a JPEG 2000 decoder refuses: here as they are stored.
- It lists series and labels every two hours: a label just saved, or one from another station, is not seen.
- A label read back is cropped to the labelled slices: here it lies on the image's grid.
- Each save adds a SEG series and all of them count; a label once read is never read again: here the newest counts.
- Any SEG counts, lungs too: here one that holds a lesion segment.
- A final label without a voxel is a 500: here it is a SEG of empty slices, a negative correction.
- It writes SEG by a binary on PATH, which it downloads at the start where it is missing.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import requests
import SimpleITK as sitk
from filelock import FileLock
from monailabel.config import settings
from monailabel.datastore.local import DataModel
from monailabel.interfaces.exception import ImageNotFoundException
from monailabel.utils.others.generic import md5_digest
from pydicom.dataset import Dataset

from normnet.errors import InputError

from .dicom_folder import UID, SeriesStudies
from .dicom_seg import label_on_grid, lesion_from_seg, write_seg
from .pacs_client import PACSClient
from .segments import LESION, segments_from
from .studies import FINAL, NIFTI

__all__ = ["DICOMWebStudies"]

AS_STORED = (("application/dicom", "*"),)
DEFAULT_CACHE = Path("~/.cache/monailabel/dicom")
"""MONAI Label's own."""


@dataclass(frozen=True)
class Correction:
    """A SEG series with a lesion segment: its UIDs, the image it refers to, and when it was made."""

    study: str
    series: str
    image: str
    made: str


class DICOMWebStudies(SeriesStudies):
    """The CT series of a DICOMweb server, and the newest lesion SEG of each.

    Args:
        client: of the server.
        cache: where series and labels are kept, in a folder for this server; ~/.cache/monailabel/dicom where empty.
        auto_reload: whether what other processes write there is noticed.
    """

    def __init__(self, client: PACSClient, cache: str = "", auto_reload: bool = False) -> None:
        self._client = client
        self._seen: dict[str, Correction | None] = {}
        folder = Path(cache.strip() or DEFAULT_CACHE.expanduser()) / md5_digest(client.base_url)
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(str(folder), auto_reload)

    def name(self) -> str:
        """Names the server."""
        return str(self._client.base_url)

    def series(self) -> list[str]:
        """Lists the series that the server has now and that pass MONAI_LABEL_DICOMWEB_SEARCH_FILTER."""
        found = self._client.search_for_series(search_filters=settings.MONAI_LABEL_DICOMWEB_SEARCH_FILTER)
        return [uid for item in found if UID.fullmatch(uid := _value(item, "SeriesInstanceUID"))]

    def series_folder(self, image_id: str) -> Path:
        """Fetches a series at its first use."""
        if not UID.fullmatch(image_id):
            raise ImageNotFoundException(f"There is no series {image_id!r} on the server.")
        folder = Path(self._datastore.image_path()).resolve() / image_id
        with FileLock(folder.with_name(f".{image_id}.lock")):
            if not folder.is_dir():
                self._fetch(image_id, folder)
        return folder

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Lists the images that the server holds a lesion SEG of."""
        corrected = self._corrections()
        return [image for image in self.list_images() if image in corrected]

    def get_label_uri(self, label_id: str, label_tag: str, image_id: str = "") -> str:
        """Finds a label, on the image's grid; a final one is the newest on the server, "" where there is none.

        Args:
            label_id: the image's UID.
            label_tag: "final", or a tag under which this server keeps a label.
            image_id: MONAI Label's; the same.
        """
        if label_tag != FINAL:
            return str(super().get_label_uri(label_id, label_tag))
        newest = self._corrections().get(label_id)
        if newest is None:
            return ""
        here = str(super().get_label_uri(label_id, FINAL))
        if not here or self.get_label_info(label_id, FINAL).get("SeriesInstanceUID") != newest.series:
            self._keep(newest)
        return str(super().get_label_uri(label_id, FINAL))

    def save_label(
        self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]
    ) -> str:
        """Keeps a label; a final one goes to the server as DICOM SEG, an empty one too.

        Raises:
            ImageNotFoundException: there is no such image.
            InputError: the label cannot be read, lies on another grid, or marks no lesions.
            requests.RequestException: the server did not take it.
        """
        label_id: str = super().save_label(image_id, label_filename, label_tag, label_info)
        if label_tag == FINAL:
            kept, segments = super().get_label_uri(image_id, FINAL), segments_from(None, {LESION: 1})
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "seg.dcm"
                write_seg(sitk.ReadImage(kept), self.series_folder(image_id), segments, file, corrected=True)
                seg = pydicom.dcmread(file)
            self._client.store_instances([seg])
            self.update_label_info(label_id, FINAL, {"SeriesInstanceUID": str(seg.SeriesInstanceUID)})
        return label_id

    def frame(self, path: str, accept: str) -> requests.Response:
        """Asks for a slice's pixels in a form that the asker can read.

        Args:
            path: studies/.../frames/1.
            accept: the media types, as in HTTP.
        """
        session = self._client._session  # The server's user and password, where there are.
        prefix = self._client.wado_url_prefix
        address = "/".join([self.name(), prefix, path] if prefix else [self.name(), path])
        found: requests.Response = session.get(address, headers={"Accept": accept})
        return found

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Refuses: an image here is a DICOM series on the server."""
        raise InputError(f"image {image_id}: expected a DICOM series sent to {self.name()}, got an upload.")

    def datalist(self, full_path: bool = True) -> list[dict[str, Any]]:
        """Lists image and label of each corrected image, as paths, on one grid."""
        pairs = [(uid, self.get_label_uri(uid, FINAL)) for uid in self.get_labeled_images()]
        return [{"image": self.get_image_uri(uid), "label": label} for uid, label in pairs if label]

    def _fetch(self, uid: str, folder: Path) -> None:
        """Writes the files of a series beside, then renames."""
        found = self._client.search_for_series(search_filters={"SeriesInstanceUID": uid})
        studies = [
            _value(item, "StudyInstanceUID") for item in found if _value(item, "SeriesInstanceUID") == uid
        ]
        if not studies:
            raise ImageNotFoundException(f"There is no series {uid!r} on the server.")
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".series") as beside:
            whole = Path(beside) / uid
            whole.mkdir()
            for instance in self._client.retrieve_series(studies[0], uid, media_types=AS_STORED):
                instance.save_as(whole / f"{instance.SOPInstanceUID}.dcm")
            whole.replace(folder)

    def _corrections(self) -> dict[str, Correction]:
        """Maps image UIDs to their newest lesion SEG; each SEG's header is read once, since it never changes."""
        newest: dict[str, Correction] = {}
        for item in self._client.search_for_series(search_filters={"Modality": "SEG"}):
            uid = _value(item, "SeriesInstanceUID")
            if uid not in self._seen:
                self._seen[uid] = self._correction(_value(item, "StudyInstanceUID"), uid)
            found = self._seen[uid]
            if found and (found.image not in newest or newest[found.image].made < found.made):
                newest[found.image] = found
        return newest

    def _correction(self, study: str, uid: str) -> Correction | None:
        for item in self._client.retrieve_series_metadata(study, uid):
            seg = Dataset.from_json({tag: value for tag, value in item.items() if "BulkDataURI" not in value})
            segments = [str(part.get("SegmentLabel", "")).lower() for part in seg.get("SegmentSequence", [])]
            for referenced in seg.get("ReferencedSeriesSequence", []) if LESION in segments else []:
                made = f"{seg.get('ContentDate', '')}{seg.get('ContentTime', '')}"
                return Correction(study, uid, str(referenced.SeriesInstanceUID), made)
        return None

    def _keep(self, correction: Correction) -> None:
        """Fetches a SEG and keeps it as NIfTI on the grid of its image."""
        image = self.get_image_uri(correction.image)
        (seg, *_) = self._client.retrieve_series(correction.study, correction.series, media_types=AS_STORED)
        lesion = lesion_from_seg(seg)
        if lesion is None:
            raise InputError(f"{correction.series}: expected a segment {LESION!r} in this SEG, found none.")
        label = label_on_grid(lesion, sitk.ReadImage(image))
        name = f"{correction.image}{NIFTI}"
        with self._changing_record() as record:
            with tempfile.TemporaryDirectory(dir=self._datastore_path, prefix=".label") as beside:
                sitk.WriteImage(label, str(Path(beside) / name))
                (Path(beside) / name).replace(Path(record.label_path(FINAL)) / name)
            info = {"SeriesInstanceUID": correction.series, "name": name}
            record.objects[correction.image].labels[FINAL] = DataModel(info=info, ext=NIFTI)


def _value(found: dict[str, Any], keyword: str) -> str:
    """Reads one UID out of a search's answer."""
    return str(Dataset.from_json(found).get(keyword, ""))
