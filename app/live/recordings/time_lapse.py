"""A long time lapse: one frame of every interval for hours, continued after a crash in the next part.

A part is a recording of its own: the numbers of the camera's frames and the clock of the frames begin again when a computer or
a camera does, and one recording has one of each. All parts keep the grid of the first one, so that no interval shifts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.rows import StorageError
from app.live.recordings.options import RecordingOptionsError

#: Key of the metadata of a part.
TIME_LAPSE = "time_lapse"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)?")
_SECONDS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}


def seconds_of(text: str) -> float:
    """Return a duration such as ``20min``, ``14h``, ``1.5 h``, ``500ms``, ``2d`` or ``30`` in seconds.

    Raises
    ------
    RecordingOptionsError
        It is no duration, or none of more than 0 s.
    """
    match = _DURATION.fullmatch(text.strip())
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if not 0 < seconds < float("inf"):
        raise RecordingOptionsError(f"{text!r} is no duration; write 30s, 20min, 14h or 2d")
    return seconds


@dataclass(frozen=True, kw_only=True)
class TimeLapse:
    """One part of a time lapse.

    Parameters
    ----------
    name : str
        The name of all its parts.
    every_s, for_s : float
        The interval, and how long all parts together go on, in seconds.
    started : datetime
        When the first part began, in UTC.
    part : int
        Number of this part, from 1 on.
    continues : str
        Folder of the part before; empty for the first.
    """

    name: str
    every_s: float
    for_s: float
    started: datetime
    part: int = 1
    continues: str = ""

    @staticmethod
    def begin_or_continue(folder: Path, asked: TimeLapse) -> TimeLapse:
        """Return what to record now: the next part of the same time lapse where its time has not passed, else a first part.

        Parameters
        ----------
        folder : Path
            Where the parts are.
        asked : TimeLapse
            A first part that begins now.
        """
        parts = [(part, path) for path in folder.glob("*_recording_*") if (part := _part_in(path)) is not None]
        going_on = [
            (part, path) for part, path in parts if part.is_same(asked) and 0 < part.left_s(asked.started) <= part.for_s
        ]
        if not going_on:
            return asked
        last, path = max(going_on, key=lambda entry: (entry[0].started, entry[0].part))
        return replace(last, part=last.part + 1, continues=path.name)

    def is_same(self, other: TimeLapse) -> bool:
        """Whether both may be parts of one time lapse."""
        return (self.name, self.every_s, self.for_s) == (other.name, other.every_s, other.for_s)

    @property
    def recording_name(self) -> str:
        """The name of this part's recording."""
        return self.name if self.part == 1 else f"{self.name}-part{self.part}"

    def first_due_s(self, now: datetime) -> float:
        """Return how long it is until the next frame of the grid, in seconds."""
        return 0.0 if self.part == 1 else -(now - self.started).total_seconds() % self.every_s

    def left_s(self, now: datetime) -> float:
        """Return how long the time lapse still goes on, in seconds."""
        return self.for_s - (now - self.started).total_seconds()

    def facts(self) -> dict[str, object]:
        """Return what the metadata of this part say."""
        return {
            TIME_LAPSE: {
                "name": self.name,
                "every_s": self.every_s,
                "for_s": self.for_s,
                "started_utc": self.started.isoformat(timespec="milliseconds"),
                "part": self.part,
                "continues": self.continues,
            }
        }


def _part_in(path: Path) -> TimeLapse | None:
    """Return which part a recording is; None where it is none, or cannot be read."""
    try:
        archive = Archive.open(path)
        said = archive.metadata.get(TIME_LAPSE)
        if archive.kind is not ArchiveKind.RECORDING or not isinstance(said, dict):
            return None
        started = datetime.fromisoformat(str(said["started_utc"])).astimezone(UTC)
        return TimeLapse(
            name=str(said["name"]),
            every_s=float(said["every_s"]),
            for_s=float(said["for_s"]),
            started=started,
            part=int(said["part"]),
            continues=str(said["continues"]),
        )
    except (StorageError, KeyError, ValueError, TypeError):
        return None
