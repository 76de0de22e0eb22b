"""Every fault that the twin's camera injects is found in the recording by its kind and frame, and no other fault is.

A small twin runs on the real clock, with the capture and recording of the live view. The injector keeps a list of what it did;
the recording knows nothing of it. When the recording is finished, its journal is read from the disk with SQLite alone, and both
are compared. Every kind of fault is injected, some of them in frames that follow each other. Only what no recorder could tell
apart is left out: a frame that is lost just before the camera hangs or is unplugged, and a repetition of a frame that was
faulty itself.
"""

from __future__ import annotations

import re
import sqlite3
import tempfile
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acquisition.archive.kinds import EventKind
from acquisition.capture.pair_capture import make_rig
from app.benchmarks.reliability.budget import Budget, Numbers
from app.live.capture import CaptureSettings, LiveCapture
from app.live.recording import LiveRecording, RecordingSettings
from app.progress import Report
from drivers.base import Frame, SpeckleScopeError
from drivers.twin.camera import Fault, FaultConfig, InjectedFault, SimulatedCamera, SimulatedCameraConfig
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.slm import SimulatedSlm

FULL_S = 1800.0
#: Seconds that a quick part needs to open and to close the recording.
_AROUND_S = 4.0
#: Frames before the first fault: those of the reference.
_FIRST = 40
#: More exposures than fit into a second.
_PER_S = 60
#: A small fibre, which the twin calculates in a few milliseconds.
_OPTICS = OpticsConfig(image_px=64, field_radius_um=14.0)
_CAMERA = SimulatedCameraConfig(exposure_s=0.015, readout_s=0.005)
#: How often each fault comes, relative to the others. Those that cost seconds are rare.
_WEIGHTS = {
    Fault.DROPPED: 6,
    Fault.DUPLICATED: 6,
    Fault.LATE: 2,
    Fault.FAILED: 6,
    Fault.SATURATED: 6,
    Fault.HUNG: 0.3,
    Fault.DISCONNECTED: 0.6,
}
#: Faults before which the frame before must be whole.
_AFTER_WHOLE = (Fault.DUPLICATED, Fault.HUNG, Fault.DISCONNECTED)
#: How a recording names each fault.
KINDS = {
    Fault.DROPPED: EventKind.FRAMES_SKIPPED,
    Fault.DUPLICATED: EventKind.FRAME_FROZEN,
    Fault.LATE: EventKind.DEVICE_TIMEOUT,
    Fault.FAILED: EventKind.FRAME_FAILED,
    Fault.SATURATED: EventKind.FRAME_SATURATED,
    Fault.HUNG: EventKind.DEVICE_TIMEOUT,
    Fault.DISCONNECTED: EventKind.DEVICE_LOST,
}
_TIMES = re.compile(r"(\d+) times: ")
_FRAMES = re.compile(r", (?:before )?frames? (\d[\d, -]*)[;)]")

#: A fault in a recording: the kind of its event, and a frame that the event names.
FaultAt = tuple[str, int]


@dataclass(frozen=True)
class Journal:
    """What a finished recording says: the number and time of each frame in their order, and its faults."""

    frames: Sequence[tuple[int, int]]
    faults: Counter[FaultAt]


def measure(budget: Budget, report: Report) -> Numbers:
    """Record for 30 minutes, or some ten seconds when it has to be quick."""
    seconds = max(4.0, budget.left_s - _AROUND_S) if budget.quick else FULL_S
    every = 6 if budget.quick else 30
    plan = fault_plan(budget.seed, round(seconds * _PER_S), every)
    with tempfile.TemporaryDirectory() as folder:
        injections, path = record(Path(folder), plan, seconds, report)
        journal = read_journal(path)
    return compare(injections, journal, budget.seed)


def fault_plan(seed: int, exposures: int, every: int) -> FaultConfig:
    """Return faults about ``every`` so many exposures: first each kind once, then by chance."""
    rng = np.random.default_rng(seed)
    kinds = [Fault(str(kind)) for kind in rng.permutation(list(_WEIGHTS))]
    chances = np.array(list(_WEIGHTS.values())) / sum(_WEIGHTS.values())
    at: dict[Fault, list[int]] = {kind: [] for kind in _WEIGHTS}
    number = _FIRST
    while number < exposures:
        kind = kinds.pop() if kinds else list(_WEIGHTS)[int(rng.choice(len(chances), p=chances))]
        number += int(rng.integers(1, 2 * every)) + (kind in _AFTER_WHOLE)
        at[kind].append(number)
    return FaultConfig(
        dropped_at=tuple(at[Fault.DROPPED]),
        duplicated_at=tuple(at[Fault.DUPLICATED]),
        late_at=tuple(at[Fault.LATE]),
        failed_at=tuple(at[Fault.FAILED]),
        saturate_at=tuple(at[Fault.SATURATED]),
        hang_at=tuple(at[Fault.HUNG]),
        disconnect_at=tuple(at[Fault.DISCONNECTED]),
    )


