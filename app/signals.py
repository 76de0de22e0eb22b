"""SIGINT (Ctrl-C) and SIGTERM, the only place that handles them.

A command runs inside :func:`interruptible`: a signal raises :class:`InterruptionError` wherever the program is, so that every
``finally`` closes its files and removes its temporary ones. Work that must not be cut in the middle, such as a pair that is
captured, runs inside :func:`stop_on_signal`: there a signal only asks it to stop. A signal that the parent process wants this
process to ignore, as ``nohup`` and background jobs do with SIGINT, stays ignored.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: The shell's convention: a command that a signal has ended returns this number plus that of the signal.
_SHELL_OFFSET = 128
#: A signal that comes so soon after the first one, in seconds, is a repeated key press. It must not stop the cleaning up.
_REPEATED_WITHIN_S = 3.0

_Handler = Callable[[int, FrameType | None], object]


class InterruptionError(BaseException):
    """SIGINT or SIGTERM has ended the command.

    It is no Exception, so that no ``except Exception`` on the way takes it for a fault.

    Parameters
    ----------
    number : Signals
        The signal.
    kept : str
        What the command has left on the disk, and how to go on; empty where it writes nothing.
    """

    def __init__(self, number: signal.Signals, kept: str = "") -> None:
        super().__init__(number)
        self.number = number
        self.kept = kept

    def __str__(self) -> str:
        """Return one line for the operator."""
        return f"interrupted; {self.kept}" if self.kept else "interrupted"

    @property
    def exit_code(self) -> int:
        """Exit code of the process: 130 for SIGINT, 143 for SIGTERM."""
        return _SHELL_OFFSET + self.number


class StopRequest:
    """What a signal has asked of work that stops by itself.

    It is no ``threading.Event``: a signal handler that sets an event can wait for a lock that its own thread holds.
    """

    def __init__(self) -> None:
        self.number: signal.Signals | None = None

    def receive(self, number: int, _: FrameType | None = None) -> None:
        """Note a signal; a later one changes nothing."""
        if self.number is None:
            self.number = signal.Signals(number)

    def is_set(self) -> bool:
        """Whether a signal has come."""
        return self.number is not None

    def wait(self, seconds: float) -> bool:
        """Wait for so long; return whether a signal has come."""
        if not self.is_set():
            time.sleep(seconds)
        return self.is_set()

    def check(self, kept: str = "") -> None:
        """Raise :class:`InterruptionError` if a signal has come; ``kept`` says what is on the disk."""
        if self.number is not None:
            raise InterruptionError(self.number, kept)


@contextmanager
def interruptible() -> Iterator[None]:
    """Run a command: a signal raises :class:`InterruptionError`. Afterwards signals are ignored, because the process ends."""
    first_s: float | None = None

    def interrupt(number: int, _: FrameType | None) -> None:
        nonlocal first_s
        now_s = time.monotonic()
        if first_s is not None and now_s - first_s < _REPEATED_WITHIN_S:
            return
        first_s = now_s
        raise InterruptionError(signal.Signals(number))

    _set_handlers(interrupt)
    try:
        yield
    finally:
        _set_handlers(signal.SIG_IGN)


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Let signals only set a request, so that the present work can be finished.

    Call :meth:`StopRequest.check` when it is finished.
    """
    stop = StopRequest()
    with handled(stop.receive):
        yield stop


@contextmanager
def handled(handler: _Handler) -> Iterator[None]:
    """Call ``handler`` for both signals inside this block."""
    before = _set_handlers(handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def kept_on_interruption(describe: Callable[[], str]) -> Iterator[None]:
    """Complete an interruption that passes through with what is on the disk."""
    try:
        yield
    except InterruptionError as interruption:
        interruption.kept = interruption.kept or describe()
        raise


def _set_handlers(handler: _Handler | signal.Handlers) -> dict[signal.Signals, _Handler | int | None]:
    """Set the handler of both signals, except those that the parent process wants ignored; return the earlier handlers."""
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in heard}
