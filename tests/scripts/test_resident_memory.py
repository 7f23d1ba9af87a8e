"""Resident memory grows by what is written to."""

import os

import numpy as np

from scripts.resident_memory import resident_gib


def test_what_is_held_now_and_at_most_are_read_in_gib() -> None:
    before = resident_gib("VmRSS")
    held = np.ones(2**27, dtype=np.uint8)
    grown = resident_gib("VmRSS", os.getpid()) - before
    assert 0.1 < grown < 0.2
    del held
    assert resident_gib("VmHWM") >= before + 0.1
