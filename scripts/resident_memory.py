"""The memory that a process holds resident, read from Linux."""

from pathlib import Path
from typing import Literal

__all__ = ["resident_gib"]


def resident_gib(field: Literal["VmRSS", "VmHWM"], process: int | str = "self") -> float:
    """Reads a process's resident memory, GiB.

    Args:
        field: VmRSS, what it holds now, or VmHWM, the most that it has held.
        process: its id, or self.
    """
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 2**20