def record(root: Path, plan: FaultConfig, seconds: float, report: Report) -> tuple[list[InjectedFault], Path]:
    """Record so long; return what was injected up to the last frame, and the folder of the recording.

    Raises
    ------
    SpeckleScopeError
        There is no recording.
    """
    slm = SimulatedSlm((_OPTICS.image_px, _OPTICS.image_px))
    camera = SimulatedCamera(slm, FibreOptics(_OPTICS), _CAMERA, plan)
    settings = CaptureSettings(scene=None, reference_shots=4, phase_range_rad=2.85)
    capture = LiveCapture(make_rig(camera, slm), settings, lambda message: None)
    recording = LiveRecording(
        root, "faults", {"pixel_um": _OPTICS.pixel_um, "bit_depth": _CAMERA.bit_depth}, 4, RecordingSettings(10_000)
    )
    ended = threading.Event()
    injections: list[InjectedFault] = []
    start_s = time.monotonic()

    def put(frame: Frame) -> None:
        if ended.is_set():
            return
        recording.put_frame(frame)
        elapsed_s = time.monotonic() - start_s
        report("faults", min(int(elapsed_s), int(seconds)), int(seconds), f"{len(camera.injections)} injected")
        if elapsed_s >= seconds:
            capture.faults.unsubscribe(recording.put_fault)
            injections.extend(camera.injections)
            ended.set()

    capture.frames.subscribe(put)
    capture.faults.subscribe(recording.put_fault)
    capture.start()
    ended.wait(seconds + 60.0)
    capture.request_stop()
    capture.stage.join()
    recording.finish()
    recording.stage.join()
    path = recording.status().path
    error = capture.stage.error or recording.stage.error
    if path is None or error is not None or not ended.is_set():
        raise SpeckleScopeError(f"the recording did not reach {seconds:.0f} s: {error or 'no frame came'}; see the log")
    return injections, path


def read_journal(path: Path) -> Journal:
    """Read the journal of a finished recording from the disk, with SQLite alone."""
    uri = f"{(path / 'journal.sqlite').resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        frames = connection.execute("SELECT frame_index, t_ns FROM rows ORDER BY idx").fetchall()
        events = connection.execute("SELECT kind, text FROM events ORDER BY id").fetchall()
    faults: Counter[FaultAt] = Counter()
    for kind, text in events:
        if kind in KINDS.values() or EventKind(kind).is_fault:
            numbers = _numbers(text)
            faults.update((kind, number) for number in numbers)
            times = _TIMES.match(text)
            faults[kind, -1] += abs((int(times[1]) if times else 1) - len(numbers))
    return Journal(frames, +faults)


def compare(injections: Sequence[InjectedFault], journal: Journal, seed: int) -> Numbers:
    """Compare the injector's list with a journal; a fault matches one of its kind at its frame."""
    expected = _expected(injections, journal.frames)
    missing, invented = expected - journal.faults, journal.faults - expected
    times_ns = [t_ns for _, t_ns in journal.frames]
    findings = [f"seed {seed}: not found: {kind} at frame {frame}, {n} times" for (kind, frame), n in missing.items()]
    findings += [f"seed {seed}: invented: {kind} at frame {frame}, {n} times" for (kind, frame), n in invented.items()]
    return {
        "faults_injected": expected.total(),
        "faults_matched": expected.total() - missing.total(),
        "faults_invented": invented.total(),
        "faults_minutes": round((times_ns[-1] - times_ns[0]) / 60e9, 2),
        "faults_recorded_frames": len(times_ns),
        "faults_findings": findings,
    }


def _expected(injections: Sequence[InjectedFault], frames: Sequence[tuple[int, int]]) -> Counter[FaultAt]:
    """Return how a recording of these frames has to name the faults that were injected up to its last frame."""
    times_ns = [t_ns for _, t_ns in frames]
    expected: Counter[FaultAt] = Counter()
    lost: Counter[int] = Counter()
    for injection in injections:
        place = bisect_left(times_ns, injection.stop_ns)
        if place == len(times_ns):
            continue
        next_number = frames[place - 1][0] + 1 if place else frames[0][0]
        if injection.fault in (Fault.DUPLICATED, Fault.SATURATED):
            number = frames[place][0]
        elif injection.fault is Fault.DROPPED:
            number = next_number + lost[next_number]
            lost[next_number] += 1
        else:
            number = next_number
        expected[KINDS[injection.fault].value, number] += 1
    return expected


def _numbers(text: str) -> list[int]:
    """Return the numbers of frames that an event names: ``frames 12, 15-17``."""
    named = _FRAMES.search(text)
    numbers: list[int] = []
    for part in named[1].split(", ") if named else ():
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers
