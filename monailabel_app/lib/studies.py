"""The folder of studies: what comes in is checked, what is written is whole, what is deleted is gone."""

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from monai.data import MetaTensor
from monailabel.datastore.local import DataModel, ImageLabelModel
from monailabel.interfaces.datastore import DefaultLabelTag
from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException

from normnet.ct_grid import save_nifti
from normnet.errors import InputError
from normnet.masks import read_mask
from normnet.reading import read_ct
from normnet.studies import COMPANIONS
from normnet.whole_file import written_whole

from .final_label import lesion_voxels
from .names import SAFE_NAME
from .record import SharedRecord
from .segments import LESION

__all__ = ["FINAL", "FORMATS", "NIFTI", "LocalStudies"]

FINAL = DefaultLabelTag.FINAL.value
NIFTI = ".nii.gz"
FORMATS = (NIFTI, ".nii", ".nrrd", ".mha")
"""Files that count as images and labels."""

log = logging.getLogger(__name__)


class LocalStudies(SharedRecord):
    """MONAI Label's folder of images and labels, where nothing is half-written and nothing outlives its image.

    MONAI Label 0.8.5 copies labels in place: a server killed at that moment leaves half a file. And a label in another
    format leaves the earlier one, which comes back when it is deleted.

    Args:
        folder: of the studies.
        auto_reload: whether changes made by others are noticed.
    """

    def __init__(self, folder: str, auto_reload: bool = False) -> None:
        self._passed_over: set[str] = set()
        super().__init__(folder, FORMATS, auto_reload)

    def image_paths(self) -> set[Path]:
        """Finds what the images lie in: files, or folders of DICOM."""
        return {Path(self.get_image_uri(image)) for image in self.list_images()}

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Takes a chest CT into the folder; labels that lie there under its name, of an image that is gone, go.

        Raises:
            InputError: the file is no CT, its format is none of `FORMATS`, or the name is taken.
        """
        ending = _ending(image_filename, f"image {image_id}")
        _checked(read_ct, image_filename, f"image {image_id}")
        name = f"{image_id}{ending}"
        with self._changing_record() as record:
            images = Path(record.image_path())
            if image_id in record.objects or _of_name(images, image_id):
                raise InputError(f"image {image_id}: there is one of this name among the studies already.")
            self._clear_labels(image_id)
            with _written(images / name) as beside:
                shutil.copyfile(image_filename, beside)
            info = {**(image_info or {}), "ts": int(time.time()), "name": name}
            record.objects[image_id] = ImageLabelModel(image=DataModel(info=info, ext=ending))
        return image_id

    def save_label(
        self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]
    ) -> str:
        """Keeps a label of an image; the one of the same tag that was there before gives way whole.

        Of a final label, which is trained on, the lesion is kept, as 0 and 1 on the image's grid: see `lesion_voxels`.

        Args:
            image_id: the image.
            label_filename: one of `FORMATS`, on the image's grid.
            label_tag: "final", or any other.
            label_info: what is known of it; its `label_info` tells what the values stand for.

        Raises:
            ImageNotFoundException: there is no such image.
            InputError: the label cannot be read or lies on another grid than its image, a final one marks no
                lesions, or the tag is a path.
        """
        if not SAFE_NAME.fullmatch(label_tag):
            raise InputError(f"label of {image_id}: expected a tag that is a name, got {label_tag!r}.")
        image = self.get_image_uri(image_id)
        if not image:
            raise ImageNotFoundException(f"There is no image {image_id!r} among the studies.")
        what, info = f"label of {image_id}", dict(label_info or {})
        ending = _ending(label_filename, what)
        ct = read_ct(image)
        label = _checked(lambda path: read_mask(path, like=ct), label_filename, what)
        lesion = None
        if label_tag == FINAL:
            lesion, ending = lesion_voxels(label, info.get("label_info"), name=what), NIFTI
            info["label_info"] = [{"name": LESION, "idx": 1}]
        name = f"{image_id}{ending}"
        with self._changing_record() as record:
            if image_id not in record.objects:
                raise ImageNotFoundException(f"There is no image {image_id!r} among the studies.")
            folder = Path(record.label_path(label_tag))
            folder.mkdir(parents=True, exist_ok=True)
            with _written(folder / name) as beside:
                if lesion is None:
                    shutil.copyfile(label_filename, beside)
                else:
                    save_nifti(lesion, ct.affine.numpy(), beside)
            for other in _of_name(folder, image_id) - {folder / name}:
                other.unlink()
            info |= {"ts": int(time.time()), "name": name}
            record.objects[image_id].labels[label_tag] = DataModel(info=info, ext=ending)
        return image_id

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Takes a label away, in whatever format.

        Raises:
            LabelNotFoundException: there is no such label.
        """
        with self._changing_record() as record:
            if record.label(label_id, label_tag) is None:
                raise LabelNotFoundException(
                    f"There is no {label_tag} label of {label_id!r} among the studies."
                )
            for file in _of_name(Path(record.label_path(label_tag)), label_id):
                file.unlink()
            del record.objects[label_id].labels[label_tag]

    def remove_image(self, image_id: str) -> None:
        """Takes an image and all its labels away; another file of its name, which was not offered, stays.

        Raises:
            ImageNotFoundException: there is no such image.
        """
        with self._changing_record() as record:
            if image_id not in record.objects:
                raise ImageNotFoundException(f"There is no image {image_id!r} among the studies.")
            images = Path(record.image_path())
            (images / f"{image_id}{record.objects[image_id].image.ext}").unlink(missing_ok=True)
            for other in sorted(_of_name(images, image_id)):
                log.warning("%s: has the name of the image that was deleted, and stays; rename it.", other)
            self._clear_labels(image_id)
            del record.objects[image_id]

    def _clear_labels(self, image_id: str) -> None:
        for folder in Path(self._datastore.label_path(None)).iterdir():
            for file in _of_name(folder, image_id):
                file.unlink()

    def _list_files(self, path: str, patterns: list[str]) -> dict[str, str]:
        """Leaves out the masks that may lie beside a CT, and names that no answer can hold, with a warning."""
        files: dict[str, str] = super()._list_files(path, patterns)
        nameless = {name for name in files if not _is_text(name)}
        for name in sorted(nameless - self._passed_over):
            log.warning("%s: %a is passed over: expected a name in UTF-8; rename the file.", path, name)
        self._passed_over |= nameless
        companions = tuple(f"_{kind}{ending}" for kind in COMPANIONS for ending in FORMATS)
        return {
            name: file
            for name, file in files.items()
            if name not in nameless and not name.endswith(companions) and not name.startswith(".")
        }


def _ending(path: str, what: str) -> str:
    for ending in FORMATS:
        if str(path).endswith(ending):
            return ending
    raise InputError(
        f"{what}: expected a file of {', '.join(FORMATS)}, got {''.join(Path(path).suffixes) or 'none'}."
    )


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _of_name(folder: Path, image_id: str) -> set[Path]:
    """Finds the files of an image or a label, in whatever format."""
    return {path for ending in FORMATS if (path := folder / f"{image_id}{ending}").is_file()}


def _checked(read: Callable[[str], MetaTensor], path: str, what: str) -> MetaTensor:
    """Reads a file, if it can be read; else the sentence names it as the client does."""
    try:
        return read(path)
    except InputError as error:
        raise InputError(str(error).replace(str(path), what)) from error


@contextmanager
def _written(target: Path) -> Iterator[Path]:
    """Gives the path that `written_whole` gives; a full disk is a sentence."""
    try:
        with written_whole(target) as beside:
            yield beside
    except OSError as error:
        raise InputError(f"{target.name}: cannot be written among the studies ({error.strerror}).") from error
