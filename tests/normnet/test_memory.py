"""Freed memory is taken again: counted by the pages that the system has to give."""

import platform
import subprocess
import sys

import pytest

COUNT = """
import resource
import numpy as np
from normnet.memory import keep_freed_memory
{setting}
def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(2**24)
before = pages()
for _ in range(4):
    np.ones(2**24)
print(pages() - before)
"""


def pages_for_four_arrays(setting: str) -> int:
    command = [sys.executable, "-c", COUNT.format(setting=setting)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="elsewhere the C library's own way is left alone"
)
def test_arrays_take_the_memory_of_those_before_them() -> None:
    assert pages_for_four_arrays("keep_freed_memory()") < 0.1 * pages_for_four_arrays("")
