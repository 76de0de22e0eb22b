"""A local slmPy window: process, protocol, loss and return are real; slmPy and wxPython are small stand-ins."""

from __future__ import annotations

import ast
import json
import os
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.base import DeviceError, DeviceLostError, GreySlm
from drivers.displays import slmpy_window
from drivers.displays.panel import Panel, PanelConfig
from drivers.displays.slmpy_local import LocalSlmPySlm, SlmPyWindowConfig
from drivers.testing.slm_contract import flat
from drivers.testing.slmpy_checkout import GRACE_S, kill, painted_images, process_ends, window_process, write_checkout

SHAPE = (6, 8)
SCRIPT = Path(slmpy_window.__file__)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder like slmPy's checkout, whose monitors have SHAPE."""
    return write_checkout(tmp_path, SHAPE)


def local(checkout: Path, panel: Panel | None = None, **settings: Any) -> LocalSlmPySlm:
    return LocalSlmPySlm(SlmPyWindowConfig(**{"python": sys.executable, "slmpy_path": str(checkout), **settings}), panel)


def painted(checkout: Path) -> NDArray[np.uint8]:
    return painted_images(checkout, SHAPE)


# ---- images


def test_every_image_is_painted_exactly_before_show_returns(checkout: Path, rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (7, *SHAPE), dtype=np.uint8)
    with local(checkout) as slm:
        assert isinstance(slm, GreySlm)
        for count, image in enumerate(images, 1):
            slm.show_grey(image)
            assert np.array_equal(painted(checkout), images[:count])
            assert slm.grey is not None
            assert np.array_equal(slm.grey, image)
        slm.show(flat(np.pi, SHAPE))
        assert slm.grey is not None
        assert np.array_equal(slm.grey, painted(checkout)[-1])


def test_the_panel_must_have_the_monitors_shape(checkout: Path) -> None:
    with pytest.raises(DeviceError, match=r"monitor 1 has the shape \(6, 8\), the panel \(12, 8\)"):
        local(checkout, Panel(PanelConfig(shape=(12, 8))))
    with local(checkout, Panel(PanelConfig(shape=SHAPE, zoom=2))) as slm:
        assert slm.capabilities.shape == (3, 4)


# ---- loss and return


@pytest.mark.parametrize(("order", "cause"), [("move", "no longer covers monitor 1"), ("close", "was closed")])
def test_a_window_that_moves_or_closes_is_lost_and_opens_again(checkout: Path, order: str, cause: str) -> None:
    with local(checkout) as slm:
        (checkout / order).touch()
        with process_ends(window_process(checkout)), suppress(DeviceLostError):
            slm.show(flat(1.0, SHAPE))
        with pytest.raises(DeviceLostError, match=f"{cause}.*reconnect"):
            slm.check()
        (checkout / order).unlink()
        slm.reconnect()
        assert slm.shown is None, "a new window is dark"
        slm.show(flat(2.0, SHAPE))


def test_reconnecting_keeps_a_window_in_order_and_refuses_another_shape(checkout: Path) -> None:
    with local(checkout) as slm:
        before, capabilities = window_process(checkout), slm.capabilities
        slm.show(flat(1.0, SHAPE))
        slm.reconnect()
        slm.show(flat(2.0, SHAPE))
        assert window_process(checkout) == before
        kill(before)
        slm.reconnect()
        assert window_process(checkout) != before
        assert slm.capabilities == capabilities
        kill(window_process(checkout))
        (checkout / "shape").write_text("8 6")
        with pytest.raises(DeviceError, match=r"monitor 1 has the shape \(8, 6\)"):
            slm.reconnect()
        with pytest.raises(DeviceLostError, match="reconnect"):
            slm.show(flat(2.0, SHAPE))


def test_closing_ends_the_process(checkout: Path) -> None:
    slm = local(checkout)
    with process_ends(window_process(checkout)):
        slm.close()


def test_no_process_remains_when_this_one_is_killed(checkout: Path) -> None:
    program = f"""if True:
        from drivers.displays.slmpy_local import *
        slm = LocalSlmPySlm(SlmPyWindowConfig({sys.executable!r}, {str(checkout)!r}))
        print("open", flush=True)
        input()
    """
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=SCRIPT.parents[2]
    ) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == b"open\n"
        with process_ends(window_process(checkout)):
            parent.kill()


