"""The folder of studies: what comes in is checked, what is written is whole, and no process undoes another's work."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from monailabel.datastore.local import DataModel, ImageLabelModel, LocalDatastore, LocalDatastoreModel
from monailabel.interfaces.exception import ImageNotFoundException

from normnet.errors import InputError
from normnet.masks import read_mask
from normnet.reading import read_ct
from normnet.studies import COMPANIONS
from normnet.whole_file import written_whole

from .names import SAFE_NAME

__all__ = ["FORMATS", "LocalStudies"]

FORMATS = (".nii.gz", ".nii", ".nrrd", ".mha")
"""Files that count as images and labels."""


class LocalStudies(LocalDatastore):  # type: ignore[misc] # MONAI Label ships no types.
    """MONAI Label's folder of images and labels, where nothing is half-written and nothing gets lost.

    MONAI Label 0.8.5 copies labels and its record, `datastore_v2.json`, in place: a server killed at that moment
    leaves half a file, and does not start again. And each process writes its own old view of the record: scores that
    are written while a label is saved undo that label's entry.

    Args:
        folder: of the studies.
        auto_reload: whether changes made by others are noticed.
    """

    def __init__(self, folder: str, auto_reload: bool = False) -> None:
        super().__init__(folder, extensions=[f"*{ending}" for ending in FORMATS], auto_reload=auto_reload)
        if auto_reload:
            # A record that another process renamed into place is a move, which MONAI Label does not watch for.
            self._handler.on_moved = lambda event: self._init_from_datastore_file()

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Takes a chest CT into the folder.

        Raises:
            InputError: the file is no CT, its format is none of `FORMATS`, or the name is taken.
        """
        ending = _ending(image_filename, f"image {image_id}")
        _checked(read_ct, image_filename, f"image {image_id}")
        name = f"{image_id}{ending}"
        with self._changing_record() as record:
            if image_id in record.objects:
                raise InputError(f"image {image_id}: there is one of this name among the studies already.")
            _copy_whole(Path(image_filename), Path(record.image_path()) / name)
            info = {**(image_info or {}), "ts": int(time.time()), "name": name}
            record.objects[image_id] = ImageLabelModel(image=DataModel(info=info, ext=ending))
        return image_id

    def save_label(
        self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]
    ) -> str:
        """Keeps a label of an image; the one of the same tag that was there before gives way whole.

        Raises:
            ImageNotFoundException: there is no such image.
            InputError: the label cannot be read or lies on another grid than its image, or the tag is a path.
        """
        if not SAFE_NAME.fullmatch(label_tag):
            raise InputError(f"label of {image_id}: expected a tag that is a name, got {label_tag!r}.")
        image = self.get_image_uri(image_id)
        if not image:
            raise ImageNotFoundException(f"There is no image {image_id!r} among the studies.")
        ending = _ending(label_filename, f"label of {image_id}")
        ct = read_ct(image)
        _checked(lambda path: read_mask(path, like=ct), label_filename, f"label of {image_id}")
        name = f"{image_id}{ending}"
        with self._changing_record() as record:
            if image_id not in record.objects:
                raise ImageNotFoundException(f"There is no image {image_id!r} among the studies.")
            folder = Path(record.label_path(label_tag))
            folder.mkdir(parents=True, exist_ok=True)
            _copy_whole(Path(label_filename), folder / name)
            info = {**(label_info or {}), "ts": int(time.time()), "name": name}
            record.objects[image_id].labels[label_tag] = DataModel(info=info, ext=ending)
        return image_id

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """Adds to what is known of an image.

        Raises:
            ImageNotFoundException: there is no such image.
        """
        with self._changing_record() as record:
            if image_id not in record.objects:
                raise ImageNotFoundException(f"There is no image {image_id!r} among the studies.")
            record.objects[image_id].image.info.update(info)

    @contextmanager
    def _changing_record(self) -> Iterator[LocalDatastoreModel]:
        """Reads the record as it is on disk now, and writes it back changed, with no one between."""
        with FileLock(self._lock_file):
            path = Path(self._datastore_config_path)
            if path.is_file():
                self._datastore = LocalDatastoreModel.model_validate_json(path.read_text(encoding="utf-8"))
                self._datastore.base_path = self._datastore_path
            yield self._datastore
            self._update_datastore_file(lock=False)

    def _update_datastore_file(self, lock: bool = True) -> None:
        if lock:
            with FileLock(self._lock_file):
                self._update_datastore_file(lock=False)
            return
        path = Path(self._datastore_config_path)
        content = json.dumps(self._datastore.model_dump(exclude={"base_path"}), indent=2, default=str)
        with written_whole(path) as beside:
            beside.write_text(content, encoding="utf-8")
        self._config_ts = path.stat().st_mtime

    def _list_files(self, path: str, patterns: list[str]) -> dict[str, str]:
        """Leaves out the masks that may lie beside a CT: they are no images of their own."""
        files: dict[str, str] = super()._list_files(path, patterns)
        companions = tuple(f"_{kind}{ending}" for kind in COMPANIONS for ending in FORMATS)
        return {
            name: file
            for name, file in files.items()
            if not name.endswith(companions) and not name.startswith(".")
        }


def _ending(path: str, what: str) -> str:
    for ending in FORMATS:
        if str(path).endswith(ending):
            return ending
    raise InputError(
        f"{what}: expected a file of {', '.join(FORMATS)}, got {''.join(Path(path).suffixes) or 'none'}."
    )


def _checked(read: Any, path: str, what: str) -> None:
    """Reads a file to see whether it can be read; the sentence names it as the client does."""
    try:
        read(path)
    except InputError as error:
        raise InputError(str(error).replace(str(path), what)) from error


def _copy_whole(source: Path, target: Path) -> None:
    try:
        with written_whole(target) as beside:
            shutil.copyfile(source, beside)
    except OSError as error:
        raise InputError(f"{target.name}: cannot be written among the studies ({error.strerror}).") from error
