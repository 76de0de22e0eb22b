"""Faults during a recording: what the capture reports, how the journal stores it, and how it is read again."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from acquisition.archive.journal.writer import utc_now
from acquisition.archive.kinds import COMPLETE_VERDICT, EventKind
from acquisition.archive.reader import Archive
from acquisition.archive.results.disc import DISCS, described_disc
from acquisition.archive.rows import Event, StorageError, is_text
from drivers.base import CameraCounters

#: How the text of an event begins that stands for several faults of one kind.
_TIMES = re.compile(r"(\d+) times: ")
#: How the text of an event names its frames.
_NAMED_FRAMES = re.compile(r", (?:before )?frames? (\d[\d, -]*)[;)]")
#: Kinds whose events name the frames themselves; the others name the frame after them.
_OF_FRAMES = frozenset(
    {
        EventKind.FRAMES_SKIPPED,
        EventKind.FRAME_NAN,
        EventKind.FRAME_DARK,
        EventKind.FRAME_SATURATED,
        EventKind.FRAME_FROZEN,
        EventKind.FRAME_DECORRELATED,
        EventKind.MARKER,
    }
)
#: Kinds whose events stay apart, because each says something else.
_APART = frozenset({EventKind.CAMERA_SETTING, EventKind.MARKER})
#: The text of the event that stores a marker.
_MARKER = re.compile(r"(.*) \((\S+), frame (\d+)\)")
_MOST_MARKER_TEXT = 200
#: The key of a row's further facts that lists the marks of its frame, with commas between them.
ROW_MARKS = "marks"
#: Keys of a journal's status.
FRAMES_MISSING, NOT_RECONSTRUCTED, NOT_SEGMENTED = "frames_missing", "frames_not_reconstructed", "frames_not_segmented"
#: Frames that were stored without compression, because the disk had to catch up.
NOT_COMPRESSED = "frames_not_compressed"

#: Key of a journal's status: what ended the recording, a RecordingEnd.
ENDED_BY = "ended_by"


@dataclass(frozen=True, kw_only=True)
class RecordingFault:
    """Something that went wrong while a recording ran, what the program did about it, or a setting that was changed.

    Parameters
    ----------
    kind : EventKind
        What it was.
    text : str
        The message for people.
    count : int
        How many such faults this stands for.
    frames : tuple of range
        Our own numbers of the frames that it is about. Where the fault is none of a frame, the number of the next frame.
    camera : CameraCounters, optional
        What the camera had counted since it was armed.
    frames_missing : int
        Frames that are missing by the camera's own counter.
    utc : str
        When it happened, ISO 8601.
    """

    kind: EventKind
    text: str
    count: int = 1
    frames: tuple[range, ...]
    camera: CameraCounters | None = None
    frames_missing: int = 0
    utc: str = field(default_factory=utc_now)

    def event_text(self) -> str:
        """Return the text of the event that stores this."""
        times = f"{self.count} times: " if self.count > 1 else ""
        counted = ""
        if self.camera is not None:
            counted = f"; since it was armed, the camera counts {self.camera.frames} frames and {self.camera.failed} failed"
        return f"{times}{self.text} ({self.utc}, {self._where()}{counted})"

    def _where(self) -> str:
        noun = "frame" if sum(map(len, self.frames)) == 1 else "frames"
        return f"{'' if self.kind in _OF_FRAMES else 'before '}{noun} {ranges_text(self.frames)}"


class FaultLog:
    """Collects the faults of one recording, from any thread, until its recorder stores them.

    Faults of one kind that come before they are stored become one, with their count and their frames. So a camera that fails
    all the time does not fill the journal. Changes of settings stay apart, because each has its own value.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[tuple[EventKind, str], RecordingFault] = {}
        self._counts: Counter[EventKind] = Counter()
        self._missing = 0

    def add(self, fault: RecordingFault) -> None:
        """Count a fault, and keep it until :meth:`pop_all`."""
        with self._lock:
            self._counts[fault.kind] += fault.count
            self._missing += fault.frames_missing
            key = (fault.kind, f"{fault.text} {fault.utc}" if fault.kind in _APART else "")
            first = self._waiting.get(key)
            if first is not None:
                fault = replace(
                    first,
                    count=first.count + fault.count,
                    frames=first.frames + fault.frames,
                    camera=fault.camera or first.camera,
                )
            self._waiting[key] = fault

    def pop_all(self) -> list[RecordingFault]:
        """Return what has not been stored yet, and forget it."""
        with self._lock:
            waiting = list(self._waiting.values())
            self._waiting.clear()
            return waiting

    @property
    def faults(self) -> dict[str, int]:
        """The number of faults by kind."""
        with self._lock:
            return {kind.value: count for kind, count in self._counts.items() if kind.is_fault}

    @property
    def frames_missing(self) -> int:
        """Frames that are missing by the camera's own counter."""
        return self._missing


