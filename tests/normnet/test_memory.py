"""Freed memory is taken again: counted by the pages that the system has to give."""

import platform
import subprocess
import sys

import pytest

PAGES = """
import resource
from threading import Thread
import numpy as np
from normnet.memory import keep_freed_memory

def fill():
    np.ones(2**24)

def fill_in_a_thread():
    thread = Thread(target=fill)
    thread.start()
    thread.join()

def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

{setting}
{fill}()
before = pages()
for _ in range(4):
    {fill}()
print(pages() - before)
"""


def pages_for_four_arrays(fill: str, setting: str) -> int:
    command = [sys.executable, "-c", PAGES.format(fill=fill, setting=setting)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="elsewhere the C library's own way is left alone"
)
@pytest.mark.parametrize("fill", ["fill", "fill_in_a_thread"])
def test_arrays_take_the_memory_of_those_before_them(fill: str) -> None:
    assert pages_for_four_arrays(fill, "keep_freed_memory()") < 0.1 * pages_for_four_arrays(fill, "")
