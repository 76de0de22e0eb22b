"""A server of slmPy's protocol for tests. It runs in a thread, on a free port of this computer, and keeps all images.

Unlike slmPy's own server it accepts a new connection after the last one ended, as if it had been started again.
"""

from __future__ import annotations

import bz2
import gzip
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

DECOMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    "zlib": zlib.decompress,
    "gzip": gzip.decompress,
    "bz2": bz2.decompress,
    "none": bytes,
}


class SlmPyServer:
    """Listens from its creation on.

    It sends ``answer`` for every image, ``packet_bytes`` at a time: None sends nothing, ``b""`` closes the connection. While
    ``reading`` is not set it reads nothing.
    """

    def __init__(self, shape: tuple[int, int], compression: str = "zlib") -> None:
        self.images: list[NDArray[np.uint8]] = []
        self.answered_ns: list[int] = []
        self.connections = 0
        self.answer: bytes | None = b"done"
        self.packet_bytes = 1
        self.reading = threading.Event()
        self.reading.set()
        self._shape = shape
        self._decompress = DECOMPRESS[compression]
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        # Small, so that a client soon notices that nothing is read.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="slmPy server", daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """End the connection from this side."""
        with self._lock, suppress(OSError):
            if self._connection is not None:
                self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop listening, end the connection and the thread."""
        self._closed = True
        self.reading.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self.cut()
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                with self._lock:
                    if self._closed:
                        return
                    self._connection = connection
                    self.connections += 1
                with suppress(OSError):
                    self._serve_connection(connection)
                with self._lock:
                    self._connection = None

    def _serve_connection(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reading.wait()
        while length := self._receive(connection, 4):
            if not (data := self._receive(connection, struct.unpack("i", length)[0])):
                return
            image = np.frombuffer(self._decompress(data), np.uint8)
            if image.size != self._shape[0] * self._shape[1]:
                connection.sendall(b"err")
                continue
            self.images.append(image.reshape(self._shape))
            answer = self.answer
            if answer == b"":
                return
            self.answered_ns.append(time.monotonic_ns())
            # TCP keeps the order of the bytes, but not how they were split.
            for start in range(0, len(answer or b""), self.packet_bytes):
                connection.sendall((answer or b"")[start : start + self.packet_bytes])

    @staticmethod
    def _receive(connection: socket.socket, size: int) -> bytes:
        """Return exactly ``size`` bytes, or none if the connection has ended."""
        data = b""
        while len(data) < size:
            more = connection.recv(size - len(data))
            if not more:
                return b""
            data += more
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
