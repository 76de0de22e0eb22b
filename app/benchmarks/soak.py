"""A live session that runs for hours as an operator uses it: whether its memory, open files and threads grow.

``python -P -m app.benchmarks.soak MINUTES JSON`` runs it in a process of its own and prints a line for each minute.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from acquisition.archive.atomic_files import write_whole
from app.benchmarks.process_usage import ProcessUsage, growth, slope
from app.instrument.config import InstrumentConfig
from app.live.session import Session
from app.malloc_tuning import keep_freed_memory
from app.progress import Report
from app.status import LiveState, MessageLevel

#: Readout of the simulated camera in seconds: 8 frames/s, so that a run takes less than half of one core.
_READOUT_S = 0.11
#: How often the operator's loop reads the newest view, as the window does, in seconds.
_POLL_S = 0.05
#: Longest time until the first view, in seconds: engines are built and compared at the first start.
_OPEN_S = 120.0
#: Time between two measurements of the process, in seconds.
_SAMPLE_S = 5.0
#: Fraction of the run that is warm-up, and the longest warm-up in seconds: memory reaches its size in about eight cycles.
_WARM_UP, _WARM_UP_S = 0.5, 1200.0


@dataclass(frozen=True, kw_only=True)
class SoakPlan:
    """How long a soak lasts, and how fast the operator works.

    Parameters
    ----------
    minutes : float
        Its duration.
    cycle_s : float
        Time in which the operator does everything once: record, export, snapshot, re-tune, stop and start.
    """

    minutes: float
    cycle_s: float = 75.0


def slow_instrument(archive: Path) -> InstrumentConfig:
    """Return the default simulated instrument with its shipped model, at a low frame rate."""
    config = InstrumentConfig(archive=archive)
    camera = replace(config.twin.camera, readout_s=_READOUT_S)
    return config.model_copy(update={"twin": config.twin.model_copy(update={"camera": camera})})


def soak(config: InstrumentConfig, plan: SoakPlan, report: Report) -> dict[str, object]:
    """Use one session for a long time; return how fast memory grows after the warm-up, and what grew besides.

    Recordings and snapshots are deleted again, so that a long run needs little of the disk.

    Parameters
    ----------
    config : InstrumentConfig
        The instrument. Everything in the folder of its archive is deleted.
    plan : SoakPlan
        How long.
    report : Report
        Called at every measurement.
    """
    samples: list[ProcessUsage] = []
    with Session.open(config) as session:
        operator = _Operator(session)
        operator.begin()
        operator.wait_for_view()
        started_s, cpu_s = time.monotonic(), time.process_time()
        actions = _schedule(operator, started_s, plan.cycle_s)
        due_s, act = next(actions)
        while (now_s := time.monotonic()) < started_s + plan.minutes * 60:
            operator.look()
            if now_s >= due_s:
                act()
                due_s, act = next(actions)
            if not samples or now_s - samples[-1].at_s >= min(_SAMPLE_S, plan.minutes * 2):
                samples.append(ProcessUsage.now())
                report("soak", round(now_s - started_s), round(plan.minutes * 60), _as_text(samples[-1], operator.views))
            time.sleep(_POLL_S)
    shutil.rmtree(config.archive, ignore_errors=True)
    duration_s = time.monotonic() - started_s
    numbers = _numbers(samples, started_s + min(_WARM_UP * duration_s, _WARM_UP_S))
    return {
        "soak_minutes": round(duration_s / 60, 2),
        **numbers,
        "soak_views": operator.views,
        "soak_recordings": operator.recordings,
        "soak_cpu_fraction": round((time.process_time() - cpu_s) / duration_s, 3),
        "soak_findings": operator.errors,
    }


class _Operator:
    """Looks at the live view, and does one thing after the other."""

    def __init__(self, session: Session) -> None:
        self.views = 0
        self.recordings = 0
        self.errors: list[str] = []
        self._session = session
        self._exporting = False

    def begin(self) -> None:
        """Start the live view."""
        self._session.start_live()

    def wait_for_view(self) -> None:
        """Wait until the engine is open and the first view has come; an error ends the waiting."""
        deadline_s = time.monotonic() + _OPEN_S
        while not self.views and not self.errors and time.monotonic() < deadline_s:
            self.look()
            time.sleep(_POLL_S)

    def look(self) -> None:
        """Read the newest frame, view and overlay, the numbers and the messages, as the window does."""
        self._session.poll_frame()
        overlay = self._session.poll_overlay()
        self.views += self._session.poll_view() is not None and (overlay is None or overlay.labels is not None)
        self._session.live_status()
        for message in self._session.pop_messages():
            self._exporting = self._exporting and "exported" not in message.text
            if message.level is MessageLevel.ERROR:
                self._exporting = False
                self.errors.append(message.text)

    def record(self) -> None:
        """Start a recording."""
        if self._session.live_status().state is LiveState.RUNNING:
            self._session.start_recording("soak")
            self.recordings += 1

    def stop_recording(self) -> None:
        """End it."""
        self._session.stop_recording()

    def snapshot(self) -> None:
        """Write a snapshot if there is a view."""
        if self.views:
            self._session.snapshot()

    def export(self) -> None:
        """Export the recording."""
        status = self._session.recording_status()
        if status.path is not None and not status.active and status.path.is_dir():
            self._exporting = True
            self._session.export_last_recording()

    def tidy(self) -> None:
        """Delete what was written."""
        if not self._exporting and not self._session.recording_status().active:
            shutil.rmtree(self._session.config.archive, ignore_errors=True)

    def retune(self) -> None:
        """Measure a new reference."""
        if self._session.live_status().can_retune:
            self._session.retune()

    def stop(self) -> None:
        """Stop the live view."""
        self._session.stop_live(end_recording=True)


def _schedule(operator: _Operator, started_s: float, cycle_s: float) -> Iterator[tuple[float, Callable[[], None]]]:
    """Yield what is done when, without end; every other cycle exports its recording."""
    steps: Sequence[tuple[float, Callable[[], None]]] = (
        (0.10, operator.record),
        (0.15, operator.snapshot),
        (0.35, operator.stop_recording),
        (0.40, operator.export),
        (0.60, operator.snapshot),
        (0.75, operator.tidy),
        (0.80, operator.retune),
        (0.92, operator.stop),
        (0.95, operator.begin),
    )
    cycle = 0
    while True:
        for fraction, act in steps:
            if act != operator.export or cycle % 2 == 0:
                yield started_s + (cycle + fraction) * cycle_s, act
        cycle += 1


def _numbers(samples: Sequence[ProcessUsage], warm_s: float) -> dict[str, object]:
    warm = [sample for sample in samples if sample.at_s >= warm_s]
    minutes = [sample.at_s / 60 for sample in warm]
    return {
        "soak_rss_slope_mb_per_min": round(slope(minutes, [sample.resident_mb for sample in warm]), 4),
        "soak_rss_mb_warm": round(warm[0].resident_mb, 1) if warm else 0.0,
        "soak_rss_mb_end": round(samples[-1].resident_mb, 1) if samples else 0.0,
        "soak_handles_growth": growth([sample.handles for sample in warm]),
        "soak_threads_growth": growth([sample.threads for sample in warm]),
        "soak_samples": len(warm),
    }


def _as_text(usage: ProcessUsage, views: int) -> str:
    return f"{usage.resident_mb:.1f} MB, {usage.handles} handles, {usage.threads} threads, {views} views"


def _print(stage: str, done: int, total: int, note: str = "") -> None:
    print(f"{stage}: {done} of {total} s, {note}", flush=True)


def main(minutes: str, numbers: str) -> None:
    """Run the soak on the default instrument and write its numbers as JSON.

    Parameters
    ----------
    minutes : str
        Its duration.
    numbers : str
        The JSON file.
    """
    keep_freed_memory()
    with tempfile.TemporaryDirectory(prefix="specklescope-soak-", ignore_cleanup_errors=True) as folder:
        content = soak(slow_instrument(Path(folder) / "archive"), SoakPlan(minutes=float(minutes)), _print)
    write_whole(Path(numbers), json.dumps(content, indent=1), "choose another file for the numbers of the soak")


if __name__ == "__main__":
    main(*sys.argv[1:])
