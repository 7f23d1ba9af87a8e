"""What the server started ends with it.

MONAI Label 0.8.5 runs scoring, training and batches in processes of their own, one after the other, and leaves them
alone when it is stopped: stopped by SIGTERM, the one that runs goes on without a server; by SIGINT, the server waits
for all of them.
"""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Any

import psutil
from monailabel.utils.async_tasks.task import AsyncTask
from monailabel.utils.async_tasks.utils import background_executors

__all__ = ["end_tasks_with_the_server"]

TRIED_AGAIN_S = 0.1
"""A task may be just about to start its process: it is looked for again after this long, seconds."""


def end_tasks_with_the_server() -> None:
    """Has SIGINT and SIGTERM end all tasks before they end the server; to be called on the server's event loop.

    Not at the end of the app's lifespan: MONAI Label's own has no place for it. Windows has no such handlers: there all
    stays as it is.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, _end, number, signal.getsignal(number))


def _end(number: int, server_ends: Callable[[int, None], Any]) -> None:
    for method, executor in list(background_executors.items()):
        waiting = Thread(target=executor.shutdown, kwargs={"cancel_futures": True})
        waiting.start()
        while waiting.is_alive():
            with suppress(psutil.NoSuchProcess, StopIteration):  # It ended by itself meanwhile.
                AsyncTask.stop(method)
            waiting.join(TRIED_AGAIN_S)
    server_ends(number, None)
