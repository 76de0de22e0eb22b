"""How to record: for how long, which frames, and what is written about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from app.status import RecordingLength
from drivers.base import SpeckleScopeError

_MOST_TEXT = 10_000
#: Letters of an operator's name, a sample or a licence, at most; as in an instrument file.
MOST_CREDIT = 200


class RecordingOptionsError(SpeckleScopeError):
    """An option of a recording that cannot be."""


@dataclass(frozen=True, kw_only=True)
class Credits:
    """Who measures what, and under which licence the data may be used; where a text is empty, the instrument file counts.

    Raises
    ------
    RecordingOptionsError
        A text is too long.
    """

    operator: str = ""
    sample: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        for what, text in asdict(self).items():
            if len(text) > MOST_CREDIT:
                raise RecordingOptionsError(f"the {what} has {len(text)} letters; write at most {MOST_CREDIT}")


@dataclass(frozen=True, kw_only=True)
class RecordingOptions:
    """How to record; by default every frame from now on, until it is stopped.

    Parameters
    ----------
    length : RecordingLength
        After how much it ends by itself, counted from the moment at which recording was asked for.
    before_s : float
        Seconds of before that moment, which the live view has kept; they come on top of the length.
    every_nth : int
        Record one of so many frames.
    every_s : float, optional
        Record one frame of every such interval, in seconds: the first one that inference has reconstructed.
    first_due_s : float
        When the first interval begins, in seconds from the first frame on.
    folder : Path, optional
        Where to record; by default the folder for archives of the instrument.
    notes : str
        A text about the recording.
    tags : tuple of str
        Words to look for later.
    credits : Credits
        Who measures what, and under which licence the data may be used.
    facts : mapping of str to value
        Further facts for the metadata.
    check_disk : callable
        Raises OSError where a disk is simulated that is full; see :class:`acquisition.archive.writer.ArchiveWriter`.

    Raises
    ------
    RecordingOptionsError
        A value is out of its range, or two exclude each other.
    """

    length: RecordingLength = field(default_factory=RecordingLength)
    before_s: float = 0.0
    every_nth: int = 1
    every_s: float | None = None
    first_due_s: float = 0.0
    folder: Path | None = None
    notes: str = ""
    tags: tuple[str, ...] = ()
    credits: Credits = Credits()
    facts: dict[str, object] = field(default_factory=dict)
    check_disk: Callable[[], None] = field(default=lambda: None, compare=False)

    def __post_init__(self) -> None:
        if self.every_nth < 1:
            raise RecordingOptionsError(f"record one of 1 or more frames, not one of {self.every_nth}")
        if self.before_s < 0 or self.first_due_s < 0:
            raise RecordingOptionsError(f"seconds before a recording are 0 or more, got {self.before_s}")
        if self.every_s is not None and not self.every_s > 0:
            raise RecordingOptionsError(f"an interval between frames is longer than 0 s, got {self.every_s} s")
        if self.every_s is not None and (self.every_nth > 1 or self.before_s):
            raise RecordingOptionsError("choose either one frame every so many seconds, or every n-th frame and seconds before")
        for what, value in (("frames", self.length.frames), ("seconds", self.length.seconds)):
            if value is not None and not value > 0:
                raise RecordingOptionsError(f"a recording has more than 0 {what}, got {value}")
        if len(self.notes) + sum(map(len, self.tags)) > _MOST_TEXT:
            raise RecordingOptionsError(f"notes and tags have more than {_MOST_TEXT} letters; write a shorter text")

    @property
    def has_every_frame(self) -> bool:
        """Whether no frame is left out on purpose."""
        return self.every_nth == 1 and self.every_s is None

    def metadata(self) -> dict[str, object]:
        """Return what the metadata say of these options: only what differs from the default."""
        said: dict[str, object] = {
            "notes": self.notes,
            "tags": list(self.tags),
            "every_nth_frame": self.every_nth if self.every_nth > 1 else None,
            "every_s": self.every_s,
            "seconds_before": self.before_s,
            "set_frames": self.length.frames,
            "set_seconds": self.length.seconds,
            **asdict(self.credits),
        }
        return {key: value for key, value in said.items() if value} | self.facts
