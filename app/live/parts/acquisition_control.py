"""The datasets that a session acquires, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from acquisition.capture.plan import Shot
from acquisition.capture.progress import AcquisitionReport
from app.datasets.acquisition_job import DatasetRun
from app.live.inference import InferencePipeline
from app.live.parts.device_queue import DeviceQueue
from app.status import AcquisitionStatus
from drivers.base import Frame


@dataclass(frozen=True)
class PairScreen:
    """Shows the operator every pair of a dataset; called in the thread of the acquisition.

    Parameters
    ----------
    inference : InferencePipeline
        Gets every frame of an object, and those of the flat pattern as the reference.
    show_frame : callable
        Gets every frame.
    """

    inference: InferencePipeline
    show_frame: Callable[[Frame], None]

    def show(self, shot: Shot, frame: Frame) -> None:
        """Show what was just captured."""
        self.show_frame(frame)
        if shot.is_reference:
            self.inference.set_reference(frame.pixels.astype(np.float32))
        else:
            self.inference.offer(frame)


class AcquisitionControl:
    """The dataset that is acquired, or the last one. One thread calls this.

    Parameters
    ----------
    devices : DeviceQueue
        Who uses camera and SLM.
    """

    def __init__(self, devices: DeviceQueue) -> None:
        self._devices = devices
        self._run: DatasetRun | None = None
        self._ended = AcquisitionStatus()
        self._ended_report: AcquisitionReport | None = None

    @property
    def active(self) -> bool:
        """Whether a dataset is being acquired."""
        return self.status().active

    def status(self) -> AcquisitionStatus:
        """Return the state of the current or last dataset."""
        run = self._run
        return run.status() if run is not None else self._ended

    @property
    def report(self) -> AcquisitionReport | None:
        """What the last acquisition did; None until it has ended without an error."""
        run = self._run
        return run.report if run is not None else self._ended_report

    def start(self, run: DatasetRun) -> None:
        """Acquire a dataset; its run begins after those who use the devices now."""
        self._run = run
        self._devices.start(run.stage)

    def stop(self) -> None:
        """Ask the acquisition to stop after the current pair."""
        if self._run is not None:
            self._run.stage.request_stop()

    def pause(self, *, paused: bool) -> None:
        """Pause the acquisition after the current pair, or let it continue."""
        if self._run is not None:
            self._run.pause(paused=paused)

    def let_go(self) -> None:
        """Free the run; its outcome can still be read."""
        self._ended, self._ended_report = self.status(), self.report
        self._run = None