# ---- windows that do not open


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        ({"monitor": 2}, r"ValueError: Invalid monitor \(monitor 2\)"),
        ({"slmpy_path": "/nowhere"}, "cannot load slmPy .*--slmpy-path"),
        ({"slmpy_path": ""}, "No module named 'slmpy'"),  # the client beside the program is not slmPy
        ({"python": "/nowhere/python"}, "'/nowhere/python' of .* does not start"),
        ({"python": "/bin/true"}, "printed nothing"),
    ],
    ids=["monitor", "slmpy", "our own slmpy", "interpreter", "not python"],
)
def test_a_window_that_cannot_open_says_why_in_one_line(checkout: Path, settings: dict[str, Any], cause: str) -> None:
    with pytest.raises(DeviceLostError, match=cause) as caught:
        local(checkout, **settings)
    assert "\n" not in str(caught.value)


def test_a_window_that_does_not_open_in_time_is_ended(checkout: Path) -> None:
    (checkout / "hang").touch()
    with pytest.raises(DeviceLostError, match="not ready in time"):
        local(checkout, start_s=1.0)
    with pytest.raises(ProcessLookupError):
        os.kill(window_process(checkout), 0)


@pytest.mark.parametrize("settings", [{"monitor": -1}, {"python": ""}, {"start_s": 0.0}, {"timeout_s": 0.0}], ids=str)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        SlmPyWindowConfig(**settings)


# ---- the program alone


@contextmanager
def program(checkout: Path, *options: str) -> Iterator[tuple[str, int]]:
    """Run the window program and return the address it serves."""
    command = [sys.executable, str(SCRIPT), "--slmpy-path", str(checkout), "--port", "0", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        with process.stdin:
            ready = json.loads(process.stdout.readline())
            assert ready["shape"] == list(SHAPE)
            yield "127.0.0.1", ready["port"]
    assert process.returncode == 0


def ask(link: socket.socket, data: bytes, length: int | None = None) -> bytes:
    link.sendall(struct.pack("=i", len(data) if length is None else length) + data)
    return link.recv(16)


@pytest.mark.parametrize("compression", ["zlib", "gzip", "bz2", "none"])
def test_speaks_the_protocol_on_one_connection_after_the_other(checkout: Path, compression: str) -> None:
    compress = bytes if compression == "none" else __import__(compression).compress
    image = bytes(range(SHAPE[0] * SHAPE[1]))
    with program(checkout, "--compression", compression) as address:
        for _ in range(2):
            with socket.create_connection(address, GRACE_S) as link:
                assert ask(link, compress(image)) == b"done"
                assert ask(link, compress(image[1:])) == b"err"
                assert ask(link, compress(4 * image)) == b"err"
                assert ask(link, b"") == b"err"
                assert ask(link, compress(image)[:-1] + b"?" if compression != "none" else b"?") == b"err"
                assert ask(link, compress(image[::-1])) == b"done"
    assert [shown.tobytes() for shown in painted(checkout)] == 2 * [image, image[::-1]]


@pytest.mark.parametrize("length", [-1, 1 << 30])
def test_a_length_that_no_image_has_ends_the_connection_only(checkout: Path, length: int) -> None:
    with program(checkout) as address:
        with socket.create_connection(address, GRACE_S) as link:
            assert ask(link, b"", length) == b"err"
            assert link.recv(16) == b""
        with socket.create_connection(address, GRACE_S) as link:
            assert ask(link, zlib.compress(bytes(SHAPE[0] * SHAPE[1]))) == b"done"


def test_no_other_computer_reaches_it(checkout: Path) -> None:
    with program(checkout) as (_, port), pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), GRACE_S)  # this computer too, but not the address it is bound to


def test_a_failure_is_one_line_and_exit_code_2(checkout: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        for options, reason in (
            (["--monitor=5", "--port=0"], "Invalid monitor"),
            ([f"--port={occupied.getsockname()[1]}"], "choose another"),
            (["--port=-1"], "choose another"),
        ):
            command = [sys.executable, str(SCRIPT), f"--slmpy-path={checkout}", *options]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
                assert process.wait(GRACE_S) == 2
                assert process.stderr
                message = process.stderr.read()
            assert reason in message
            assert message.count("\n") == 1


def test_suits_an_old_interpreter_without_this_repository() -> None:
    tree = ast.parse(SCRIPT.read_text("utf-8"), feature_version=(3, 9))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} - sys.stdlib_module_names == {"numpy"}
