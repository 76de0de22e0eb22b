"""The slmPy client delivers every pixel over a real socket, and never waits longer than its deadline."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from drivers.base import DeviceError, DeviceLostError, Pattern
from drivers.displays.panel import Panel, PanelConfig
from drivers.displays.phase_lut import GreyEncoder, GreyLut
from drivers.displays.slmpy import SlmPyConfig, SlmPySlm
from drivers.displays.slmpy_local import SlmPyWindowConfig
from drivers.testing.slm_contract import flat
from drivers.testing.slmpy_server import DECOMPRESS, SlmPyServer

SHAPE = (6, 8)
TIMEOUT_S = 0.15
GRACE_S = 2.0  # a busy host


def client(
    server: SlmPyServer, shape: tuple[int, int] = SHAPE, encoder: GreyEncoder | None = None, **settings: Any
) -> SlmPySlm:
    return SlmPySlm(SlmPyConfig(port=server.port, **settings), Panel(PanelConfig(shape), encoder))


@contextmanager
def pair(compression: str = "zlib", shape: tuple[int, int] = SHAPE, **settings: Any) -> Iterator[tuple[SlmPySlm, SlmPyServer]]:
    """Return a connected client and its server."""
    with (
        SlmPyServer(shape, compression) as server,
        client(server, shape, compression=compression, **settings) as slm,
    ):
        yield slm, server


@contextmanager
def within(seconds: float) -> Iterator[None]:
    start_s = time.monotonic()
    yield
    assert time.monotonic() - start_s < seconds + GRACE_S


# ---- pixels


@pytest.mark.parametrize("compression", DECOMPRESS)
def test_every_pixel_arrives_for_every_compression(compression: str) -> None:
    with pair(compression) as (slm, server):

        @examples(max_examples=25)
        @given(pixels=st.binary(min_size=48, max_size=48))
        def check(pixels: bytes) -> None:
            # On a linear panel of 2 pi, level 255 has the phase of level 0.
            grey = np.minimum(np.frombuffer(pixels, np.uint8).reshape(SHAPE), 254)
            slm.show(Pattern(slm.panel.encoder.phase_of(grey)))
            assert np.array_equal(server.images[-1], grey)

        check()
        assert server.connections == 1


def test_a_whole_panel_of_noise_arrives(rng: np.random.Generator) -> None:
    shape = (270, 480)
    correction = rng.uniform(-9, 9, shape).astype(np.float32)
    encoder = GreyEncoder(GreyLut.gamma(1.7, 2.6), correction)
    phase = rng.uniform(-20, 20, shape).astype(np.float32)
    with pair("none", shape, encoder=encoder) as (slm, server):
        slm.show(Pattern(phase))
        assert np.array_equal(server.images[-1], encoder(phase))
        assert len(np.unique(server.images[-1])) > 200


def test_images_arrive_in_order_and_only_those_that_fit() -> None:
    with pair() as (slm, server):
        for level in (10, 20, 10, 30):
            slm.show(Pattern(slm.panel.encoder.phase_of(np.full(SHAPE, level, np.uint8))))
        assert [image[0, 0] for image in server.images] == [10, 20, 10, 30]
        with pytest.raises(DeviceError, match="resize"):
            slm.show(flat(1.0, (SHAPE[1], SHAPE[0])))
        assert len(server.images) == 4


# ---- time


def test_settling_counts_from_the_acknowledgement() -> None:
    with pair(latency_s=0.05, settle_s=0.02) as (slm, server):
        settled_ns = slm.show(flat(1.0, SHAPE))
        assert settled_ns >= server.answered_ns[-1] + 70_000_000


def test_a_pattern_that_slmpys_own_server_shows_late_is_awaited() -> None:
    """Its window showed a pattern 109 ms after the answer, on a monitor of 60 Hz."""
    latest_ns, refresh_ns = 109_000_000, 17_000_000
    with pair() as (slm, server):
        settled_ns = slm.show(flat(1.0, SHAPE))
        assert settled_ns >= server.answered_ns[-1] + latest_ns + 2 * refresh_ns
    assert SlmPyWindowConfig().latency_s == SlmPyConfig().latency_s


@pytest.mark.parametrize("answer", [None, b"d", b"don"], ids=str)
def test_silence_is_a_lost_device_within_the_deadline(answer: bytes | None) -> None:
    with pair(timeout_s=TIMEOUT_S) as (slm, server):
        slm.show(flat(1.0, SHAPE))
        server.answer = answer
        with within(TIMEOUT_S), pytest.raises(DeviceLostError, match=f"127.0.0.1:{server.port} did not answer .* reconnect"):
            slm.show(flat(2.0, SHAPE))
        # The answer may still come: it must not be taken for that of a later image.
        server.answer = b"done"
        with pytest.raises(DeviceLostError, match=r"not connected.*reconnect"):
            slm.show(flat(2.0, SHAPE))
        slm.reconnect()
        slm.show(flat(2.0, SHAPE))
        assert len(server.images) == 3


def test_a_server_that_stops_reading_is_a_lost_device_within_the_deadline() -> None:
    shape = (2500, 2500)  # more than the sockets' buffers hold
    with SlmPyServer(shape, "none") as server:
        server.reading.clear()
        with (
            client(server, shape, compression="none", timeout_s=TIMEOUT_S) as slm,
            within(TIMEOUT_S),
            pytest.raises(DeviceLostError, match="did not answer"),
        ):
            slm.show(flat(1.0, shape))
        assert not server.images


# ---- failures


@pytest.mark.parametrize(("answer", "packet_bytes"), [(b"err", 1), (b"errerrdone", 1), (b"errerrdone", 99)])
def test_an_image_that_the_server_refuses_is_an_error_and_not_shown(answer: bytes, packet_bytes: int) -> None:
    """slmPy refuses a slow image several times and then accepts it."""
    with pair() as (slm, server):
        server.packet_bytes = packet_bytes
        good = flat(1.0, SHAPE)
        slm.show(good)
        server.answer = answer
        with pytest.raises(DeviceError, match="refused the image; check") as refused:
            slm.show(flat(2.0, SHAPE))
        assert not isinstance(refused.value, DeviceLostError)
        assert slm.shown is good
        # Its answers may be out of step now, so the next image needs a new connection.
        server.answer = b"done"
        with pytest.raises(DeviceLostError, match="reconnect"):
            slm.show(flat(2.0, SHAPE))
        slm.reconnect()
        slm.show(flat(2.0, SHAPE))
        assert len(server.images) == 3


def test_a_screen_of_another_size_is_an_error_at_the_first_image() -> None:
    with SlmPyServer((8, 6)) as server, client(server, (8, 7)) as slm:
        with pytest.raises(DeviceError, match=r"screen is \(8, 7\)"):
            slm.show(flat(1.0, (8, 7)))
        assert slm.shown is None


@pytest.mark.parametrize(
    ("answer", "cause"), [(b"", "closed the connection"), (b"do it", "not slmPy's"), (b"HTTP/1.1", "not slmPy's")], ids=str
)
def test_a_dropped_or_foreign_connection_is_a_lost_device_that_comes_back(answer: bytes, cause: str) -> None:
    with pair() as (slm, server):
        server.answer = answer
        with within(0), pytest.raises(DeviceLostError, match=f"127.0.0.1:{server.port}.*{cause}.*reconnect"):
            slm.show(flat(1.0, SHAPE))
        server.answer = b"done"
        slm.reconnect()
        slm.show(flat(2.0, SHAPE))
        assert len(server.images) == 2


def test_a_second_answer_is_noticed_before_the_next_image(monkeypatch: pytest.MonkeyPatch) -> None:
    links: list[socket.socket] = []
    connect = socket.create_connection

    def recorded_connect(*arguments: Any) -> socket.socket:
        links.append(connect(*arguments))
        return links[-1]

    monkeypatch.setattr(socket, "create_connection", recorded_connect)
    with pair() as (slm, server):
        server.answer = b"donedone"
        slm.show(flat(1.0, SHAPE))
        # Wait for the second answer on the client's own socket: the server sends it after the first.
        (link,) = links
        link.settimeout(GRACE_S)
        while link.recv(4, socket.MSG_PEEK) != b"done":
            pass
        with pytest.raises(DeviceLostError, match=r"out of step.*reconnect"):
            slm.show(flat(2.0, SHAPE))
        assert len(server.images) == 1


def test_a_connection_in_order_survives_reconnect_because_slmpy_takes_no_second() -> None:
    with pair() as (slm, server):
        slm.show(flat(1.0, SHAPE))
        slm.reconnect()
        slm.show(flat(2.0, SHAPE))
        assert server.connections == 1
        slm.close()
        with pytest.raises(DeviceLostError, match=r"not connected.*reconnect"):
            slm.show(flat(2.0, SHAPE))
        slm.reconnect()
        slm.show(flat(2.0, SHAPE))
        assert server.connections == 2


def test_a_missing_server_is_a_lost_device_and_one_that_ends_stays_lost() -> None:
    with pair() as (slm, server):
        server.close()
        for attempt in (lambda: slm.show(flat(1.0, SHAPE)), slm.reconnect, lambda: client(server)):
            with within(0), pytest.raises(DeviceLostError, match=f"127.0.0.1:{server.port}.*reconnect"):
                attempt()
        slm.close()


@pytest.mark.parametrize(
    "settings",
    [
        {"host": "slm.example"},
        {"host": "::1"},
        {"port": 0},
        {"refresh_hz": 0.0},
        {"latency_s": 0.01},
        {"settle_s": -1.0},
        {"timeout_s": 0.0},
        {"compression": "lz4"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_impossible_settings_are_refused_before_connecting(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        SlmPyConfig(**settings)
