"""The bundle's configs by name, laid over each other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from normnet import bundle_root
from normnet.errors import InputError

__all__ = ["CONFIGS", "config_files", "rule_files", "setting"]

CONFIGS = Path(bundle_root()) / "configs"


def config_files(configs: str) -> list[str]:
    """Names the files of configs that are given with commas, each on top of the ones before: train,paper.

    Raises:
        InputError: there is no such config.
    """
    files = [f"{name}.json" for name in configs.split(",")]
    for file in files:
        if not (CONFIGS / file).is_file():
            raise InputError(
                f"{CONFIGS / file}: expected --configs to name files of this folder, there is none."
            )
    return files


def rule_files(configs: str) -> list[str]:
    """Names the inference that goes with a training by configs: with `paper` among them, it is by the paper's rule."""
    return ["inference.json", *(["paper_rule.json"] if "paper" in configs.split(",") else [])]


def setting(files: Sequence[str], name: str) -> Any:
    """Tells what configs, laid over each other, say of a name.

    Args:
        files: of bundle/configs.
        name: a key of theirs.
    """
    config = ConfigParser()
    config.read_config([str(CONFIGS / file) for file in files])
    return config[name]
