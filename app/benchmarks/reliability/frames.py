"""Every bad frame that a camera delivers is marked in the recording, with the right mark, and no good frame is.

A real session on a small twin runs live and records: capture, judge, network, segmentation, recorder and disk. The camera is
the twin's, but it spoils some of its frames: dark, saturated, frozen (with a new counter or with the old one), decorrelated. In
others it leaves the pixels alone, and the network finds no number in them: counts are integers, so only a phase can be without
numbers. Afterwards the recording is read from the disk. A bad frame counts as marked when its own row has the mark, an event
names the frame, and the frame has no labels if there is nothing to see in it. A mark of any other frame is a false one.

All of the 10,000 good frames pass through whole sessions: a static scene, a scene that changes, a film of a single frame (a
camera without noise, whose pictures are all the same), and a film of some frames that is played again and again.
"""

from __future__ import annotations

import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from acquisition.archive.kinds import EventKind
from acquisition.archive.reader import Archive
from acquisition.archive.recorder import ROW_NOT_RECONSTRUCTED, ROW_NOT_SEGMENTED
from acquisition.archive.recording_faults import ROW_MARKS, event_frames
from acquisition.archive.rows import StoredRow
from acquisition.capture.pair_capture import Rig, make_rig
from acquisition.patterns.sources import blank
from app.benchmarks.reliability.budget import Budget, Numbers
from app.benchmarks.reliability.workbench import build_workbench
from app.instrument.config import InstrumentConfig, LiveConfig, SceneConfig
from app.instrument.opening import fibre_name
from app.live.session import Session
from app.live.slm.scene import Scene
from app.progress import Report
from drivers.base import Frame, FrameMark, SpeckleScopeError, TriggerMode
from drivers.clock import RealClock, VirtualClock
from drivers.recorded.replay import ReplayCamera
from drivers.twin.camera import SimulatedCamera, SimulatedCameraConfig
from drivers.twin.optics import FibreOptics
from drivers.twin.sensor import SensorConfig
from drivers.twin.slm import SimulatedSlm
from reconstruction.models.model import Model, load_model

#: A fast camera whose speckle has the usual brightness: 14 % of full scale.
_CAMERA = SimulatedCameraConfig(exposure_s=2e-3, readout_s=1e-3, sensor=SensorConfig(electrons_per_s=735_000.0))
_STATIC = SceneConfig(source="cells", period_s=3600.0, count=1)
_CHANGING = SceneConfig(source="mixed", period_s=0.3, count=6)
#: About every so many good frames some frames in a row are spoiled; the second number is for a quick part.
_EVERY, _EVERY_QUICK = 25, 5
_LONGEST_RUN = 3
#: So many frames are spoiled until each kind had its turn.
_LEAST_BAD = len(FrameMark) * _LONGEST_RUN
#: Frames of the four sessions: 10,000 good ones together, and those that are spoiled.
_FRAMES = (4200, 4200, 1500, 1500)
#: Seconds that a session takes to open and to close.
_OPEN_S = 1.5
_FILM_PERIOD_S = 1 / 150
_LOOP_FRAMES = 7
#: Seconds in which a session has to start, and in which it has to record a frame.
_START_S, _FRAME_S = 60.0, 0.25

_EVENTS = {
    EventKind.FRAME_NAN: FrameMark.NAN,
    EventKind.FRAME_DARK: FrameMark.DARK,
    EventKind.FRAME_SATURATED: FrameMark.SATURATED,
    EventKind.FRAME_FROZEN: FrameMark.FROZEN,
    EventKind.FRAME_DECORRELATED: FrameMark.DECORRELATED,
}
#: A frame with such a mark has no labels.
_NOISE = (FrameMark.NAN, FrameMark.DARK, FrameMark.DECORRELATED)


@dataclass
class Injections:
    """What was done to which frame.

    Parameters
    ----------
    active : bool
        Whether frames are spoiled now.
    spoiled : dict of int to FrameMark
        How the frame of each time, in nanoseconds, was spoiled.
    every : int
        About so many good frames come between bad ones.
    without_number, without_phase : set of int
        CRC-32 of the frames that are to get a phase without numbers, and of those that got one.
    """

    active: bool = False
    every: int = _EVERY
    spoiled: dict[int, FrameMark] = field(default_factory=dict)
    without_number: set[int] = field(default_factory=set)
    without_phase: set[int] = field(default_factory=set)

    def spoil_phase(self, network: torch.nn.Module, args: tuple[Any, ...], phase: torch.Tensor) -> torch.Tensor:
        """Replace the network's phase of a frame that is to get none; a forward hook of the network."""
        crc32 = zlib.crc32(args[0].to(torch.uint8).numpy().tobytes()) if self.without_number else -1
        if crc32 not in self.without_number:
            return phase
        self.without_phase.add(crc32)
        return phase * torch.nan


