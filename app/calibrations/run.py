"""One calibration in a thread of its own: it measures with the devices of a session, and stores the result."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from acquisition.capture.pair_capture import Rig
from acquisition.streams.channel import Stage
from app.calibrations.kinds import FACTS, CalibrationOrder
from app.calibrations.measure import MEASURE, Task, stored_registration, stored_response
from app.calibrations.storing import MeasuredOn, store_new
from app.calibrations.target import CalibrationTarget
from drivers.base import SpeckleScopeError

#: How often a job looks whether its calibration has ended, in seconds.
_POLL_S = 0.05


class CalibrationStoppedError(SpeckleScopeError):
    """A calibration was stopped; nothing was stored."""


@dataclass(frozen=True, kw_only=True)
class CalibrationProgress:
    """How far a calibration is.

    Parameters
    ----------
    stage : str
        What is counted: ``frames``, or ``fit``.
    done, total : int
        Steps.
    """

    stage: str = "waiting"
    done: int = 0
    total: int = 0


class CalibrationRun:
    """Measures once.

    Parameters
    ----------
    order : CalibrationOrder
        What is measured.
    target : CalibrationTarget
        The instrument.
    rig : Rig
        Its devices; only the run's thread uses them until it ends.
    after : Stage, optional
        The run begins when this stage has ended, because it uses the same devices.
    put_back : callable, optional
        Called with the devices at the end, however it ended: shows what was on the SLM before.

    Attributes
    ----------
    folder : Path or None
        Where the result is stored; None until then.
    """

    def __init__(
        self,
        order: CalibrationOrder,
        target: CalibrationTarget,
        rig: Rig,
        after: Stage | None = None,
        put_back: Callable[[], None] | None = None,
    ) -> None:
        self.order = order
        self.folder: Path | None = None
        self._target = target
        self._put_back = put_back or _nothing
        self._progress = CalibrationProgress()  # replaced as a whole
        self._error: BaseException | None = None
        # The error belongs to the job that follows this run: the session would report it once more.
        self.stage = Stage(f"calibration {order.what}", lambda stop: self._work(rig, stop), after=after)

    @property
    def active(self) -> bool:
        """Whether it measures, or waits for the devices."""
        return self.stage.running

    def progress(self) -> CalibrationProgress:
        """Return how far it is; any thread may ask."""
        return self._progress

    def follow(self, report: Callable[[int, int], None], stop: threading.Event) -> Path | None:
        """Wait for the end, report the progress, and stop the run when asked to.

        Parameters
        ----------
        report : callable
            Called with the steps that are done, and with all of them.
        stop : threading.Event
            Set by whoever wants it to stop.

        Returns
        -------
        Path or None
            Where the result is stored; None when it was stopped.

        Raises
        ------
        SpeckleScopeError
            It failed; nothing was stored.
        """
        while not self.stage.join(_POLL_S):
            if stop.is_set():
                self.stage.request_stop()
            report(self._progress.done, self._progress.total)
        report(self._progress.done, self._progress.total)
        if isinstance(self._error, CalibrationStoppedError) and stop.is_set():
            return None
        if self._error is not None:
            raise self._error
        return self.folder

    def _work(self, rig: Rig, stop: threading.Event) -> None:
        started_s = time.monotonic()
        try:
            measured = MEASURE[self.order.what](self._task(rig, stop))
            on = MeasuredOn(devices=self._target.devices, fibre=self._target.fibre, seconds=time.monotonic() - started_s)
            self.folder = store_new(self.order.what, measured, on, self._target.root)
        except BaseException as error:  # noqa: BLE001 - raised to the job that follows
            for link in (error, error.__cause__, error.__context__):
                if link is not None:
                    traceback.clear_frames(link.__traceback__)  # they hold the devices
            self._error = error
        finally:
            put_back, self._put_back = self._put_back, _nothing  # the list of jobs keeps this run, and not its session
            put_back()

    def _task(self, rig: Rig, stop: threading.Event) -> Task:
        order, fibre = self.order, self._target.fibre

        def report(stage: str, done: int, total: int, note: str = "") -> None:
            if stop.is_set():
                raise CalibrationStoppedError(f"'{FACTS[order.what].title}' was stopped; nothing was stored")
            self._progress = CalibrationProgress(stage=stage, done=done, total=total)

        if stop.is_set():
            report("frames", 0, 0)
        return Task(
            rig=rig,
            settings=self._target.config,
            report=report,
            levels=order.levels,
            probe_patterns=order.probe_patterns,
            registration=stored_registration(order.registration, rig, fibre) if order.registration else None,
            previous=stored_response(order.previous, rig, fibre) if order.previous else None,
        )


def _nothing() -> None:
    """Put nothing back."""
