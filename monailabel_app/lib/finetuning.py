"""Learns from the annotators' corrections; new weights serve when they are not worse than those before."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.train import TrainTask

from normnet.correction_scores import Agreement
from normnet.errors import report_input_errors
from normnet.starting_weights import count_members

from .acceptance import Metrics, mean_changes, not_worse, split_corrections
from .training_options import KEEP, TrainingOptions
from .training_stats import PublishStats, read_stats, stats_kept_after_an_error, write_stats
from .tuning_run import TuningRun, one_sentence, work_folder
from .versions import Versions

__all__ = ["FineTune"]

logger = logging.getLogger(__name__)


class FineTune(TrainTask):
    """Fine-tunes all members on the corrections by the bundle's finetune.json, adds a version, and switches to it.

    It switches only when the new weights are not worse (`not_worse`) and those it started from are still in use: who
    chose others meanwhile keeps them. Until then, and when the process is killed, the weights before serve. What it
    writes lies in `model_dir`; the work folder is taken away at the end of a run, and what a killed one left by the
    next.

    Args:
        bundle: the bundle's folder.
        versions: of the weights; training starts from the one in use.
        model_dir: for the work folder, the stats, and the preprocessed healthy CTs.
        overlay: a JSON file laid over the bundle's configs, as for inference, or None.
        healthy: a folder of healthy CTs that synthetic lesions are put into; None takes the lesion-free part of the
            corrected scans.
    """

    def __init__(
        self, bundle: Path, versions: Versions, model_dir: Path, overlay: Path | None, healthy: Path | None
    ) -> None:
        super().__init__("Learns from the corrected lesions; all members, mixed with synthetic lesions")
        self.configs, self.versions, self.model_dir = Path(bundle) / "configs", versions, Path(model_dir)
        self.overlay, self.healthy = overlay, healthy
        self.stats_path = self.model_dir / "train_stats.json"

    def config(self) -> dict[str, Any]:
        """Lists the options of a request."""
        return TrainingOptions.shown(self.versions.names())

    def stats(self) -> Mapping[str, Any]:
        """Tells how far the training is, or how the last one that came to its end did: see `write_stats`."""
        return read_stats(self.stats_path)

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Trains, or with `restore` puts a version in use and trains nothing.

        Args:
            request: the options of `config()`.
            datastore: its final labels are the corrections; an empty one says that there is no lesion.

        Returns:
            The stats, with `version`, `switched` and its `metrics`; after a restoring, these three.

        Raises:
            InputError: there are no corrections, one cannot be used, an option has a value it cannot have, another
                fine-tuning is running, or the disk is full. The weights in use stay as they are.
        """
        report_input_errors()  # MONAI Label trains in a process of its own: its log ends with the sentence.
        options = TrainingOptions.chosen(request)
        if options.restore != KEEP:
            self.versions.switch(options.restore)
            metrics = self.versions.metrics(options.restore)
            return {"version": options.restore, "switched": True, "metrics": metrics}
        with (
            one_sentence(self.model_dir),
            work_folder(self.model_dir) as work,
            stats_kept_after_an_error(self.stats_path),
        ):
            return self._train(datastore, options, work)

    def _train(self, datastore: Datastore, options: TrainingOptions, work: Path) -> dict[str, Any]:
        started = time.time()
        corrections = [{key: str(item[key]) for key in ("image", "label")} for item in datastore.datalist()]
        training, held_out = split_corrections(corrections, options.share)
        version = self.versions.current()
        start = self.versions.path(version)
        members = count_members(start)
        total = members * options.epochs
        write_stats(self.stats_path, epoch=0, total_epochs=total, best_metric=None, start_ts=started)
        run = TuningRun(self.configs, self.overlay, work, start, members, options.device)
        run.write_dataset(training, held_out, self.healthy)
        cache = (self.model_dir.absolute() if self.healthy else work) / "healthy_cache"
        publish = {
            "_target_": f"{PublishStats.__module__}.{PublishStats.__name__}",
            "path": str(self.stats_path.absolute()),
            "total_epochs": total,
            "start_ts": started,
            "validator": "@validate_corrections::evaluator",
        }
        changes = [
            run.train_member(member, options.epochs, cache, {**publish, "done": member * options.epochs})
            for member in range(members)
        ]
        new = run.merge()
        metrics: Metrics = {
            "from_version": version,
            "corrections": len(training),
            "held_out": len(held_out),
            "validated_on_training": held_out == training,
            **_scores(run.agreement(new), run.agreement(start)),
            **mean_changes(changes),
        }
        better = not_worse(metrics)
        version = self.versions.add(new, {**metrics, "not_worse": better})
        switch = better and self.versions.replace(metrics["from_version"], version)
        in_use = f"in use is version {self.versions.current()}, chosen while this one was trained"
        ended = "in use" if switch else in_use if better else "worse, not in use"
        logger.info("Version %s: %s; %s.", version, metrics, ended)
        best = metrics["lesion_dice"]
        return write_stats(
            self.stats_path,
            epoch=total,
            total_epochs=total,
            best_metric=metrics.get("val_healthy_dice") if best is None else best,
            start_ts=started,
            version=version,
            switched=switch,
            metrics=metrics,
        )


def _scores(after: Agreement, before: Agreement) -> Metrics:
    return {
        "lesion_voxels": after.true,
        "called_voxels": after.called,
        "called_voxels_before": before.called,
        "lesion_dice": after.dice,
        "lesion_dice_before": before.dice,
    }
