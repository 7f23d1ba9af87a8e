"""Lists the versions of the server's weights, or puts one in use; a running server takes it with its next request.

python scripts/weights.py list [--folder DIR]
python scripts/weights.py switch VERSION [--folder DIR]
"""

import sys
from pathlib import Path

import fire

from normnet import bundle_root
from normnet.errors import InputError, report_input_errors

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # monailabel_app is no installed package.

from monailabel_app.lib.versions import Versions  # noqa: E402

FOLDER = ROOT / "monailabel_app" / "model" / "versions"
"""Where the app keeps its versions."""


@fire.decorators.SetParseFns(folder=str, shipped=str)
class Weights:
    """Versions of the server's weights.

    Args:
        folder: of the versions, or the server's `model_dir`, which holds it.
        shipped: the weights of version 0; the bundle's by default.

    Raises:
        InputError: there are no versions in the folder.
    """

    def __init__(self, folder: str | None = None, shipped: str | None = None) -> None:
        place = FOLDER if folder is None else versions_folder(Path(folder))
        self._versions = Versions(place, Path(shipped or Path(bundle_root()) / "models" / "model.pt"))

    def list(self) -> None:
        """Prints each version, a star before the one in use, and its lesion Dice on the corrections held out."""
        for name in self._versions.names():
            mark = "*" if name == self._versions.current() else " "
            dice = self._versions.metrics(name).get("lesion_dice")
            print(f"{mark} {name}  {'lesion Dice -' if dice is None else f'lesion Dice {dice:.3f}'}")

    @fire.decorators.SetParseFns(version=str)
    def switch(self, version: str) -> None:
        """Puts a version in use."""
        self._versions.switch(version)
        print(f"Version {version} is in use.")


def versions_folder(folder: Path) -> Path:
    """Finds where the versions lie: in the folder, or in its `versions`.

    Raises:
        InputError: there are none.
    """
    for place in (folder, folder / "versions"):
        if any(place.glob("[1-9]*/model.pt")):
            return place
    raise InputError(f"{folder}: expected a server's versions, or the model_dir that holds them, found none.")


if __name__ == "__main__":
    report_input_errors()
    fire.Fire(Weights)
