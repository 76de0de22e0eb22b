"""What goes wrong in a laboratory, one case after the other, while a recording runs: what the window says and does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Self
from unittest import mock

from PyQt6.QtCore import QTimer

from acquisition.archive import rows
from app.benchmarks.live import sleeper
from app.benchmarks.reliability.disks.small_disk import file_size_limit
from app.benchmarks.reliability.disks.stalled_disk import stalling_disk
from app.gui.command import Command
from app.gui.window_bench.amounts import Amounts, Numbers
from app.gui.window_bench.bench_window import BenchWindow
from app.gui.window_bench.flow import SlowInference
from app.gui.window_bench.operator import answers
from app.gui.window_bench.recorded import recorded_numbers
from app.live.session import Session
from app.status import LiveView
from drivers.base import SpeckleScopeError

_LOOK_MS = 50
#: For how long every fault lasts, in seconds; long enough that a live label would be a lie.
_LASTS_S = 2.8
_STALL_S = 5.0
_MESSAGE_S = 2.0
_STALE_S = 2.0
#: A look comes so much later than what it looks at.
_LOOK_S = 0.3
_BUSY_S = 0.5
_RECOVERS_S = 30.0
_PAINTED_AGAIN = 10
_FULL_DISK_BYTES = 20_000
#: Inference has become slow when it has so much of its rate.
_SLOWER = 0.7
_SET_BACK = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Case:
    """Something that goes wrong.

    Parameters
    ----------
    name : str
        What goes wrong.
    begin, end : callable
        Lets it go wrong, and right again.
    has_message : callable
        Whether the window says so; None where nothing happens that has to be said.
    lasts_s : float
        For how long it goes wrong, in seconds.
    slept_s : float
        For how much of that this process is stopped and cannot answer, in seconds.
    begins_stored : bool
        Whether a frame has to be on the disk before it goes wrong.
    """

    name: str
    begin: Callable[[BenchWindow], None]
    end: Callable[[BenchWindow], None]
    has_message: Callable[[BenchWindow], bool] | None
    lasts_s: float = _LASTS_S
    slept_s: float = 0.0
    begins_stored: bool = False


class _Watch:
    """Looks at the window while something goes wrong."""

    def __init__(self, bench: BenchWindow, case: Case) -> None:
        self.told_s: float | None = None
        self.stale = False
        self._bench = bench
        self._case = case
        self._begun_s = time.monotonic()
        self._views = bench.window.views_shown
        self._view_s = self._begun_s
        self._look_s = self._begun_s
        self._busy_s = 0.0

    def look(self) -> None:
        """Note when the window says what happened, and whether it calls an old picture live."""
        now_s, bench, has_message = time.monotonic(), self._bench, self._case.has_message
        if has_message is None:
            self.told_s = 0.0
        elif self.told_s is None and has_message(bench):
            self.told_s = max(0.0, now_s - self._begun_s - self._case.slept_s)
        if not bench.is_open:
            return
        if bench.window.views_shown != self._views:
            self._views, self._view_s = bench.window.views_shown, now_s
        frame_s = max(self._begun_s, bench.painted.paintings[-1].at_s if bench.painted.paintings else 0.0)
        if now_s - self._look_s > _BUSY_S:  # the window could not look either; it has a moment to say so
            self._busy_s = now_s
        self._look_s = now_s
        is_old = now_s - min(frame_s, self._view_s) > _STALE_S + _LOOK_S
        self.stale |= is_old and now_s - self._busy_s > _BUSY_S and bench.page.controls.state.text() == "Live"


def without_slm(bench: BenchWindow, amounts: Amounts) -> list[Numbers]:
    """Let everything go wrong once but the SLM; the live view runs before and after."""
    cases = (_camera_cases(), _disk_cases(), _computer_cases(amounts.asleep_s), _inference_cases())
    return [_tried(bench, case) for kind in cases for case in kind]


def with_slm(bench: BenchWindow) -> list[Numbers]:
    """Let the SLM go wrong; the live view runs before and after."""
    return [_tried(bench, _slm_unplugged(bench))]


def robust_numbers(results: list[Numbers]) -> Numbers:
    """Return the cases; the verdicts on the times are added when the pauses of the idle process are known."""
    return {"robust_cases": results, "robust_count": len(results)}


def _tried(bench: BenchWindow, case: Case) -> Numbers:
    """Record while something goes wrong; return what the window did."""
    while bench.window.banner.shown is not None:
        bench.window.banner.dismiss()
    bench.record(case.name.replace(" ", "-"), stored=case.begins_stored)
    session = bench.session
    bench.heartbeat.clear()
    watch = _Watch(bench, case)
    timer = QTimer()
    timer.timeout.connect(watch.look)
    timer.start(_LOOK_MS)
    case.begin(bench)
    bench.run(case.lasts_s + case.slept_s)
    timer.stop()
    pauses = list(bench.heartbeat.pauses)
    case.end(bench)
    recovered = bench.run_until(lambda: bench.is_open, _RECOVERS_S) and _is_live_again(bench)
    if session is bench.session:
        bench.stop_recording()
    failures = [
        text
        for text, has_failed in (
            ("it did not say what happened", watch.told_s is None),
            (f"it said so after {_MESSAGE_S:g} s", watch.told_s is not None and watch.told_s > _MESSAGE_S),
            ("an old picture was called live", watch.stale),
            ("it did not recover", not recovered),
            ("the recording was not finished", not _is_finished(session)),
        )
        if has_failed
    ]
    return {
        "case": case.name,
        "told_s": -1.0 if watch.told_s is None else round(watch.told_s, 2),
        "pauses": pauses,
        "slept_s": case.slept_s,
        "failures": failures,
    }


def _is_live_again(bench: BenchWindow) -> bool:
    """Whether frames and reconstructions are shown again."""
    views = bench.window.views_shown
    return bench.paints_again(_PAINTED_AGAIN, _RECOVERS_S) and bench.run_until(
        lambda: bench.window.views_shown > views, _RECOVERS_S
    )


def _is_finished(session: Session) -> bool:
    """Whether the recording says how it ended, and all its rows can be read, in order."""
    recording = session.recording_status()
    if recording.path is None or recording.finish_reason is None:
        return False
    numbers = recorded_numbers(recording.path)
    return None not in numbers and len(numbers) == recording.frames_recorded > 0


# -- cases --------------------------------------------------------------------------------------------------------


def _camera_cases() -> Iterator[Case]:
    yield Case(
        name="camera lost",
        begin=lambda bench: bench.camera.lose(),
        end=lambda bench: bench.camera.return_(),
        has_message=_says("disappeared"),
    )
    yield Case(
        name="camera hangs",
        begin=lambda bench: bench.camera.hang(hangs=True),
        end=lambda bench: bench.camera.hang(hangs=False),
        has_message=_says("no frame"),
    )
    yield Case(
        name="camera delivers None",
        begin=lambda bench: bench.camera.deliver_nothing(nothing=True),
        end=lambda bench: bench.camera.deliver_nothing(nothing=False),
        has_message=_says("no frame"),
    )


def _disk_cases() -> Iterator[Case]:
    with ExitStack() as full:
        yield Case(
            name="disk full",
            begin=lambda bench: full.enter_context(file_size_limit(_FULL_DISK_BYTES)),
            end=lambda bench: full.close(),
            has_message=_says("check the disk"),
            begins_stored=True,
        )
    with stalling_disk() as stall:
        yield Case(
            name="disk stalled",
            begin=lambda bench: stall.begin(),
            end=lambda bench: stall.end(),
            has_message=_says("the disk"),
            lasts_s=_STALL_S,
        )


def _computer_cases(asleep_s: float) -> Iterator[Case]:
    with ExitStack() as clock:
        yield Case(
            name="clock set back",
            begin=lambda bench: clock.enter_context(_clock_set_back()),
            end=lambda bench: clock.close(),
            has_message=None,
        )
    command = [sys.executable, "-P", "-m", sleeper.__name__, str(os.getpid()), str(asleep_s)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as asleep:
        assert asleep.stdin is not None
        yield Case(
            name="laptop asleep",
            begin=lambda bench: asleep.stdin.close() if asleep.stdin is not None else None,
            end=lambda bench: None,
            has_message=_says("frame"),
            slept_s=asleep_s,
        )


def _inference_cases() -> Iterator[Case]:
    slow, failing = _Slow(), _Failing()
    yield Case(
        name="inference slowed by 200 ms",
        begin=slow.begin,
        end=lambda bench: slow.end(),
        has_message=slow.is_shown,
    )
    yield Case(
        name="inference dead",
        begin=lambda bench: bench.session.watch(failing),
        end=_restart_live,
        has_message=_says(_Failing.TEXT),
    )
    asked: list[str] = []
    yield Case(
        name="model switched",
        begin=lambda bench: asked.extend(_switch_model(bench)),
        end=_start_live,
        has_message=lambda bench: bool(asked) or not bench.is_open,
    )


def _slm_unplugged(bench: BenchWindow) -> Case:
    slm = bench.slm
    assert slm is not None
    return Case(
        name="SLM unplugged",
        begin=lambda bench: slm.plug(present=False),
        end=lambda bench: slm.plug(present=True),
        has_message=_says("SLM"),
    )


def _says(text: str) -> Callable[[BenchWindow], bool]:
    return lambda bench: text in bench.window.banner.text


class _Slow(SlowInference):
    """Knows how fast inference was before."""

    def __init__(self) -> None:
        super().__init__()
        self._fps_before = 0.0

    def begin(self, bench: BenchWindow) -> None:
        """Hold inference from now on."""
        self._fps_before = bench.session.live_status().inference_fps
        super().begin(bench)

    def is_shown(self, bench: BenchWindow) -> bool:
        """Whether the rate that the window shows has fallen."""
        return bench.session.live_status().inference_fps < _SLOWER * self._fps_before


class _Failing:
    """Ends the inference thread with an error, once."""

    TEXT = "the benchmark ends inference"

    def __init__(self) -> None:
        self._fails = True

    def __call__(self, view: LiveView) -> None:
        if self._fails:
            self._fails = False
            raise SpeckleScopeError(self.TEXT)


def _restart_live(bench: BenchWindow) -> None:
    """Do what the window asks for after inference has failed: stop the live view and start it again."""
    bench.stop_recording()
    bench.window.carry_out(Command.TOGGLE_LIVE)
    bench.run_until(lambda: not bench.session.live_status().running, _RECOVERS_S)
    bench.window.carry_out(Command.TOGGLE_LIVE)


def _start_live(bench: BenchWindow) -> None:
    if bench.run_until(lambda: bench.is_open, _RECOVERS_S):
        bench.window.carry_out(Command.TOGGLE_LIVE)


def _switch_model(bench: BenchWindow) -> list[str]:
    with answers(agree=True) as asked:
        bench.window.instruments.use_model(bench.session.config.model)
    return asked


@contextmanager
def _clock_set_back() -> Iterator[None]:
    """Set back the wall clock that recordings read; the computer's own clock is left alone."""

    class SetBack(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) - _SET_BACK

    with mock.patch.object(rows, datetime.__name__, SetBack):
        yield
