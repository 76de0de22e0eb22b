"""Many sessions are opened, used and closed in one process: what each of them leaves in memory, files and threads."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from app.benchmarks.process_usage import ProcessUsage, slope
from app.benchmarks.reliability.budget import Budget, Numbers
from app.benchmarks.reliability.children import Child, ChildEnd, started
from app.benchmarks.reliability.workbench import build_workbench
from app.instrument.config import InstrumentConfig
from app.live.session import Session
from app.malloc_tuning import keep_freed_memory
from app.progress import Report
from app.status import LiveState, MessageLevel
from drivers.base import SpeckleScopeError

SESSIONS = 120
#: Sessions before memory is compared: libraries are loaded, pools of threads start, and the heap gets its size.
WARM_UP = 20
#: The engines of the sessions, in turns: the one that keeps no graph of its own, and the fastest one of this computer.
ENGINES = ("torch", "auto")
#: Starts of the live view in a session, views to wait for, frames to record, and how many sessions lie between two re-tunes.
_STARTS, _VIEWS, _FRAMES, _RETUNE_EVERY = 2, 3, 4, 4
#: A quick run leaves this time for the start of the process, and uses sessions for at least the other, in seconds.
_START_S, _LEAST_S = 6.0, 1.0
_POLL_S = 0.005
_STEP_S = 120.0
_REPORT_S = 0.2


def measure(budget: Budget, report: Report) -> Numbers:
    """Open, use and close sessions in a process of its own.

    A quick run has too few sessions for a slope of the memory: it is 0 then, and nothing is claimed.
    """
    with tempfile.TemporaryDirectory(prefix="specklescope-sessions-") as name:
        folder = Path(name)
        module = __spec__.name if __spec__ is not None else __name__
        limit_s = max(_LEAST_S, budget.left_s - _START_S) if budget.quick else 0.0
        command = [sys.executable, "-P", "-m", module, str(folder / "work"), str(SESSIONS), f"{limit_s}"]
        with started(folder, command) as child:
            end = _watched(child, report)
        findings = [f"the sessions ended with exit code {end.code}: {end.message}"] if end.code else []
        numbers = numbers_of([json.loads(line) for line in end.output.splitlines()])
        return {**numbers, "sessions_findings": findings}


def _watched(child: Child, report: Report) -> ChildEnd:
    """Report the progress of the child until it ends."""
    while child.runs():
        report("sessions", max(0, child.output.count("\n") - 1), SESSIONS)
        time.sleep(_REPORT_S)
    report("sessions", SESSIONS, SESSIONS)
    return child.ended()


def numbers_of(lines: Sequence[Mapping[str, float]]) -> Numbers:
    """Return the numbers of the part from those of :func:`usage_lines`.

    The slope of the memory is that after the warm-up. Threads and files are left when there are more of them after the last
    sessions than there ever were after the first ones: libraries keep some that the first sessions start.
    """
    sessions = max(0, len(lines) - 1)
    later = [line for line in lines if line["session"] > WARM_UP]
    per_session = slope([line["session"] for line in later], [line["resident_mb"] for line in later])
    enough = len(later) >= WARM_UP
    return {
        "sessions": sessions,
        "session_starts": int(sum(line["starts"] for line in lines)),
        "session_growth_mb_per_100": round(100 * per_session, 2) if enough else 0.0,
        "threads_left": _left(lines, "threads"),
        "handles_left": _left(lines, "handles"),
        "session_rss_mb_first": round(lines[1]["resident_mb"], 1) if sessions else 0.0,
        "session_rss_mb_last": round(lines[-1]["resident_mb"], 1) if sessions else 0.0,
        "session_growth_known": int(enough),
    }


def _left(lines: Sequence[Mapping[str, float]], key: str) -> int:
    counts = [line[key] for line in lines[1:]]
    part = max(1, min(WARM_UP, len(counts) // 2))
    return max(0, round(median(counts[-part:]) - max(counts[:part]))) if counts else 0


def _use(config: InstrumentConfig, *, retune: bool) -> int:
    """Open a session, start the live view, record, re-tune if wanted, and close it; return how often the view was started."""
    with Session.open(config) as session:
        for _ in range(_STARTS):
            session.start_live()
            _see(session, _VIEWS)
            session.stop_live()
        session.start_live()
        _until(session, lambda: session.live_status().state is LiveState.RUNNING)
        if retune:
            session.retune()
            _until(session, lambda: session.live_status().state is LiveState.RUNNING)
        session.start_recording("session")
        _until(session, lambda: session.recording_status().frames_recorded >= _FRAMES)
        session.stop_recording()
        _until(session, lambda: not session.recording_status().active)
    shutil.rmtree(config.archive)
    return _STARTS + 1


def _see(session: Session, count: int) -> None:
    """Wait for so many new views, with their labels."""
    seen = 0

    def came() -> bool:
        nonlocal seen
        overlay = session.poll_overlay()
        seen += overlay is not None and overlay.labels is not None
        return seen >= count

    _until(session, came)


def _until(session: Session, condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + _STEP_S
    while not condition():
        errors = [message.text for message in session.pop_messages() if message.level is MessageLevel.ERROR]
        if errors or time.monotonic() > deadline_s:
            raise SpeckleScopeError("; ".join(errors) or f"a session took longer than {_STEP_S:g} s; close other programs")
        time.sleep(_POLL_S)


def usage_lines(config: InstrumentConfig, sessions: int, limit_s: float) -> Iterator[dict[str, float]]:
    """Yield what the process uses before the first session, and after each."""
    started_s = time.monotonic()
    yield _line(0, 0, started_s)
    for number in range(1, sessions + 1):
        if limit_s and number > 1 and time.monotonic() - started_s > limit_s:
            return
        live = config.live.model_copy(update={"engine": ENGINES[(number - 1) % len(ENGINES)]})
        starts = _use(config.model_copy(update={"live": live}), retune=number % _RETUNE_EVERY == 0)
        yield _line(number, starts, started_s)


def _line(session: int, starts: int, started_s: float) -> dict[str, float]:
    usage = ProcessUsage.now()
    return {
        "session": session,
        "starts": starts,
        "resident_mb": usage.resident_mb,
        "handles": usage.handles,
        "threads": usage.threads,
        "seconds": round(usage.at_s - started_s, 1),
    }


def main(folder: str, sessions: str, limit_s: str) -> None:
    """Use so many sessions, or as many as fit into the time, and print a line of JSON after each.

    Parameters
    ----------
    folder : str
        A new folder for the instrument, its model and its recordings.
    sessions : str
        How many.
    limit_s : str
        The time in seconds; 0 is unlimited.
    """
    keep_freed_memory()
    bench = build_workbench(Path(folder), pairs=1)
    config = bench.config.model_copy(update={"archive": Path(folder) / "recordings"})
    for line in usage_lines(config, int(sessions), float(limit_s)):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
