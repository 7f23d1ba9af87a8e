"""What a fine-tuning has changed: the validation's metrics before and after it."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from monai.engines import Evaluator

from normnet.whole_file import written_whole

__all__ = ["BeforeAndAfter"]


class BeforeAndAfter:
    """Validates the weights that a training starts from, and writes the metrics before and after it as JSON.

    {"before": {name: value, ...}, "after": {...}}; "after" is missing until the training is complete, and a metric
    that could not be measured is null. A run that was stopped and goes on keeps its first "before"; one that has
    nothing left to train keeps its "after", too.

    Args:
        path: the file.
        validators: what measures; one that was not run at the end of the last epoch is run then.
        write: whether this process writes; one of several does.
    """

    def __init__(self, path: str | Path, validators: Sequence[Evaluator], write: bool = True) -> None:
        self.path, self.validators, self.write = Path(path), list(validators), write

    def attach(self, engine: Engine) -> None:
        """Registers with a trainer."""
        engine.add_event_handler(Events.STARTED, self.before)
        engine.add_event_handler(Events.COMPLETED, self.after)

    def before(self, engine: Engine) -> None:
        """Validates, unless some of the training is done already."""
        if engine.state.iteration == 0:
            for validator in self.validators:
                validator.run()
                validator.state.epoch = 0  # MONAI leaves a 1, as if the first epoch had been validated.
            self._save({"before": self._metrics()})
        elif engine.state.epoch < (engine.state.max_epochs or 0):
            # An "after" in the file is that of a shorter training.
            self._save({name: values for name, values in self._known().items() if name != "after"})

    def after(self, engine: Engine) -> None:
        """Adds the metrics of the last epoch, unless they are there."""
        known = self._known()
        if known.get("after"):
            return
        for validator in self.validators:
            if validator.state.epoch != engine.state.epoch:
                validator.run(engine.state.epoch)
        self._save({**known, "after": self._metrics()})

    def _known(self) -> dict[str, dict[str, float | None]]:
        return dict(json.loads(self.path.read_text())) if self.path.is_file() else {}

    def _metrics(self) -> dict[str, float | None]:
        metrics: dict[str, Any] = {}
        for validator in self.validators:
            metrics |= validator.state.metrics
        return {name: float(value) if math.isfinite(value) else None for name, value in metrics.items()}

    def _save(self, content: dict[str, dict[str, float | None]]) -> None:
        if self.write:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(self.path) as beside:
                beside.write_text(json.dumps(content, indent=2) + "\n")
