"""Label-free segmentation of COVID-19-like lesions in chest CT (arXiv 2009.06456)."""

from pathlib import Path

__all__ = ["__version__", "bundle_root"]

__version__ = "0.16.0"


def bundle_root() -> str:
    """Finds the bundle's folder, the one that holds this package, wherever the command is run from."""
    return str(Path(__file__).resolve().parents[1])