class SpoilingCamera(SimulatedCamera):
    """The twin's camera, some of whose frames are bad.

    Parameters
    ----------
    slm : SimulatedSlm
        What it images.
    optics : FibreOptics
        The fibre.
    injections : Injections
        Takes what was done.
    seed : int
        Draws which frames are bad.
    """

    def __init__(self, slm: SimulatedSlm, optics: FibreOptics, injections: Injections, seed: int) -> None:
        super().__init__(slm, optics, _CAMERA)
        self._injections = injections
        self._kinds = _kinds(np.random.default_rng(seed), injections.every)
        self._stuck = 0
        self._last: Frame | None = None

    def arm(self, trigger: TriggerMode) -> None:
        """Set the counters to zero."""
        self._stuck = 0
        super().arm(trigger)

    def read(self, timeout_s: float) -> Frame:
        """Return the next frame, or what became of it."""
        frame = super().read(timeout_s)
        kind = next(self._kinds) if self._injections.active else None
        if kind is not None:
            frame = self._spoiled(frame, kind)
        elif self._stuck:
            frame = replace(frame, index=frame.index - self._stuck)
        self._last = frame
        return frame

    def _spoiled(self, frame: Frame, kind: FrameMark) -> Frame:
        done, last = self._injections, self._last
        pixels: NDArray[Any] = frame.pixels
        if kind is FrameMark.FROZEN and last is not None:
            pixels = last.pixels
            self._stuck += len(done.spoiled) % 2  # every other time the counter stands still as well
        elif kind is FrameMark.DARK:
            pixels = pixels // 64
        elif kind is FrameMark.SATURATED:
            pixels = np.minimum(pixels.astype(np.uint16) * 8, frame.full_scale).astype(pixels.dtype)
        elif kind is FrameMark.DECORRELATED:
            pixels = pixels[::-1, ::-1]  # the speckle of a turned fibre has the same statistics
        elif kind is FrameMark.NAN:
            done.without_number.add(zlib.crc32(pixels.tobytes()))
        done.spoiled[frame.t_ns] = kind
        return replace(frame, pixels=pixels, index=frame.index - self._stuck)


@dataclass
class Tally:
    """Counts over several recordings."""

    injected: Counter[FrameMark] = field(default_factory=Counter)
    marked: Counter[FrameMark] = field(default_factory=Counter)
    good_frames: int = 0
    false_marks: int = 0
    findings: list[str] = field(default_factory=list)

    def numbers(self) -> Numbers:
        """Return the keys of this part."""
        each = {f"bad_frames_injected_{mark}": self.injected[mark] for mark in FrameMark}
        each |= {f"bad_frames_marked_{mark}": self.marked[mark] for mark in FrameMark}
        return {
            **each,
            "bad_frames_injected": self.injected.total(),
            "bad_frames_marked": self.marked.total(),
            "good_frames": self.good_frames,
            "false_marks": self.false_marks,
            "frames_findings": self.findings[:50],
        }


@dataclass(frozen=True, kw_only=True)
class Run:
    """One session: what it is called, what opens it, and how many frames it records.

    After ``limit_s`` seconds it ends earlier, if so many frames as ``least_bad`` were spoiled by then.
    """

    title: str
    opened: Callable[[], Session]
    injections: Injections
    frames: int
    limit_s: float
    least_bad: int


