"""The bundle's runs of one fine-tuning, in a work folder of their own."""

import json
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from filelock import FileLock, Timeout
from monai.bundle import ConfigParser, ConfigWorkflow

from normnet.correction_scores import Agreement, held_out_agreement
from normnet.ensemble import merge_members
from normnet.errors import InputError, input_error_in
from normnet.studies import load_datalist

from .acceptance import Item, Metrics

__all__ = ["TuningRun", "one_sentence", "work_folder"]

DISK_FULL_IN_TORCH = ("PytorchStreamWriter", "inline_container")
"""What torch says, in an error without a number, when a file cannot be written whole."""

logger = logging.getLogger(__name__)


class TuningRun:
    """Trains members and scores ensembles as `monai.bundle run` does; everything is written to the work folder.

    Args:
        configs: the bundle's folder of configs.
        overlay: a JSON file laid over them, or None; it may name only what train.json and inference.json both know,
            or top-level settings.
        work: the folder, absolute.
        start: the ensemble's weights to start from.
        members: how many they hold.
        device: torch's name of it.
    """

    def __init__(
        self, configs: Path, overlay: Path | None, work: Path, start: Path, members: int, device: str
    ) -> None:
        self.configs, self.overlay, self.work, self.start = configs, overlay, work, start.absolute()
        self.members, self.device = members, device
        self.runs, self.weights = work / "runs", work / "model.pt"

    def write_dataset(self, training: Sequence[Item], held_out: Sequence[Item], healthy: Path | None) -> None:
        """Writes the datalist of finetune.json.

        Raises:
            InputError: the healthy CTs cannot be listed.
        """
        lists: dict[str, Any] = {"corrections": training, "corrections_validation": held_out}
        if healthy is not None:
            lists["training"] = load_datalist(healthy.resolve(), "training")
            lists["validation"] = load_datalist(healthy.resolve(), "validation")
        (self.work / "dataset.json").write_text(json.dumps(lists), encoding="utf-8")

    def train_member(
        self, member: int, epochs: int, healthy_cache: Path, publish: Mapping[str, Any]
    ) -> dict[str, Metrics]:
        """Trains one member.

        Args:
            member: its number.
            epochs: how many, of the configs' `epoch_iterations`.
            healthy_cache: folder for the preprocessed lungs that synthetic lesions are put into.
            publish: one more handler of the trainer, as a config.

        Returns:
            Metrics "before" and "after" the training.
        """
        settings = {
            "checkpoint": str(self.start),
            "ckpt_dir": str(self.work / "models"),
            "cache_dir": str(healthy_cache),
            "corrections_cache_dir": str(self.work / "corrections_cache"),
            "member": member,
            "max_iterations": f"${epochs} * @epoch_iterations",
            "+train::handlers": [publish],
        }
        logger.info("Fine-tuning member %d.", member)
        self._run("training", ["train.json", "finetune.json"], settings)
        changes: dict[str, Metrics] = json.loads(
            (self.runs / f"member_{member}" / "metrics.json").read_text(encoding="utf-8")
        )
        return changes

    def merge(self) -> Path:
        """Merges the trained members to the ensemble's weights."""
        training = ConfigParser.load_config_files(self._config_files(["train.json", "finetune.json"]))
        paths = [self.work / "models" / f"member_{member}.pt" for member in range(self.members)]
        merge_members(paths, self.weights, architecture=str(training["architecture"]))
        return self.weights

    def agreement(self, weights: Path) -> Agreement:
        """Segments the corrections held out by the bundle's inference, and compares them with the annotators'."""
        settings = {
            "checkpoint": str(weights.absolute()),
            "members": self.members,
            "studies": {
                "_target_": "normnet.correction_list.held_out_studies",
                "dataset_dir": str(self.work),
            },
        }
        shutil.rmtree(self.runs, ignore_errors=True)
        self._run("run", ["inference.json"], settings)
        return held_out_agreement(self.work, self.runs)

    def _run(self, run_id: str, configs: Sequence[str], settings: Mapping[str, Any]) -> None:
        own = self.work / f"{run_id}.json"
        places = {
            "dataset_dir": str(self.work),
            "output_dir": str(self.runs),
            "device": f"$torch.device('{self.device}')",
        }
        own.write_text(json.dumps({**settings, **places}, indent=2), encoding="utf-8")
        # What monai.bundle.run does, without its warning that a config is code: these are the server's own.
        workflow = ConfigWorkflow(
            config_file=[*self._config_files(configs), str(own)],
            meta_file=str(self.configs / "metadata.json"),
            logging_file=False,
            run_id=run_id,
        )
        workflow.initialize()
        workflow.run()
        workflow.finalize()

    def _config_files(self, names: Sequence[str]) -> list[str]:
        files = [*(self.configs / name for name in names), self.overlay]
        return [str(file) for file in files if file is not None]


@contextmanager
def work_folder(model_dir: Path) -> Iterator[Path]:
    """Makes an empty work folder and takes it away at the end; one fine-tuning at a time has it.

    Args:
        model_dir: where the folder is made; what a killed run left in it is taken away first.

    Raises:
        InputError: another fine-tuning is running.
    """
    work = model_dir.absolute() / "work"
    work.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(model_dir / ".finetuning.lock", timeout=0):
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            try:
                yield work
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except Timeout as error:
        raise InputError(
            f"{model_dir}: another fine-tuning is running here; wait for its end, or stop it."
        ) from error


@contextmanager
def one_sentence(folder: Path) -> Iterator[None]:
    """Raises what a user is meant to read as an InputError of its own, whatever it comes wrapped in."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        sentence = input_error_in(error)
        if sentence is not None:
            raise InputError(str(sentence)) from error
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, requests.RequestException):  # An OSError too, but of the line.
                raise InputError(
                    f"The corrections cannot be read: the DICOMweb server does not answer as it should ({cause})."
                ) from error
            full = any(mark in str(cause) for mark in DISK_FULL_IN_TORCH)
            if isinstance(cause, OSError) or full:
                reason = getattr(cause, "strerror", None) or ("the disk is full" if full else cause)
                raise InputError(f"{folder}: a fine-tuning cannot write here ({reason}).") from error
            cause = cause.__cause__ or cause.__context__
        raise
