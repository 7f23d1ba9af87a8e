"""What a client may choose of a fine-tuning, checked before anything is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monailabel.utils.others.generic import device_list

from normnet.errors import InputError

from .devices import chosen_device

__all__ = ["KEEP", "TrainingOptions"]

KEEP = "keep"
"""The choice of `restore` that restores nothing."""

EPOCHS = 5
VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class TrainingOptions:
    """The options of one fine-tuning.

    Attributes:
        epochs: of each member.
        share: of the corrections, held out for validation.
        device: torch's name of it.
        restore: a version of the weights to put in use instead of training, or `KEEP`.
    """

    epochs: int
    share: float
    device: str
    restore: str

    @classmethod
    def shown(cls, versions: list[str]) -> dict[str, Any]:
        """Lists the options as clients show them: a list is a choice, its head the default."""
        return {
            "max_epochs": EPOCHS,
            "val_split": VALIDATION_SHARE,
            "device": device_list(),
            "restore": [KEEP, *versions],
        }

    @classmethod
    def chosen(cls, request: Mapping[str, Any]) -> "TrainingOptions":
        """Reads a request; what else clients send to every model is passed over.

        Raises:
            InputError: an option has a value it cannot have.
        """
        return cls(
            epochs=_number(request, "max_epochs", EPOCHS, int, least=1),
            share=_number(request, "val_split", VALIDATION_SHARE, float, least=0.0),
            device=chosen_device(request.get("device")),
            restore=str(_head(request.get("restore"), KEEP)),
        )


def _head(value: Any, default: Any) -> Any:
    """Takes a client's choice: some send the whole list that they were shown, some nothing."""
    if isinstance(value, list):
        value = value[0] if value else None
    return default if value in (None, "") else value


def _number(request: Mapping[str, Any], name: str, default: Any, kind: type, *, least: float) -> Any:
    value = _head(request.get(name), default)
    try:
        number = kind(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or not least <= number < float("inf"):
        raise InputError(f"{name}: expected a number of at least {least:g}, got {value!r}.")
    return number
