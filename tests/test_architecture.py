"""What DESIGN.md asks of the house: imports run one way, the top level stays small, names say something."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[1]

FOLDERS = {"generator", "bundle", "monailabel_app", "scripts", "tests"}
FILES = {
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "constraints.txt",
    "pyproject.toml",
}

GENERATOR_NEEDS = {"generator", "numpy", "torch"}
GENERATOR_COMMAND_LINES = {"__main__.py", "cohort.py", "preview.py"}
COMMAND_LINES_NEED = {"fire", "matplotlib", "nibabel", "tqdm"}
# scipy only in the demo's chests: what makes the training data runs on torch alone.
GENERATOR_CHESTS = {"anatomy.py", "chest.py", "distances.py", "pathology.py", "vessels.py"}
ABOVE_NORMNET = {"bundle", "monailabel", "monailabel_app", "scripts", "tests"}

NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "misc", "common"}
MOST_LINES = 300


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imported_packages(source: str) -> set[str]:
    """The top-level names that a file imports, wherever in it; its own relative imports are none."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(str(node.module))
    return {name.partition(".")[0] for name in names}


def from_elsewhere(path: Path) -> set[str]:
    return imported_packages(path.read_text(encoding="utf-8")) - sys.stdlib_module_names


def repository_files() -> Iterator[PurePosixPath]:
    """The files of the repository, committed or about to be; skips where this is no git checkout."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: what is ours and what was made here cannot be told apart")
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    output = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    yield from (PurePosixPath(name) for name in output.split("\0") if name and (ROOT / name).exists())


def test_imports_are_found_wherever_they_stand() -> None:
    source = "import monai.data as d\ndef f():\n    from scripts.demo import x\nfrom . import spec\n"
    assert imported_packages(source) == {"monai", "scripts"}


@pytest.mark.parametrize("path", python_files("generator"), ids=lambda path: path.name)
def test_generator_needs_torch_and_numpy_and_its_chests_scipy(path: Path) -> None:
    allowed = set(GENERATOR_NEEDS)
    if path.name in GENERATOR_COMMAND_LINES:
        allowed |= COMMAND_LINES_NEED
    if path.name in GENERATOR_CHESTS:
        allowed |= {"scipy"}
    assert from_elsewhere(path) <= allowed


@pytest.mark.parametrize("path", python_files("bundle/normnet"), ids=lambda path: path.name)
def test_normnet_imports_nothing_that_stands_above_it(path: Path) -> None:
    assert not from_elsewhere(path) & ABOVE_NORMNET


def public_names(path: Path) -> set[str] | None:
    """What a file's `__all__` lists; None where it has none."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return None


def test_what_others_import_from_a_file_of_the_packages_is_public() -> None:
    public: dict[str, set[str]] = {}
    for base, package in ((ROOT, "generator"), (ROOT / "bundle", "normnet")):
        for path in (base / package).rglob("*.py"):
            if (names := public_names(path)) is not None:
                public[".".join(path.relative_to(base).with_suffix("").parts)] = names
    hidden = {
        f"{node.module}.{alias.name}"
        for path in python_files(*FOLDERS - {"tests"})
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module in public
        for alias in node.names
        if alias.name not in public[node.module]
    }
    assert not hidden


def test_top_level_holds_the_folders_and_files_of_the_design_alone() -> None:
    shown = [path for path in repository_files() if not path.parts[0].startswith(".")]
    assert {path.parts[0] for path in shown if len(path.parts) > 1} <= FOLDERS
    assert {path.name for path in shown if len(path.parts) == 1} <= FILES


def test_every_file_has_a_name_that_says_what_it_does() -> None:
    assert not [str(path) for path in repository_files() if path.stem.lower() in NAMES_THAT_SAY_NOTHING]


def test_no_python_file_is_longer_than_one_thing_needs() -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in python_files(*FOLDERS)
    }
    assert not {path: lines for path, lines in lengths.items() if lines > MOST_LINES}


def test_torch_and_torchvision_are_of_one_build() -> None:
    # "==2.13.0" lets pip prefer a 2.13.0+cpu that it finds somewhere, beside which torchvision's plain build fails.
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert {line.split("=")[0] for line in lines if "===" in line} == {"torch", "torchvision"}


def test_every_dependency_has_a_version_in_the_constraints() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(name for group in project["optional-dependencies"].values() for name in group),
    ]
    assert {normal(name) for name in wanted} <= constraints().keys()


def test_the_bundle_wants_the_versions_it_is_tested_with() -> None:
    metadata = json.loads((ROOT / "bundle" / "configs" / "metadata.json").read_text())
    wanted = {normal(name): version for name, version in metadata["required_packages_version"].items()}
    wanted |= {name: metadata[f"{name}_version"] for name in ("monai", "numpy")}
    wanted["torch"] = metadata["pytorch_version"]
    tested = constraints()
    assert wanted == {name: tested.get(name) for name in wanted}


def normal(requirement: str) -> str:
    """The name of a requirement, as package indices compare names."""
    name = re.match(r"[\w.-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def constraints() -> dict[str, str]:
    """The version of each package in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {normal(line): re.split("=+", line)[1].split(" ;")[0] for line in lines if "==" in line}


def test_a_report_names_the_bundle_that_made_it() -> None:
    """The package, its citation and the bundle have one version, and the bundle's changelog begins with it."""
    metadata = json.loads((ROOT / "bundle" / "configs" / "metadata.json").read_text())
    version = metadata["version"]
    assert next(iter(metadata["changelog"])) == version
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == version
    assert f'__version__ = "{version}"' in (ROOT / "bundle" / "normnet" / "__init__.py").read_text()
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
