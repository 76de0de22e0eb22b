"""A phase SLM on another computer, driven through the TCP server of slmPy (``SLMdisplay.listen_port``).

An image is sent as its length (int32 in the machine's byte order) and its bytes, row by row, compressed by the method that the
server was started with. The server answers ``done`` when the image is queued for its window, which is before its first light,
or ``err``. Properties of that server and what this driver does about them:

- It serves only one connection: after a disconnection it must be started again. Until then a new client can connect, but gets
  no answer. The driver therefore keeps a connection that works, and reports silence as a lost device.
- It ends when the size or the compression of an image is wrong, unless it checks sizes, and slmPy stretches an image to its
  screen. The panel's shape must therefore be the server's screen, and the driver sends nothing else.
- It has no password and no encryption, and listens on all network interfaces: everyone who reaches the port can write to the
  panel. Use it on a private link between two computers or through an SSH tunnel, never on a laboratory's network.
"""

from __future__ import annotations

import bz2
import gzip
import ipaddress
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from drivers.base import DeviceError, DeviceLostError, SlmCapabilities
from drivers.displays.panel import Panel
from drivers.displays.panel_slm import PanelSlm

Compression = Literal["zlib", "gzip", "bz2", "none"]

# The fastest level of each method: wrapped phase compresses poorly at any level, and the server accepts all of them.
_COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    "zlib": lambda data: zlib.compress(data, 1),
    "gzip": lambda data: gzip.compress(data, 1, mtime=0),
    "bz2": lambda data: bz2.compress(data, 1),
    "none": lambda data: data,
}
_LENGTH = struct.Struct("=i")
_ANSWERS = (b"done", b"err")


@dataclass(frozen=True, kw_only=True)
class SlmPyConfig:
    """Address of the server, and how it was started.

    Parameters
    ----------
    host : str
        IPv4 address of the server; slmPy supports no other. Names are refused because a name look-up has no deadline.
    port : int
        Its TCP port.
    refresh_hz : float
        Refresh rate of its screen in hertz.
    latency_s : float
        Longest time in seconds from the server's answer to the first light of the new image: repainting the window, the
        compositor and the video signal. The default is a cautious estimate; measure it with a sync check.
    settle_s : float
        Settling time of the liquid crystal in seconds.
    compression : {"zlib", "gzip", "bz2", "none"}
        The method that the server was started with. On a fast link ``none`` saves time on both computers.
    timeout_s : float
        Longest time in seconds for connecting, and for sending one image and receiving its answer. slmPy's own limit is 10 s
        per image.

    Raises
    ------
    ValueError
        A setting is impossible.
    """

    host: str = "127.0.0.1"
    port: int = 9999
    refresh_hz: float = 60.0
    latency_s: float = 0.15
    settle_s: float = 0.015
    compression: Compression = "zlib"
    timeout_s: float = 2.0

    def __post_init__(self) -> None:
        try:
            ipaddress.IPv4Address(self.host)
        except ValueError:
            raise ValueError(f"host must be an IPv4 address such as 192.168.0.100, got {self.host!r}") from None
        if not 0 < self.port < 1 << 16:
            raise ValueError(f"port must be 1 to 65535, got {self.port}")
        if self.refresh_hz <= 0 or self.settle_s < 0 or self.timeout_s <= 0:
            raise ValueError(f"refresh_hz and timeout_s must be positive, settle_s 0 or more, got {self}")
        if self.latency_s < 1 / self.refresh_hz:
            raise ValueError(f"latency_s must be at least one refresh, {1 / self.refresh_hz:.4f} s, got {self.latency_s}")
        if self.compression not in get_args(Compression):
            raise ValueError(f"compression must be one of {', '.join(get_args(Compression))}, got {self.compression!r}")


