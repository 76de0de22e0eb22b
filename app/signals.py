"""SIGINT (Ctrl-C) and SIGTERM, the only place that handles them.

A command runs inside :func:`interruptible`: a signal raises :class:`InterruptionError` wherever the program is, so that every
``finally`` closes its files and removes its temporary ones. Work that must not be cut in the middle, such as a pair that is
captured, runs inside :func:`stop_on_signal`: there a signal only asks it to stop. A signal that the parent process wants this
process to ignore, as ``nohup`` and background jobs do with SIGINT, stays ignored.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: The shell's convention: a command that a signal has ended returns this number plus that of the signal.
_SHELL_OFFSET = 128
#: A signal that comes so soon after the first one, in seconds, is a repeated key press. It must not stop the cleaning up.
_REPEATED_WITHIN_S = 3.0
#: After this time a repeated signal also cuts the cleaning up, in seconds: it hangs.
_CLEANING_UP_S = 20.0
#: How long a signal is put off when an exception cannot be raised now, in seconds.
_LATER_S = 0.05
#: The longest time that an import is waited for, in seconds.
_IMPORT_S = 15.0
#: The code of Python's import statement.
_IMPORTING = "<frozen importlib._bootstrap>"

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


class _Interrupter:
    """Raises :class:`InterruptionError` for a signal, once, where an exception reaches the command."""

    def __init__(self) -> None:
        self.error: InterruptionError | None = None
        self.ended = False
        self._first_s = 0.0
        self._deferred_s = 0.0

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Raise the error, unless the command is ending already."""
        if self.ended or self._is_cleaning_up():
            return
        now_s = time.monotonic()
        self._deferred_s = self._deferred_s or now_s
        # A C extension that is cut in its import would turn the error into another one, or abort.
        if _is_importing(frame) and now_s - self._deferred_s < _IMPORT_S:
            self._later(number)
            return
        self._first_s = now_s
        self.error = InterruptionError(signal.Signals(number))
        raise self.error

    def lost(self, arguments: sys.UnraisableHookArgs) -> None:
        """Raise the error again if Python had to ignore it, as in a destructor; show what else Python ignores."""
        if isinstance(arguments.exc_value, InterruptionError):
            self.error = None
            self._later(arguments.exc_value.number)
        else:
            sys.__unraisablehook__(arguments)

    def _is_cleaning_up(self) -> bool:
        """Whether the error is on its way, through functions that close their files."""
        if self.error is None:
            return False
        elapsed_s = time.monotonic() - self._first_s
        return elapsed_s < _REPEATED_WITHIN_S or (elapsed_s < _CLEANING_UP_S and self.error in _handled_errors())

    def _later(self, number: int) -> None:
        timer = threading.Timer(_LATER_S, lambda: None if self.ended else os.kill(os.getpid(), number))
        timer.daemon = True
        timer.start()


def hold() -> StopRequest:
    """Only note signals from now on, while the program is imported; give the result to :func:`interruptible`."""
    stop = StopRequest()
    _set_handlers(stop.receive)
    return stop


@contextmanager
def interruptible(held: StopRequest | None = None) -> Iterator[None]:
    """Run a command: a signal raises :class:`InterruptionError`. Afterwards signals are ignored, because the process ends.

    Parameters
    ----------
    held : StopRequest, optional
        From :func:`hold`: a signal that has come earlier.
    """
    interrupter = _Interrupter()
    hook_before = sys.unraisablehook
    try:
        sys.unraisablehook = interrupter.lost
        _set_handlers(interrupter.receive)
        if held is not None:
            held.check()
        yield
    except Exception as error:
        if interrupter.error is None:
            raise
        from drivers.base import SpeckleScopeError  # not at the top: its imports take time in which signals would not be held

        # A library has turned the interruption into an error of its own, or closing has failed.
        kept = str(error) if isinstance(error, SpeckleScopeError) else ""
        raise InterruptionError(interrupter.error.number, kept) from error
    finally:
        interrupter.ended = True
        _set_handlers(signal.SIG_IGN)
        sys.unraisablehook = hook_before


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


def _is_importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported in this frame."""
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTING:
            return True
        frame = frame.f_back
    return False


def _handled_errors() -> Iterator[BaseException]:
    """Yield the errors that the interrupted function and its callers are handling."""
    error = sys.exception()
    while error is not None:
        yield error
        error = error.__context__


def _set_handlers(handler: _Handler | signal.Handlers) -> dict[signal.Signals, _Handler | int | None]:
    """Set the handler of both signals, except those that the parent process wants ignored; return the earlier handlers."""
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in heard}