def measure(budget: Budget, report: Report) -> Numbers:
    """Record 10,000 good frames and some 1,000 bad ones, or as many as there is time for."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        config = build_workbench(Path(folder), pairs=4).config
        config = config.model_copy(
            update={
                "twin": config.twin.model_copy(update={"camera": _CAMERA}),
                "live": LiveConfig(engine="torch", reference_shots=4),
                "archive": Path(folder) / "recordings",
            }
        )
        openers = _openers(config, budget)
        for number, (title, (opened, injections)) in enumerate(openers.items()):
            run = Run(
                title=title,
                opened=opened,
                injections=injections,
                frames=_FRAMES[number],
                limit_s=max(0.5, budget.left_s / (len(openers) - number) - _OPEN_S),
                least_bad=0 if "film" in title else _LEAST_BAD,
            )
            count(Archive.open(record(run, report)), injections, tally, f"{title}, seed {budget.seed}")
    return tally.numbers()


def record(run: Run, report: Report) -> Path:
    """Record a session and return the folder of the recording.

    Raises
    ------
    SpeckleScopeError
        No frame came, or the recording is not complete.
    """
    with run.opened() as session:
        session.start_live()
        _wait(lambda: session.poll_view() is not None, _START_S, session)
        session.start_recording("frames")
        _wait(lambda: session.recording_status().frames_recorded > 0, _START_S, session)
        run.injections.active = True
        start_s = time.monotonic()

        def is_enough() -> bool:
            done = session.recording_status().frames_recorded
            report(run.title, min(done, run.frames), run.frames)
            is_late = time.monotonic() - start_s > run.limit_s
            return done >= run.frames or (is_late and len(run.injections.spoiled) >= run.least_bad)

        _wait(is_enough, _FRAME_S * run.frames, session)
        run.injections.active = False
        session.stop_recording()
        _wait(lambda: not session.recording_status().active, _START_S, session)
        status = session.recording_status()
    if status.path is None or not status.verdict.startswith("complete"):
        raise SpeckleScopeError(f"{run.title}: the recording is {status.verdict or 'not finished'}; see the log")
    return status.path


def count(archive: Archive, injections: Injections, tally: Tally, title: str) -> None:
    """Compare a recording with what was done to its frames."""
    named = {mark: set[int]() for mark in FrameMark}
    for event in archive.events():
        if event.kind in _EVENTS:
            named[_EVENTS[EventKind(event.kind)]].update(event_frames(event))
    for row in archive.rows():
        bad = injections.spoiled.get(row.t_ns)
        if bad is FrameMark.NAN and (
            row.crc32["speckle"] not in injections.without_phase or ROW_NOT_RECONSTRUCTED in row.extra
        ):
            bad = None  # the network never saw it, or its result came too late: the row has no phase, and says so
        tally.good_frames += bad is None
        marks = _marks(row)
        if bad is not None:
            tally.injected[bad] += 1
            is_marked = bad in marks and row.frame_index in named[bad] and (bad not in _NOISE or ROW_NOT_SEGMENTED in row.extra)
            tally.marked[bad] += is_marked
            if not is_marked:
                tally.findings.append(f"{title}: frame {row.frame_index} is {bad}, marked {marks or 'not at all'}")
        wrong = [mark for mark in FrameMark if mark is not bad and (mark in marks or row.frame_index in named[mark])]
        tally.false_marks += len(wrong)
        tally.findings += [f"{title}: frame {row.frame_index} is {bad or 'good'}, marked {mark}" for mark in wrong]


def _openers(config: InstrumentConfig, budget: Budget) -> dict[str, tuple[Callable[[], Session], Injections]]:
    optics = FibreOptics(config.twin.optics)

    def opener(scene: SceneConfig) -> tuple[Callable[[], Session], Injections]:
        injections = Injections(every=_EVERY_QUICK if budget.quick else _EVERY)
        own = config.model_copy(update={"scene": scene})
        return (lambda: _twin_session(own, optics, injections, budget.seed)), injections

    def film(frames: int) -> tuple[Callable[[], Session], Injections]:
        return (lambda: _film_session(config, _film(config, optics, frames))), Injections()

    return {
        "static scene": opener(_STATIC),
        "changing scene": opener(_CHANGING),
        "film of one frame": film(1),
        "film in a loop": film(_LOOP_FRAMES),
    }


def _twin_session(config: InstrumentConfig, optics: FibreOptics, injections: Injections, seed: int) -> Session:
    n = config.twin.optics.image_px
    slm = SimulatedSlm((n, n), config.twin.slm)
    model = _model(config)
    model.network.register_forward_hook(injections.spoil_phase)
    scene = Scene(config.scene, (n, n), model.grid_px, config.phase_range_rad)
    rig = make_rig(SpoilingCamera(slm, optics, injections, seed), slm)
    return Session(config, rig, fibre_name(config.twin.optics), model, scene)


def _film_session(config: InstrumentConfig, frames: Sequence[Frame]) -> Session:
    camera = ReplayCamera(frames, _FILM_PERIOD_S)
    return Session(config, Rig(camera, None, RealClock()), fibre_name(config.twin.optics), _model(config), None)


def _film(config: InstrumentConfig, optics: FibreOptics, frames: int) -> list[Frame]:
    """Return frames of the flat pattern, taken in virtual time."""
    n, clock = config.twin.optics.image_px, VirtualClock()
    slm = SimulatedSlm((n, n), config.twin.slm, clock)
    camera = SimulatedCamera(slm, optics, _CAMERA, clock=clock)
    clock.wait_until(slm.show(blank((n, n))))
    camera.arm(TriggerMode.FREE_RUN)
    return [camera.read(1.0) for _ in range(frames)]


def _model(config: InstrumentConfig) -> Model:
    return load_model(config.model)


def _kinds(rng: np.random.Generator, every: int) -> Iterator[FrameMark | None]:
    """Yield what to do with each frame: nothing with most, and the same with some frames in a row."""
    while True:
        for mark in rng.permutation(list(FrameMark)):
            yield from [None] * int(rng.integers(2, 2 * every))
            yield from [FrameMark(str(mark))] * int(rng.integers(1, _LONGEST_RUN + 1))


def _marks(row: StoredRow) -> list[str]:
    return str(row.extra[ROW_MARKS]).split(",") if ROW_MARKS in row.extra else []


def _wait(condition: Callable[[], bool], limit_s: float, session: Session) -> None:
    deadline_s = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline_s:
            texts = "; ".join(message.text for message in session.pop_messages())
            raise SpeckleScopeError(f"the session did not get on within {limit_s:.0f} s: {texts or 'it sent no message'}")
        time.sleep(0.01)
