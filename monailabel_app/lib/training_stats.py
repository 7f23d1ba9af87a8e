"""How far a fine-tuning is, in a file that the server reads while another process trains."""

import datetime
import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from monai.engines import Evaluator

from normnet.whole_file import written_whole

__all__ = ["PublishStats", "read_stats", "stats_kept_after_an_error", "write_stats"]


def write_stats(
    path: Path, *, epoch: int, total_epochs: int, best_metric: float | None, start_ts: float, **more: Any
) -> dict[str, Any]:
    """Writes what 3D Slicer reads of a training (`train_stats`), and returns it.

    Args:
        path: the file.
        epoch: epochs done, over all members; when all are done, total_time stands in place of current_time.
        total_epochs: of all members.
        best_metric: in [0, 1]; what was not measured is 0, since clients reckon with it.
        start_ts: when the training started, seconds since 1970.
        more: further values.
    """
    measured = best_metric is not None and math.isfinite(best_metric) and best_metric > 0
    taken = str(datetime.timedelta(seconds=int(time.time() - start_ts)))
    stats = {
        "epoch": epoch,
        "total_epochs": total_epochs,
        "best_metric": best_metric if measured else 0.0,
        "start_ts": int(start_ts),
        "total_time" if epoch == total_epochs else "current_time": taken,
        **more,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as beside:
        beside.write_text(json.dumps(stats, allow_nan=False), encoding="utf-8")
    return stats


def read_stats(path: Path) -> Mapping[str, Any]:
    """Reads what `write_stats` wrote; nothing where no training was."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


@contextmanager
def stats_kept_after_an_error(path: Path) -> Iterator[None]:
    """Puts the stats of the training before back where the one inside the block fails; it would seem to run on."""
    before = path.read_bytes() if path.is_file() else None
    try:
        yield
    except BaseException:
        if before is None:
            path.unlink(missing_ok=True)
        else:
            with written_whole(path) as beside:
                beside.write_bytes(before)
        raise


class PublishStats:
    """Writes the stats of a run over several members at each epoch's end; a handler of one member's training.

    Args:
        path: the file.
        done: epochs of the members before this one.
        total_epochs: of all members.
        start_ts: when the first member's training started, seconds since 1970.
        validator: whose key metric is published.
    """

    def __init__(
        self, path: str | Path, done: int, total_epochs: int, start_ts: float, validator: Evaluator
    ) -> None:
        self.path, self.done, self.total_epochs = Path(path), done, total_epochs
        self.start_ts, self.validator = start_ts, validator

    def attach(self, engine: Engine) -> None:
        """Registers with a trainer."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.publish)

    def publish(self, engine: Engine) -> None:
        """Writes the stats; the run's last epoch is left to the caller, who still has to merge and to score."""
        epoch = min(self.done + engine.state.epoch, self.total_epochs - 1)
        best: Any = self.validator.state
        write_stats(
            self.path,
            epoch=epoch,
            total_epochs=self.total_epochs,
            best_metric=best.best_metric,
            start_ts=self.start_ts,
        )
