"""What ``specklescope record`` records: options of the command, and what they mean for a session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from app.cli.options import Count, Positive

if TYPE_CHECKING:
    from app.live.recordings.options import RecordingOptions

_DEFAULT_S = 10.0


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class WhatToRecord:
    """How long, which frames, where, and what is written about it."""

    seconds: Annotated[
        Positive | None, Parameter(help="Record for so many seconds; by default 10, if nothing else is said.")
    ] = None
    frames: Annotated[Count | None, Parameter(help="Record so many frames.")] = None
    before: Annotated[
        str, Parameter(help="Begin with the frames of so long before, such as 5s: the command keeps them first.")
    ] = ""
    every_nth: Annotated[Count, Parameter(help="Record one of so many frames.")] = 1
    every: Annotated[
        str, Parameter(help="Record one frame in every interval, such as 20min. The same command continues after a crash.")
    ] = ""
    duration: Annotated[str, Parameter(name="--for", help="With --every: how long, such as 14h, over all parts.")] = ""
    folder: Annotated[Path | None, Parameter(help="Where to record, instead of the folder for archives.")] = None
    pattern: Annotated[
        str, Parameter(help="Name pattern with {name}, {date}, {time} and {counter:03}, such as '{name}-{counter:03}'.")
    ] = "{name}"
    notes: Annotated[str, Parameter(help="A text that is stored with the recording.")] = ""
    tag: Annotated[list[str] | None, Parameter(negative="", help="A word to look for later; repeat it for several.")] = None


@dataclass(frozen=True)
class Order:
    """What a session is to record.

    Parameters
    ----------
    name : str
        Of the recording.
    options : RecordingOptions
        How.
    seconds : float or None
        When the command expects the end, in seconds; None for a number of frames.
    """

    name: str
    options: RecordingOptions
    seconds: float | None


def order_of(name: str, what: WhatToRecord, archive: Path) -> Order:
    """Return what to record now; raises RecordingOptionsError for options that cannot be.

    Parameters
    ----------
    name : str
        The name that was given.
    what : WhatToRecord
        The options that were given.
    archive : Path
        The folder for archives.
    """
    from datetime import UTC, datetime

    from acquisition.archive.folder import clean_name
    from app.live.recordings.name_pattern import recording_name
    from app.live.recordings.options import RecordingOptions, RecordingOptionsError
    from app.live.recordings.time_lapse import TimeLapse, seconds_of
    from app.status import RecordingLength

    folder = what.folder or archive
    has_length = what.seconds is not None or what.frames is not None
    if bool(what.every) != bool(what.duration) or (what.every and has_length):
        raise RecordingOptionsError("a time lapse has --every and --for, and neither --seconds nor --frames")

    def is_used(candidate: str) -> bool:
        return any(folder.glob(f"*_recording_{clean_name(candidate)}_*"))

    seconds = what.seconds if has_length else _DEFAULT_S
    first_due_s, every_s, facts = 0.0, None, {}
    called = recording_name(what.pattern, name, datetime.now().astimezone(), is_used)
    if what.every:
        now = datetime.now(UTC)
        every_s = seconds_of(what.every)
        asked = TimeLapse(name=name, every_s=every_s, for_s=seconds_of(what.duration), started=now)
        lapse = TimeLapse.begin_or_continue(folder, asked)
        called, seconds, first_due_s, facts = lapse.recording_name, lapse.left_s(now), lapse.first_due_s(now), lapse.facts()
    options = RecordingOptions(
        length=RecordingLength(seconds=seconds, frames=what.frames),
        before_s=seconds_of(what.before) if what.before else 0.0,
        every_nth=what.every_nth,
        every_s=every_s,
        first_due_s=first_due_s,
        folder=what.folder,
        notes=what.notes,
        tags=tuple(what.tag or ()),
        facts=facts,
    )
    return Order(called, options, seconds)
