"""Resident memory grows by what is written to."""

import mmap
import os

from scripts.resident_memory import resident_gib


def test_what_is_held_now_and_at_most_are_read_in_gib() -> None:
    before = resident_gib("VmRSS")
    with mmap.mmap(-1, 2**27) as held:  # an array may lie in memory that was freed and kept before
        held.write(b"\1" * 2**27)
        assert resident_gib("VmRSS", os.getpid()) - before > 0.1
    assert resident_gib("VmHWM") >= before + 0.1
