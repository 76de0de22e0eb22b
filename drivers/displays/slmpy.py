"""A phase SLM on another computer, driven through the TCP server of slmPy (``SLMdisplay.listen_port``).

An image goes out as its length (int32 in the machine's byte order) and its bytes, row by row, compressed in the way the
server was started with. The server answers ``done`` once the image is queued for its window, which is not yet light, or
``err``. What follows from how that server is written:

- It serves one connection in its life: after a disconnection it has to be started again, and until then it lets a new
  client connect and never answers. So a connection that works is kept, and silence is reported as a lost device.
- It ends when the size or the compression is not its own, unless it checks sizes, and locally slmPy stretches images to
  the screen. So the panel's shape has to be the server's screen, and no other pattern is sent.
- It has no password, no encryption, and listens on all its network interfaces: whoever reaches the port writes to the
  panel. It belongs on a private link between two computers (or inside an SSH tunnel), never on a laboratory's network.
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

# The fastest level of each: wrapped phase hardly shrinks, and the server decompresses any level.
_COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    "zlib": lambda data: zlib.compress(data, 1),
    "gzip": lambda data: gzip.compress(data, 1, mtime=0),
    "bz2": lambda data: bz2.compress(data, 1),
    "none": lambda data: data,
}
_LENGTH = struct.Struct("=i")
_ANSWERS = (b"done", b"err")


@dataclass(frozen=True)
class SlmPyConfig:
    """Where the server is and how it was started.

    Parameters
    ----------
    host : str
        IPv4 address of the server; slmPy knows no other. Names are refused, because looking one up has no deadline.
    port : int
        Its TCP port.
    refresh_hz : float
        Refresh rate of its screen.
    latency_s : float
        Longest time from the server's answer to the first new light: its window's repaint, the compositor and the
        video chain. The default is a careful guess; measure it with a sync check.
    settle_s : float
        Settling time of the liquid crystal.
    compression : {"zlib", "gzip", "bz2", "none"}
        The one the server was started with. On a fast link ``none`` saves time at both ends.
    timeout_s : float
        Deadline for connecting, and for sending one image and having its answer. slmPy's own is 10 s an image.
    """

    host: str = "127.0.0.1"
    port: int = 9999
    refresh_hz: float = 60.0
    latency_s: float = 0.1
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
    """A :class:`drivers.base.GreySlm` at the other end of an slmPy server; opened by creating it.

    Parameters
    ----------
    config : SlmPyConfig, optional
        The server.
    panel : Panel, optional
        Its screen: its native shape, which the protocol cannot ask for, its response and the pattern's place.

    Raises
    ------
    DeviceLostError
        When nothing listens there.
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
        """Send an image, and return when the server acknowledged it, within ``timeout_s``.

        After any failure the connection is closed, since a late answer could pass for that of the next image.
        """
        data = self._compress(grey.tobytes())
        with self._lock:
            answer = self._exchange(_LENGTH.pack(len(data)) + data)
            answered_ns = time.monotonic_ns()
            if answer != b"done":
                self._drop()
                raise DeviceError(
                    f"{self._name} refused the image; check that its screen is {self.panel.shape} and the link fast"
                )
        return answered_ns

    def check(self) -> None:
        """Raise DeviceLostError when the server has left, or says what nobody asked."""
        with self._lock:
            self._in_order()

    def reconnect(self) -> None:
        """Connect again; a connection that is still in order is kept, because slmPy would not accept another.

        Raises
        ------
        DeviceLostError
            When nothing accepts the connection before the deadline.
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
            # An image should not wait for the acknowledgement of the one before.
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Disconnect. An slmPy server has to be started again after this."""
        with self._lock:
            self._drop()

    def _exchange(self, message: bytes) -> bytes:
        """Send one image and return the answer to it, or drop the connection and raise DeviceLostError."""
        link = self._in_order()
        deadline_s = time.monotonic() + self._timeout_s
        try:
            # For sendall a time-out is the total; for recv it is each call's.
            link.settimeout(self._timeout_s)
            link.sendall(message)
            answer = b""
            while answer not in _ANSWERS:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError
                link.settimeout(left_s)
                # One by one: an answer that follows in the same parcel is not part of this one.
                if not (more := link.recv(1)):
                    raise ConnectionError("it closed the connection; its size or compression may be another")
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
        """Return the connection, on which nothing is owed; drops it and raises DeviceLostError otherwise."""
        link = self._link
        if link is None:
            raise self._lost("is not connected")
        if (unread := self._unread(link)) is not None:
            self._drop()
            raise self._lost(f"sent {unread!r} unasked, so its answers are out of step" if unread else "closed the connection")
        return link

    @staticmethod
    def _unread(link: socket.socket) -> bytes | None:
        """Return what arrived although nothing is owed: None when nothing, empty when the other end is gone."""
        try:
            link.setblocking(False)
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