def ranges_text(ranges: Iterable[range]) -> str:
    """Return ranges of numbers as text: ``12, 15-17``."""
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in ranges if run)


def complete_verdict(faults: Mapping[str, int], frames_missing: int) -> str:
    """Return the verdict of a recording that holds every frame it was given: ``complete``, or with what went wrong."""
    total = sum(faults.values())
    if not total and not frames_missing:
        return COMPLETE_VERDICT
    kinds = ", ".join(f"{count} {kind}" for kind, count in faults.items())
    verdict = f"{COMPLETE_VERDICT}, with {total} {'fault' if total == 1 else 'faults'}: {kinds}"
    frames = "frame" if frames_missing == 1 else "frames"
    return f"{verdict}; {frames_missing} {frames} missing by the camera's counter" if frames_missing else verdict


def event_frames(event: Event) -> list[int]:
    """Return the numbers of the frames that an event of a recording names: those that it is about, or the one after it."""
    named = next(iter([*_NAMED_FRAMES.finditer(event.text)][-1:]), None)  # a text of somebody else may hold such words too
    numbers: list[int] = []
    for part in named[1].split(", ") if named else ():
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


@dataclass(frozen=True)
class Marker:
    """A moment of a recording that the operator has marked.

    Parameters
    ----------
    text : str
        What the operator wrote.
    utc : str
        When, ISO 8601.
    frame_index : int
        The camera's number of the newest frame at that moment.
    """

    text: str
    utc: str
    frame_index: int


def marker(text: str, frame_index: int) -> RecordingFault:
    """Return what stores a marker; raises StorageError when its text is empty, long, or has several lines."""
    text = text.strip()
    if not text or len(text) > _MOST_MARKER_TEXT or not text.isprintable() or not is_text(text):
        raise StorageError(
            f"a marker has 1 to {_MOST_MARKER_TEXT} letters in one line, got {text[:50]!r} ({len(text)} letters)"
        )
    return RecordingFault(kind=EventKind.MARKER, text=text, frames=(range(frame_index, frame_index + 1),))


def markers(archive: Archive) -> tuple[Marker, ...]:
    """Return the markers of a recording, in order."""
    texts = [_MARKER.fullmatch(event.text) for event in archive.events() if event.kind is EventKind.MARKER]
    return tuple(Marker(match[1], match[2], int(match[3])) for match in texts if match)


def recorded_faults(archive: Archive) -> dict[str, int]:
    """Return the number of faults by kind, as the events of an archive tell it."""
    counts: Counter[str] = Counter()
    for event in archive.events():
        if isinstance(event.kind, EventKind) and event.kind.is_fault:
            times = _TIMES.match(event.text)
            counts[event.kind.value] += int(times[1]) if times else 1
    return dict(counts)


def marked_frames(archive: Archive) -> dict[str, str]:
    """Return the numbers of the frames that have each mark, as text: ``{"dark": "12, 15-17"}``."""
    runs: dict[str, list[range]] = {}
    for row in archive.rows():
        for mark in str(row.extra.get(ROW_MARKS, "")).split(",") if ROW_MARKS in row.extra else ():
            known = runs.setdefault(mark, [])
            if known and known[-1].stop == row.frame_index:
                known[-1] = range(known[-1].start, row.frame_index + 1)
            else:
                known.append(range(row.frame_index, row.frame_index + 1))
    return {mark: ranges_text(known) for mark, known in runs.items()}


def recording_facts(archive: Archive) -> dict[str, object]:
    """Return how a recording went, for its exports: its end, faults, marked frames, frames without phase or labels.

    A number is None, and ``ended_by`` empty, where the recording does not state it, as those of version 0.1.0.
    """
    status = archive.status
    numbers = {key: _number(archive, key) for key in (FRAMES_MISSING, NOT_RECONSTRUCTED, NOT_SEGMENTED)}
    return {
        "verdict": status.get("verdict", ""),
        "ended_by": status.get(ENDED_BY, ""),
        "faults": recorded_faults(archive),
        **numbers,
        "marked_frames": marked_frames(archive),
        DISCS: {method: described_disc(disc) for method, disc in archive.discs().items()},
        "markers": [{"utc": one.utc, "frame": one.frame_index, "text": one.text} for one in markers(archive)],
        "events": [f"{event.utc} {event.kind}: {event.text}" for event in archive.events()],
    }


def _number(archive: Archive, key: str) -> int | None:
    text = archive.status.get(key)
    try:
        return None if text is None else int(text)
    except ValueError as error:
        raise StorageError(f"{archive.path}: {key} in its journal is {text!r}, no number; restore it from a copy") from error
