"""Fixtures that every test may use."""

import os
import sys
from pathlib import Path

import pytest
import torch

from generator.cohort import write_cohort
from normnet.checkpoints import save_weights
from normnet.ensemble import Ensemble

REAL_CT = Path(__file__).resolve().parents[1].parent / "shared" / "ct"


@pytest.fixture(scope="session")
def real_ct() -> Path:
    """The folder of real development CTs; tests that need it skip where it is not there."""
    if not REAL_CT.is_dir():
        pytest.skip(f"real CT is not here: {REAL_CT.name} is expected beside the checkout, in shared/ct")
    return REAL_CT


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained ensemble of two."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "model.pt"
    save_weights(Ensemble(members=2), path)
    return path


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three healthy chests, two diseased ones with their truth, at 3.6 x 3.6 x 5 mm; to be read, not changed."""
    folder = tmp_path_factory.mktemp("cohort")
    write_cohort(folder, healthy=3, diseased=2, shape=(96, 84, 48), spacing=(3.6, 3.6, 5.0))
    return folder


EXIT_STATUS = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keeps the status for the end of the process."""
    session.config.stash[EXIT_STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the process with the tests' own status: ITK 5.4 crashes while the interpreter takes it down."""
    if "itk" in sys.modules and EXIT_STATUS in config.stash:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[EXIT_STATUS])
