"""The test of camera and SLM as a job: they are opened, watched until the job ends, and released."""

from __future__ import annotations

import threading

from app.instrument.config import InstrumentConfig
from app.instrument.preview import DevicePreview
from app.jobs.job_list import BEGINS_AGAIN, Job, JobList, JobOrder, Need, Progress

_LOOK_S = 0.05
_RELEASE_S = 20.0
#: What a test of the devices uses.
NEEDS = frozenset({Need.DEVICES})


class DeviceTest:
    """One test after another.

    Parameters
    ----------
    jobs : JobList
        The jobs of the window.
    """

    def __init__(self, jobs: JobList) -> None:
        self._jobs = jobs
        self._job: Job | None = None
        self._preview: DevicePreview | None = None

    @property
    def running(self) -> bool:
        """Whether devices are open for it."""
        return self._job is not None and self._job.running

    @property
    def preview(self) -> DevicePreview | None:
        """The devices that are tested; None while none are."""
        return self._preview if self.running else None

    def conflict(self) -> str:
        """Return which job uses the devices now, as a sentence; empty when none does, or only this test."""
        return "" if self.running else self._jobs.conflict(NEEDS)

    def start(self, config: InstrumentConfig) -> None:
        """Open the devices of a configuration; returns at once. Raises JobConflictError when another job uses them."""

        def work(progress: Progress, stop: threading.Event) -> None:
            preview = self._preview = DevicePreview(config)
            while preview.status.running and not stop.wait(_LOOK_S):
                pass
            preview.close()
            preview.join(_RELEASE_S)

        self._preview = None
        name = "Test of camera and SLM"
        order = JobOrder(name=name, work=work, needs=NEEDS, resumable=True, if_stopped=BEGINS_AGAIN)
        self._job = self._jobs.start(order)

    def stop(self) -> None:
        """Release the devices soon; :attr:`running` is False once they are released."""
        if self._job is not None:
            self._job.stop()
