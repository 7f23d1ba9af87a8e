"""Waiting for a server: until it answers, and until anything else is done."""

import subprocess
import time
from collections.abc import Callable

import requests

__all__ = ["started", "waited"]

ANSWER_SECONDS = 5.0
"""A server that takes longer for one answer is not ready yet; it is asked again."""


def started(server: subprocess.Popen[bytes], url: str, seconds: float) -> bool:
    """Waits until a server gives what is asked for; tells whether it does, in that time and before it ends.

    Args:
        server: its process.
        url: what to ask for.
        seconds: the longest wait.
    """
    return waited(lambda: server.poll() is not None or _answers(url), seconds) and server.poll() is None


def waited(done: Callable[[], bool], seconds: float) -> bool:
    """Waits until something is done; tells whether it was, in that time."""
    end = time.monotonic() + seconds
    while not (finished := done()) and time.monotonic() < end:
        time.sleep(0.1)
    return finished


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=ANSWER_SECONDS).ok
    except requests.RequestException:
        return False
