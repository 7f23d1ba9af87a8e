"""The MONAI Label app: serves the bundle to OHIF, 3D Slicer and any other client.

python -m monailabel.main start_server --app monailabel_app --studies STUDIES --host 127.0.0.1
"""

import logging
from pathlib import Path
from typing import Any

import requests
from lib.batch import BatchInfer
from lib.corrections_archive import remove_sent_archives
from lib.dicom_endpoints import answer_dicom_seg, pass_frames_on
from lib.dicom_folder import KEPT_IN, DICOMFolderStudies, holds_dicom
from lib.dicomweb import DICOMWebStudies
from lib.endpoints import harden_endpoints
from lib.finetuning import FineTune
from lib.infers import LungsInfer, NormNetInfer
from lib.login import accept_tokens
from lib.pacs_client import dicomweb_client
from lib.pipeline import Pipeline
from lib.scoring import Disagreement
from lib.server_end import end_tasks_with_the_server
from lib.startup_check import check_options, check_studies, check_weights, check_writable, warn_of_others
from lib.strategies import AtRandom, MostDisagreed
from lib.studies import LocalStudies
from lib.uploads import Uploads
from lib.versions import Versions
from monailabel.config import settings
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.interfaces.exception import ImageNotFoundException
from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.interfaces.tasks.train import TrainTask

from normnet import __version__, bundle_root
from normnet.errors import InputError
from normnet.memory import keep_freed_memory

logger = logging.getLogger(__name__)


class NormNetApp(MONAILabelApp):  # type: ignore[misc] # MONAI Label ships no types.
    """Serves lesions and lungs, says which scan to correct next, and learns from the corrections.

    Args:
        app_dir: this folder.
        studies: a folder of NIfTI or DICOM, or a DICOMweb address.
        conf: from `--conf NAME VALUE`: `bundle` (the bundle's folder), `overlay` (a JSON file laid over the bundle's
            configs), `model_dir` (where fine-tuned weights go; APP/model), `healthy` (a folder of healthy CTs that
            fine-tuning mixes in).

    Raises:
        InputError: there are no weights to start with, the studies are a file or cannot be written to, or an option
            cannot be.
    """

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        keep_freed_memory()
        check_options(conf)
        bundle = Path(conf.get("bundle") or bundle_root())
        overlay = Path(conf["overlay"]) if conf.get("overlay") else None
        self.model_dir = Path(conf.get("model_dir") or Path(app_dir) / "model")
        self.healthy = Path(conf["healthy"]) if conf.get("healthy") else None
        shipped = bundle / "models" / "model.pt"
        check_studies(studies)
        check_weights(shipped)
        self.bundle, self.overlay = bundle, overlay
        self.versions = Versions(self.model_dir / "versions", shipped)
        self.pipeline = Pipeline(bundle / "configs" / "inference.json", overlay)
        super().__init__(
            app_dir,
            studies,
            conf,
            name="NormNet",
            description="Label-free segmentation of COVID-19-like lesions in chest CT. Research use only.",
            version=__version__,
        )
        accept_tokens()
        answer_dicom_seg()
        pass_frames_on()
        remove_sent_archives()
        harden_endpoints()

    def init_datastore(self) -> Datastore:
        """Opens the studies: a DICOMweb server, or a folder of DICOM or of NIfTI."""
        auto_reload = settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD
        if self.studies.startswith(("http://", "https://")):
            cache = settings.MONAI_LABEL_DICOMWEB_CACHE_PATH
            return DICOMWebStudies(dicomweb_client(self.studies), cache, auto_reload)
        if holds_dicom(self.studies):
            check_writable(Path(self.studies) / KEPT_IN)
            return DICOMFolderStudies(self.studies, auto_reload)
        check_writable(Path(self.studies))
        return LocalStudies(self.studies, auto_reload)

    def init_infers(self) -> dict[str, InferTask]:
        """Lists the models."""
        return {
            "normnet": NormNetInfer(self.pipeline, self.versions),
            "lungs": LungsInfer(self.pipeline),
        }

    def init_trainers(self) -> dict[str, TrainTask]:
        """Lists what can be trained."""
        return {"normnet": FineTune(self.bundle, self.versions, self.model_dir, self.overlay, self.healthy)}

    def init_scoring_methods(self) -> dict[str, ScoringMethod]:
        """Lists what tells how much a scan is worth an annotator's time."""
        return {"disagreement": Disagreement(self.pipeline, self.versions)}

    def init_strategies(self) -> dict[str, Strategy]:
        """Lists how the next scan is chosen."""
        return {"disagreement": MostDisagreed(self.versions), "random": AtRandom()}

    def init_batch_infer(self) -> BatchInfer:
        """Runs a model over many scans."""
        return BatchInfer()

    def on_init_complete(self) -> None:
        """Begins to serve: what is not offered is told, the scans are scored, and what runs beside it ends with it."""
        end_tasks_with_the_server()
        if not self.studies.startswith(("http://", "https://")):
            warn_of_others(self.studies, self.datastore())
        super().on_init_complete()

    def infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Segments an image of the studies, named by its id, or an upload, by the path that an endpoint gave it.

        MONAI Label 0.8.5 takes an id for a path first: a study of the name of a folder that the server was started
        beside would be what lies in that folder.

        Raises:
            ImageNotFoundException: there is no such image.
        """
        studies = datastore or self.datastore()
        image = request["image"]
        uploaded = Path(image).is_absolute()
        path = image if uploaded else studies.get_image_uri(image)
        if not path or not Path(path).exists():
            raise ImageNotFoundException(f"There is no image {image!r} among the studies.")
        answer: dict[str, Any] = super().infer({**request, "image": path}, studies)
        if not uploaded and request.get("save_label") and answer["file"]:
            tag = request.get("label_tag", DefaultLabelTag.ORIGINAL)
            info = {"model": request["model"], "params": answer["params"]}
            answer["label"] = studies.save_label(image, answer["file"], tag, info)
        return answer

    def next_sample(self, request: dict[str, Any]) -> dict[str, Any]:
        """Chooses the scan to correct next; a series that turns out to be no volume is passed over."""
        left = self.datastore().get_unlabeled_images()
        while True:
            try:
                sample: dict[str, Any] = super().next_sample(request)
                return sample
            except InputError as error:
                before, left = left, self.datastore().get_unlabeled_images()
                if len(left) >= len(before):
                    raise
                logger.warning("This is nobody's next scan: %s", error)

    def async_scoring(self, method: str | None, params: dict[str, Any] | None = None) -> Any:
        """Has the scans scored. After a training that is another process's task, which need not answer.

        MONAI Label 0.8.5 asks the server at 127.0.0.1, wherever it listens.
        """
        try:
            return super().async_scoring(method, params)
        except requests.RequestException as error:
            logger.warning(
                "The server could not be asked for scores (%s); the next sample brings them.", error
            )
            return {}

    def _load_sessions(self, load: bool = False) -> Uploads | None:
        """Keeps uploads where MONAI Label does."""
        if not load:
            return None
        path = settings.MONAI_LABEL_SESSION_PATH.strip()
        return Uploads(str(Path(path).absolute()) if path else "", settings.MONAI_LABEL_SESSION_EXPIRY)
