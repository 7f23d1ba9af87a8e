"""Packs the bundle into one zip that runs alone: configs, weights, docs, and the Python code they name.

python scripts/package_bundle.py [OUTPUT.zip]
"""

import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import fire

import generator
from normnet import bundle_root
from normnet.errors import InputError, report_input_errors

BUNDLE_NAME = "normnet_chest_ct_lesion"
"""Folder inside the zip, in the model zoo's style."""

PACKED_FOLDERS = ("configs", "docs", "normnet", "models/lungs")
"""Folders of the bundle that travel; training runs, results and single members stay."""

NOTES = "_notes.md"
"""What the pages of figures hold at their end already."""


@fire.decorators.SetParseFns(output=str)
def package_bundle(output: str = "") -> None:
    """Writes the zip; one that is there is replaced when the new one is whole.

    Args:
        output: the zip; `<bundle name>_v<version>.zip` in the current folder by default.
    """
    report_input_errors()
    root = Path(bundle_root())
    version = json.loads((root / "configs" / "metadata.json").read_text())["version"]
    target = Path(output or f"{BUNDLE_NAME}_v{version}.zip")
    if not (root / "models" / "model.pt").is_file():
        raise InputError(
            f"{root / 'models' / 'model.pt'}: there are no weights to pack; train the ensemble first."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as beside:
        part = Path(beside) / target.name
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, name in packed_files(root):
                archive.write(file, f"{BUNDLE_NAME}/{name}")
        part.replace(target)
    print(f"{target}: {target.stat().st_size / 2**20:.1f} MiB")


def packed_files(root: Path) -> Iterator[tuple[Path, str]]:
    """Lists what is packed: each file and its name inside the bundle."""
    yield root / "LICENSE", "LICENSE"
    yield root / "models" / "model.pt", "models/model.pt"
    for folder in PACKED_FOLDERS:
        for file in _content(root / folder):
            yield file, file.relative_to(root).as_posix()
    package = Path(str(generator.__file__)).parent
    for file in _content(package):
        yield file, f"generator/{file.relative_to(package).as_posix()}"


def _content(folder: Path) -> list[Path]:
    files = (file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return sorted(file for file in files if not file.name.endswith(NOTES))


if __name__ == "__main__":
    fire.Fire(package_bundle)
