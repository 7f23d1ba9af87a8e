"""Studies on a DICOMweb server (PACS): series come from it as they are wanted, final labels go to it as DICOM SEG.

In the place of MONAI Label 0.8.5's DICOMWebDatastore, whose faults these are:

- It fetches slices uncompressed, which Orthanc without a JPEG 2000 decoder refuses: here as they are stored.
- It lists series and labels every two hours: a label just saved, or one from another station, is not seen.
- A series that was still arriving when it was first asked for is kept as it was: here its slices are compared with the
  server's.
- A label read back is cropped to the labelled slices: here it lies on the image's grid.
- Each save adds a SEG series and all of them count; a label once read is never read again: here the newest counts.
- Any SEG counts, lungs too, and of a series the first: here those that hold a lesion segment.
- A server that answers in pages is asked for the first alone: here for all.
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
    """A SEG with a lesion segment: its UIDs, the image it refers to, and when it was made."""

    study: str
    series: str
    instance: str
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
        self._seen: dict[tuple[str, str], list[Correction]] = {}
        folder = Path(cache.strip() or DEFAULT_CACHE.expanduser()) / md5_digest(client.base_url)
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(str(folder), auto_reload)

    def name(self) -> str:
        """Names the server."""
        return str(self._client.base_url)

    def series(self) -> list[str]:
        """Lists the series that the server has now and that pass MONAI_LABEL_DICOMWEB_SEARCH_FILTER."""
        wanted = settings.MONAI_LABEL_DICOMWEB_SEARCH_FILTER
        found = self._client.search_for_series(search_filters=wanted, get_remaining=True)
        return [uid for item in found if UID.fullmatch(uid := _value(item, "SeriesInstanceUID"))]

    def series_folder(self, image_id: str) -> Path:
        """Fetches a series at its first use, and anew when the server lists other slices of it."""
        if not UID.fullmatch(image_id):
            raise ImageNotFoundException(f"There is no series {image_id!r} on the server.")
        folder = Path(self._datastore.image_path()).resolve() / image_id
        with FileLock(folder.with_name(f".{image_id}.lock")):
            study, listed = self._listed(image_id)
            if not folder.is_dir() or {file.stem for file in folder.iterdir()} != listed:
                self._fetch(study, image_id, folder)
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
        if not here or self.get_label_info(label_id, FINAL).get("SOPInstanceUID") != newest.instance:
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
            uids = {key: str(seg[key].value) for key in ("SeriesInstanceUID", "SOPInstanceUID")}
            self.update_label_info(label_id, FINAL, uids)
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

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Takes a label away that this server alone keeps; refuses for a final one, which is a SEG on the server."""
        if label_tag == FINAL:
            raise InputError(
                f"label of {label_id}: expected its SEG to be deleted at {self.name()} itself, got a request here."
            )
        super().remove_label(label_id, label_tag)

    def _listed(self, uid: str) -> tuple[str, set[str]]:
        """Asks which study a series is of, and which instances the server has of it now."""
        found = self._client.search_for_series(search_filters={"SeriesInstanceUID": uid}, get_remaining=True)
        studies = [
            _value(item, "StudyInstanceUID") for item in found if _value(item, "SeriesInstanceUID") == uid
        ]
        if not studies:
            raise ImageNotFoundException(f"There is no series {uid!r} on the server.")
        instances = self._client.search_for_instances(studies[0], uid, get_remaining=True)
        return studies[0], {_value(item, "SOPInstanceUID") for item in instances}

    def _fetch(self, study: str, uid: str, folder: Path) -> None:
        """Writes the files of a series beside, then renames."""
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".series") as beside:
            whole = Path(beside) / uid
            whole.mkdir()
            for instance in self._client.retrieve_series(study, uid, media_types=AS_STORED):
                instance.save_as(whole / f"{instance.SOPInstanceUID}.dcm")
            if folder.is_dir():
                folder.replace(Path(beside) / "earlier")
            whole.replace(folder)

    def _corrections(self) -> dict[str, Correction]:
        """Maps image UIDs to their newest lesion SEG; each SEG's header is read once, since it never changes."""
        newest: dict[str, Correction] = {}
        for item in self._client.search_for_series(search_filters={"Modality": "SEG"}, get_remaining=True):
            uid = _value(item, "SeriesInstanceUID")
            known = uid, _value(item, "NumberOfSeriesRelatedInstances")
            if known not in self._seen:
                self._seen[known] = self._in_series(_value(item, "StudyInstanceUID"), uid)
            for found in self._seen[known]:
                if found.image not in newest or newest[found.image].made < found.made:
                    newest[found.image] = found
        return newest

    def _in_series(self, study: str, uid: str) -> list[Correction]:
        """Lists the SEGs of a series that have a lesion segment."""
        found = []
        for item in self._client.retrieve_series_metadata(study, uid):
            seg = Dataset.from_json({tag: value for tag, value in item.items() if "BulkDataURI" not in value})
            segments = [str(part.get("SegmentLabel", "")).lower() for part in seg.get("SegmentSequence", [])]
            for referenced in seg.get("ReferencedSeriesSequence", []) if LESION in segments else []:
                made = f"{seg.get('ContentDate', '')}{seg.get('ContentTime', '')}"
                image, instance = str(referenced.SeriesInstanceUID), str(seg.SOPInstanceUID)
                found.append(Correction(study, uid, instance, image, made))
        return found

    def _keep(self, correction: Correction) -> None:
        """Fetches a SEG and keeps it as NIfTI on the grid of its image."""
        image = self.get_image_uri(correction.image)
        uids = correction.study, correction.series, correction.instance
        seg = self._client.retrieve_instance(*uids, media_types=AS_STORED)
        lesion = lesion_from_seg(seg)
        if lesion is None:
            raise InputError(f"{correction.instance}: expected a segment {LESION!r} in this SEG, found none.")
        label = label_on_grid(lesion, sitk.ReadImage(image))
        name = f"{correction.image}{NIFTI}"
        with self._changing_record() as record:
            with tempfile.TemporaryDirectory(dir=self._datastore_path, prefix=".label") as beside:
                sitk.WriteImage(label, str(Path(beside) / name))
                (Path(beside) / name).replace(Path(record.label_path(FINAL)) / name)
            info = {
                "SeriesInstanceUID": correction.series,
                "SOPInstanceUID": correction.instance,
                "name": name,
            }
            record.objects[correction.image].labels[FINAL] = DataModel(info=info, ext=NIFTI)


def _value(found: dict[str, Any], keyword: str) -> str:
    """Reads one attribute out of a search's answer."""
    return str(Dataset.from_json(found).get(keyword, ""))
