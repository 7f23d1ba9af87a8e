"""The bundle's inference, as its JSON declares it, with what a client chose."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from monai.transforms import Compose

from normnet.checkpoints import load_weights
from normnet.errors import InputError
from normnet.lungs import LUNG_BACKENDS
from normnet.studies import find_studies
from normnet.vote import MAJORITY, MEAN

__all__ = ["CURRENT", "Pipeline", "Run", "one_study"]

CURRENT = "current"
"""The choice of weights that follows fine-tuning."""

OPTIONS = ("healthy_probability", "votes", "growing_steps", "lungs_backend")
"""What annotators may change, by its name in the bundle's configs."""

AS_FAR_AS_IT_GOES = (None, "", "None")
"""growing_steps of a config that sets no number of them, and what clients make of that as text."""


class Run:
    """The bundle's inference for one request: preprocessing, inferer and postprocessing belong together.

    Args:
        parser: of the bundle's configs, with the request's settings.
    """

    def __init__(self, parser: ConfigParser) -> None:
        self.preprocessing: Compose = parser.get_parsed_content("preprocessing")
        self.inferer: Any = parser.get_parsed_content("inferer")
        self.postprocessing: Compose = parser.get_parsed_content("postprocessing")
        self.parser = parser


class Pipeline:
    """Reads inference.json anew for each request, so that requests at the same time cannot disturb each other.

    Args:
        config: the bundle's inference.json.
        overlay: a JSON file laid over it, or None.

    Raises:
        InputError: the overlay is not there.
    """

    def __init__(self, config: Path, overlay: Path | None = None) -> None:
        if overlay is not None and not overlay.is_file():
            raise InputError(f"{overlay}: expected a JSON file to lay over {config.name}, found none.")
        self.files = [str(path) for path in (config, overlay) if path is not None]
        parser = ConfigParser()
        parser.read_config(self.files)
        self.defaults: dict[str, Any] = {name: parser.get_parsed_content(name) for name in OPTIONS}
        self.members = int(parser.get_parsed_content("members"))
        self._networks: dict[tuple[str, int, int, str], torch.nn.Module] = {}
        self._loading = threading.Lock()

    def options(self) -> dict[str, Any]:
        """Lists what annotators may change, as clients show it: a list is a choice, its head the default."""
        votes, backend = str(self.defaults["votes"]), self.defaults["lungs_backend"]
        choices = [MEAN, MAJORITY, *(str(number) for number in range(1, self.members + 1))]
        return {
            **self.defaults,
            "votes": [votes, *(choice for choice in choices if choice != votes)],
            "lungs_backend": [backend, *(name for name in LUNG_BACKENDS if name not in (backend, "file"))],
        }

    def run(self, request: Mapping[str, Any], device: str = "cpu") -> Run:
        """Builds the pipeline for one request.

        Args:
            request: may hold any of `options()`, as a value or as text; lists count by their head, an empty one not at
                all.
            device: torch's name of it.

        Raises:
            InputError: an option has a value it cannot have.
        """
        parser = ConfigParser()
        parser.read_config(self.files)
        parser.config.update(self._settings(request))
        parser.config["device"] = torch.device(device)
        parser.config["save_probability"] = False
        return Run(parser)

    def network(self, weights: Path, device: str = "cpu") -> torch.nn.Module:
        """Loads the ensemble with these weights, strictly; the same file is loaded once.

        Raises:
            InputError: the file is missing or holds other weights.
        """
        with self._loading:
            stamp = weights.stat() if weights.is_file() else None
            key = (str(weights), stamp.st_mtime_ns if stamp else 0, stamp.st_size if stamp else 0, device)
            if key not in self._networks:
                parser = ConfigParser()
                parser.read_config(self.files)
                network = load_weights(parser.get_parsed_content("network_def"), weights)
                self._networks = {key: network.to(device).eval()}
            return self._networks[key]

    def _settings(self, request: Mapping[str, Any]) -> dict[str, Any]:
        shown = self.options()
        chosen = {name: request[name] if request.get(name, []) != [] else shown[name] for name in shown}
        chosen = {name: value[0] if isinstance(value, list) else value for name, value in chosen.items()}
        votes, steps = chosen["votes"], chosen["growing_steps"]
        endless = self.defaults["growing_steps"] is None and steps in AS_FAR_AS_IT_GOES
        return {
            "healthy_probability": _number(chosen, "healthy_probability", float, 0.0, 1.0),
            "votes": votes if votes in (MEAN, MAJORITY) else _number(chosen, "votes", int, 1, self.members),
            "growing_steps": None if endless else _number(chosen, "growing_steps", int, 0, 10_000),
            "lungs_backend": _one_of(chosen, "lungs_backend", shown["lungs_backend"]),
        }


def one_study(image: str) -> dict[str, str]:
    """Finds the one CT that a request is about; see `find_studies`.

    Args:
        image: its file or folder.

    Raises:
        InputError: there is none, or more than one.
    """
    if not image:  # To `find_studies` that is the folder that the server was started in.
        raise InputError("image: expected the path of a CT, got none.")
    studies = find_studies(image)
    if len(studies) > 1:
        names = ", ".join(study["study"] for study in studies)
        raise InputError(f"{image}: expected one CT, got {len(studies)}: {names}.")
    return studies[0]


def _number(chosen: Mapping[str, Any], name: str, kind: type, low: float, high: float) -> Any:
    try:
        value = kind(chosen[name])
    except (TypeError, ValueError, OverflowError):
        value = None
    if value is None or not low <= value <= high:
        raise InputError(f"{name}: expected a number from {low} to {high}, got {chosen[name]!r}.")
    return value


def _one_of(chosen: Mapping[str, Any], name: str, allowed: list[str]) -> str:
    if chosen[name] not in allowed:
        raise InputError(f"{name}: expected one of {', '.join(allowed)}, got {chosen[name]!r}.")
    return str(chosen[name])