class SlmPySlm(PanelSlm):
    """A :class:`drivers.base.GreySlm` behind an slmPy server. Creating the object connects to it.

    Parameters
    ----------
    config : SlmPyConfig, optional
        The server.
    panel : Panel, optional
        The server's screen: its native shape, which the protocol does not report, its response and the position of the pattern.

    Raises
    ------
    DeviceLostError
        No server accepts the connection.
    """

    def __init__(self, config: SlmPyConfig | None = None, panel: Panel | None = None) -> None:
        config = config or SlmPyConfig()
        self.panel = panel or Panel()
        self._address = (config.host, config.port)
        self._compress = _COMPRESS[config.compression]
        self._timeout_s = config.timeout_s
        self._name = f"the slmPy server at {config.host}:{config.port}"
        self.capabilities = SlmCapabilities(
            model="slmPy server",
            serial=f"{config.host}:{config.port}",
            shape=self.panel.pattern_shape,
            refresh_s=1 / config.refresh_hz,
            latency_s=config.latency_s,
            settle_s=config.settle_s,
        )
        self._lock = threading.Lock()
        self._link: socket.socket | None = None
        self.reconnect()

    def _send(self, grey: NDArray[np.uint8]) -> int:
        """Send an image; return the time at which the server acknowledged it, within ``timeout_s``.

        After any error the connection is closed: a late answer could be taken for that of the next image.
        """
        data = self._compress(grey.tobytes())
        with self._lock:
            answer = self._exchange(_LENGTH.pack(len(data)) + data)
            answered_ns = time.monotonic_ns()
            if answer != b"done":
                self._drop()
                raise DeviceError(
                    f"{self._name} refused the image; check that its screen is {self.panel.shape} and that the link is fast"
                )
        return answered_ns

    def check(self) -> None:
        """Raise DeviceLostError when the server has closed the connection or has sent something that was not requested."""
        with self._lock:
            self._in_order()

    def reconnect(self) -> None:
        """Connect again. A connection that still works is kept, because slmPy accepts no second one.

        Raises
        ------
        DeviceLostError
            No server accepts the connection within ``timeout_s``.
        """
        with self._lock:
            if self._link is not None and self._unread(self._link) is None:
                return
            self._drop()
            try:
                link = socket.create_connection(self._address, self._timeout_s)
            except OSError as error:
                raise self._lost(f"does not accept connections ({error})") from error
            self._link = link
            # Send an image at once, without waiting for the acknowledgement of the data before it.
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Disconnect. Afterwards an slmPy server must be started again."""
        with self._lock:
            self._drop()

    def _exchange(self, message: bytes) -> bytes:
        """Send one image and return the server's answer, or close the connection and raise DeviceLostError."""
        link = self._in_order()
        deadline_s = time.monotonic() + self._timeout_s
        try:
            # The time-out of sendall is for the whole message, that of recv is for each call.
            link.settimeout(self._timeout_s)
            link.sendall(message)
            answer = b""
            while answer not in _ANSWERS:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError
                link.settimeout(left_s)
                # Byte by byte: the same packet may contain a further answer, which is not part of this one.
                if not (more := link.recv(1)):
                    raise ConnectionError("it closed the connection, perhaps because its size or compression differs")
                answer += more
                if not any(known.startswith(answer) for known in _ANSWERS):
                    raise ConnectionError(f"it answered {answer!r}, which is not slmPy's protocol")
        except TimeoutError as error:
            self._drop()
            raise self._lost(f"did not answer within {self._timeout_s:g} s") from error
        except OSError as error:
            self._drop()
            raise self._lost(f"failed ({error})") from error
        return answer

    def _in_order(self) -> socket.socket:
        """Return the connection if no unexpected data has arrived; otherwise close it and raise DeviceLostError."""
        link = self._link
        if link is None:
            raise self._lost("is not connected")
        if (unread := self._unread(link)) is not None:
            self._drop()
            raise self._lost(
                f"sent {unread!r} without a request, so its answers are out of step" if unread else "closed the connection"
            )
        return link

    @staticmethod
    def _unread(link: socket.socket) -> bytes | None:
        """Return data that arrived without a request: None if there is none, empty if the server closed the connection."""
        try:
            link.settimeout(0.0)
            return link.recv(16)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _lost(self, what: str) -> DeviceLostError:
        return DeviceLostError(f"{self._name} {what}; start it again, then reconnect")

    def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()
