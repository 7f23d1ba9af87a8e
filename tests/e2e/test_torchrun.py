"""A folder of studies spread over two processes: each study once, the same masks as from one process."""

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.e2e.conftest import SEGMENTING, bundle_command, python

pytestmark = pytest.mark.slow  # minutes of real commands and servers

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
BOTH = ["inference", "multi_gpu_inference"]


@pytest.fixture(scope="module")
def studies(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two chests with lesions and a healthy one."""
    folder = tmp_path_factory.mktemp("studies")
    for name in ("diseased/covid_0", "diseased/covid_1", "healthy/healthy_0"):
        shutil.copy(cohort / f"{name}.nii.gz", folder)
    return folder


def test_two_processes_write_what_one_does(studies: Path, weights: Path, tmp_path: Path) -> None:
    settings = {**SEGMENTING, "dataset_dir": studies, "checkpoint": weights}
    for processes, configs in (([], ["inference"]), (TORCHRUN, BOTH)):
        output = tmp_path / f"out_{len(configs)}"
        finished = python(
            *processes, *bundle_command("run", configs, **settings, output_dir=output), cwd=tmp_path
        )
        assert finished.returncode == 0, finished.stderr
        assert {folder.name for folder in output.iterdir()} == {"covid_0", "covid_1", "healthy_0"}
    for study in ("covid_0", "covid_1", "healthy_0"):
        for name in ("lesion", "healthy", "lungs", "disagreement"):
            one, two = (
                np.asarray(nib.load(tmp_path / out / study / f"{name}.nii.gz").dataobj)
                for out in ("out_1", "out_2")
            )
            np.testing.assert_array_equal(one, two)
    assert finished.stderr.count("0/2") >= 1
    assert finished.stderr.count("0/1") >= 1


def test_a_bad_study_does_not_stop_the_other_process(studies: Path, weights: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    shutil.copytree(studies, mixed)
    image = nib.load(mixed / "covid_0.nii.gz")
    nib.save(nib.Nifti1Image(np.full((40, 40, 20), 40, np.int16), image.affine), mixed / "a.nii.gz")
    output = tmp_path / "out"
    settings = {**SEGMENTING, "dataset_dir": mixed, "checkpoint": weights, "output_dir": output}
    finished = python(*TORCHRUN, *bundle_command("run", BOTH, **settings), cwd=tmp_path)
    assert finished.returncode == 1
    assert "1 of 4 studies failed: a." in finished.stderr
    assert {folder.name for folder in output.iterdir()} == {"covid_0", "covid_1", "healthy_0"}
