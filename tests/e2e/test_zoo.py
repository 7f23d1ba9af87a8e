"""What a model zoo asks of a bundle, and the packed bundle alone."""

import logging
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigWorkflow, ckpt_export, verify_metadata, verify_net_in_out
from monai.utils import set_determinism

from normnet.checkpoints import load_weights
from normnet.ensemble import Ensemble
from tests.e2e.conftest import CONFIGS, SEGMENTING, TRAINING, bundle_command, python

ROOT = CONFIGS.parents[1]
PACKED_ALONE = """
import sys
from importlib.machinery import PathFinder

class PackedAlone:
    def find_spec(name, path=None, target=None):
        if name not in ("generator", "normnet"):
            return None
        if {root!r} not in sys.path:
            raise ModuleNotFoundError(name)
        return PathFinder.find_spec(name, [{root!r}])

sys.meta_path.insert(0, PackedAlone)
"""
"""For Python's own start: hides the project from it until MONAI has put the packed bundle on its path."""
SCHEMA = Path(__file__).with_name("meta_schema_20240725.json")


@pytest.mark.filterwarnings("ignore:No hash value provided:UserWarning")
@pytest.mark.filterwarnings("ignore:The metaschema specified by .schema was not found:DeprecationWarning")
def test_the_metadata_fits_its_schema(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    schema = shutil.copy(SCHEMA, tmp_path / SCHEMA.name)  # MONAI downloads no file that is there
    with caplog.at_level(logging.INFO):
        verify_metadata(meta_file=str(CONFIGS / "metadata.json"), filepath=schema)
    assert "metadata is verified" in caplog.text


def test_the_network_takes_and_gives_what_the_metadata_says(caplog: pytest.LogCaptureFixture) -> None:
    files = {"meta_file": str(CONFIGS / "metadata.json"), "config_file": str(CONFIGS / "inference.json")}
    with caplog.at_level(logging.INFO):
        verify_net_in_out(net_id="network_def", **files)
    assert "data shape of network is verified" in caplog.text


@pytest.mark.parametrize(("kind", "config"), [("train", "train"), ("infer", "inference")])
def test_all_properties_are_there(
    kind: str, config: str, cohort: Path, weights: Path, tmp_path: Path
) -> None:
    workflow = ConfigWorkflow(
        config_file=str(CONFIGS / f"{config}.json"),
        meta_file=str(CONFIGS / "metadata.json"),
        logging_file=str(CONFIGS / "logging.conf"),
        workflow_type=kind,
        dataset_dir=str(cohort / ("healthy" if kind == "train" else "diseased")),
        output_dir=str(tmp_path),
        **({**TRAINING, "ckpt_dir": str(tmp_path)} if kind == "train" else SEGMENTING),
    )
    workflow.initialize()
    assert workflow.check_properties() == []
    set_determinism(None)


def test_the_exported_torchscript_gives_the_same_probabilities(weights: Path, tmp_path: Path) -> None:
    script = tmp_path / "model.ts"
    ckpt_export(
        net_id="network_def",
        filepath=str(script),
        ckpt_file=str(weights),
        meta_file=str(CONFIGS / "metadata.json"),
        config_file=str(CONFIGS / "inference.json"),
        members=2,
    )
    network = load_weights(Ensemble(members=2), weights).eval()
    exported = torch.jit.load(script).eval()
    window = torch.rand(1, 1, 32, 32, 16)
    with torch.no_grad():
        assert torch.allclose(network(window), exported(window), atol=1e-6)


def test_the_packed_bundle_runs_alone(cohort: Path, weights: Path, tmp_path: Path) -> None:
    copied = tmp_path / "checkout"
    for folder in ("bundle", "generator", "scripts"):
        shutil.copytree(
            ROOT / folder, copied / folder, ignore=shutil.ignore_patterns("__pycache__", "*.pt", "runs")
        )
    (copied / "bundle" / "models").mkdir(exist_ok=True)
    shutil.copy(weights, copied / "bundle" / "models" / "model.pt")
    path = {"PYTHONPATH": f"{copied}:{copied / 'bundle'}"}
    target = tmp_path / "packed.zip"
    packed = python(str(copied / "scripts" / "package_bundle.py"), str(target), cwd=tmp_path, env=path)
    assert packed.returncode == 0, packed.stderr
    shutil.rmtree(copied)
    with zipfile.ZipFile(target) as archive:
        archive.extractall(tmp_path)
    root = tmp_path / "normnet_chest_ct_lesion"
    where = "import generator, normnet; print(generator.__file__, normnet.__file__)"
    imported = [Path(file) for file in python("-c", where, cwd=root).stdout.split()]
    assert [file.relative_to(root).parts[-2] for file in imported] == ["generator", "normnet"]
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "sitecustomize.py").write_text(PACKED_ALONE.format(root=str(root)))
    alone = {"PYTHONPATH": str(tmp_path / "start")}
    settings = {
        **SEGMENTING,
        "dataset_dir": cohort / "diseased" / "covid_0.nii.gz",
        "output_dir": tmp_path / "out",
    }
    for folder in (root, tmp_path):  # the second is a foreign folder: weights are still those of the bundle
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        command = bundle_command("run", ["inference"], root / "configs", **settings)
        finished = python(*command, cwd=folder, env=alone)
        assert finished.returncode == 0, finished.stderr
        assert (tmp_path / "out" / "covid_0" / "lesion.nii.gz").is_file()
    settings = {**TRAINING, "max_iterations": 1, "dataset_dir": cohort / "healthy", "output_dir": tmp_path}
    for member, status in ((0, 0), (-1, 1)):
        command = bundle_command("training", ["train"], root / "configs", **settings, member=member)
        finished = python(*command, cwd=tmp_path, env=alone)
        assert finished.returncode == status and "Traceback" not in finished.stderr, finished.stderr
    assert finished.stderr.endswith("error: member: expected a whole number from 0 on, found -1.\n")
    assert (root / "models" / "member_0.pt").is_file()


def test_no_file_of_the_bundle_is_over_the_zoos_limit() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "bundle"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    files = [ROOT / name for name in listed.stdout.split()] or [
        f for f in (ROOT / "bundle").rglob("*") if f.is_file()
    ]
    sizes = {file.name: file.stat().st_size for file in files if file.is_file()}
    assert {"model.pt", "inference.json"} <= set(sizes)
    assert not {name: size for name, size in sizes.items() if size > 25 * 2**20}
