"""Fixtures that every test may use."""

from pathlib import Path

import pytest

REAL_CT = Path(__file__).resolve().parents[1].parent / "shared" / "ct"


@pytest.fixture(scope="session")
def real_ct() -> Path:
    """The folder of real development CTs; tests that need it skip where it is not there."""
    if not REAL_CT.is_dir():
        pytest.skip(f"real CT is not here: {REAL_CT.name} is expected beside the checkout, in shared/ct")
    return REAL_CT
