"""A slow network line before a server on loopback, so that a test can act while an answer is under way."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

CHUNK = 2**16
PAUSE_S = 0.004
"""Between chunks of an answer: about 15 MB/s."""


class SlowLine:
    """Passes all bytes on, both ways, unchanged.

    Args:
        port: of the server, on loopback.

    Attributes:
        port: where the line is entered.
        passed: bytes that the server has sent so far.
    """

    def __init__(self, port: int) -> None:
        self._server, self.passed = port, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Takes no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                threading.Thread(target=self._connect, args=self._listener.accept()[:1], daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._server)) as server:
            asking = threading.Thread(target=_pass_on, args=(client, server, lambda sent: None), daemon=True)
            asking.start()
            _pass_on(server, client, self._wait)
            client.shutdown(socket.SHUT_RDWR)
            asking.join()

    def _wait(self, sent: int) -> None:
        self.passed += sent
        time.sleep(PAUSE_S)


def _pass_on(source: socket.socket, target: socket.socket, after: Callable[[int], None]) -> None:
    with suppress(OSError):
        while chunk := source.recv(CHUNK):
            target.sendall(chunk)
            after(len(chunk))
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def slow_line(port: int) -> Iterator[SlowLine]:
    """Opens a line to a server's port until the block ends."""
    line = SlowLine(port)
    try:
        yield line
    finally:
        line.close()
