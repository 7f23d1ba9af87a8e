"""The record of the studies, which several processes change, and none undoes another's entries."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from monailabel.datastore.local import LocalDatastore, LocalDatastoreModel
from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException
from watchdog.events import FileSystemEvent

from normnet.whole_file import written_whole

__all__ = ["SharedRecord"]

log = logging.getLogger(__name__)


class SharedRecord(LocalDatastore):  # type: ignore[misc] # MONAI Label ships no types.
    """MONAI Label's folder of images and labels, whose record is whole at any moment and keeps what others entered.

    MONAI Label 0.8.5 writes its record, `datastore_v2.json`, in place: a server killed at that moment leaves half a
    file, and does not start again. And each process writes its own old view of the record: scores that are written
    while a label is saved undo that label's entry. And it does not see files that are renamed into the folder.

    Args:
        folder: of the studies.
        formats: endings of the files that count as images and labels.
        auto_reload: whether changes made by others are noticed.
    """

    def __init__(self, folder: str, formats: Sequence[str], auto_reload: bool = False) -> None:
        # One lock for all, which a thread that has it may take again; MONAI Label's own would wait for itself.
        self._changing = FileLock(Path(folder) / ".lock")
        super().__init__(folder, extensions=[f"*{ending}" for ending in formats], auto_reload=auto_reload)
        if auto_reload:
            # What is renamed into place is a move, which MONAI Label does not watch for.
            self._handler.on_moved = self._on_moved

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """Adds to what is known of an image.

        Raises:
            ImageNotFoundException: there is no such image.
        """
        with self._changing_record() as record:
            if image_id not in record.objects:
                raise ImageNotFoundException(f"There is no image {image_id!r} among the studies.")
            record.objects[image_id].image.info.update(info)

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        """Adds to what is known of a label.

        Raises:
            LabelNotFoundException: there is no such label.
        """
        with self._changing_record() as record:
            label = record.label(label_id, label_tag)
            if label is None:
                raise LabelNotFoundException(
                    f"There is no {label_tag} label of {label_id!r} among the studies."
                )
            label.info.update(info)

    def _on_moved(self, event: FileSystemEvent) -> None:
        if Path(str(event.dest_path)) == Path(self._datastore_config_path):
            self._init_from_datastore_file()
        else:
            self.refresh()

    @contextmanager
    def _changing_record(self) -> Iterator[LocalDatastoreModel]:
        """Reads the record as it is on disk now, and writes it back changed, with no one between."""
        with self._changing:
            self._read_record()
            yield self._datastore
            self._update_datastore_file()

    def _read_record(self) -> None:
        path = Path(self._datastore_config_path)
        if path.is_file():
            written = path.stat().st_mtime
            record = json.loads(path.read_text(encoding="utf-8"))
            # Half a character, as a file's name that is not UTF-8 once left it here, becomes "?": pydantic does not
            # read it, and no answer can hold it.
            whole = json.dumps(record, ensure_ascii=False).encode(errors="replace")
            self._datastore = LocalDatastoreModel.model_validate_json(whole)
            self._datastore.base_path, self._config_ts = self._datastore_path, written

    def _init_from_datastore_file(self, throw_exception: bool = False) -> None:
        try:
            path = Path(self._datastore_config_path)
            with self._changing:
                if path.is_file() and path.stat().st_mtime != self._config_ts:
                    self._read_record()
        except ValueError as error:
            if throw_exception:
                raise
            log.error("%s: cannot be read: %s", self._datastore_config_path, error)

    def _reconcile_datastore(self) -> None:
        with self._changing:
            self._config_ts = 0  # Two writes within one tick of the clock look alike.
            super()._reconcile_datastore()

    def _update_datastore_file(self, lock: bool = True) -> None:
        path = Path(self._datastore_config_path)
        content = json.dumps(self._datastore.model_dump(exclude={"base_path"}), indent=2, default=str)
        with self._changing:
            with written_whole(path) as beside:
                beside.write_text(content, encoding="utf-8")
            self._config_ts = path.stat().st_mtime
