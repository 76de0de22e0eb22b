"""The rows and events that an archive's journal stores: facts about each set of images, and about the run."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from acquisition.archive.kinds import EventKind
from drivers.base import Frame, SpeckleScopeError

ExtraValue = str | int | float
#: No frame waits longer from its exposure until its row is made.
_LONGEST_WAIT_S = 60.0


class StorageError(SpeckleScopeError):
    """An archive could not be written or read; what was acknowledged before stays on disk."""


class WrongImageError(StorageError):
    """An image does not fit its archive's arrays; the archive stays usable."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairRow:
    """Facts about one set of images that were captured together.

    Parameters
    ----------
    frame_index : int
        The camera's own frame counter.
    t_ns : int
        End of exposure, monotonic clock of the host, in nanoseconds.
    exposure_s : float
        Exposure time in seconds.
    pattern_id, pattern_name : str
        Content hash and name of the pattern on the SLM; empty where unknown.
    host_utc : str
        Wall-clock time at the end of the exposure, ISO 8601; if empty, the writer fills in the time at which the pair is
        appended.
    model_id, engine : str
        Model and engine that reconstructed the frame, in a recording; empty in a dataset.
    latency_s : float, optional
        Time from the end of exposure to the finished reconstruction, in seconds.
    extra : mapping of str to str, int or float
        Further facts about the pair, for instance the camera's own time or a trigger number.

    Raises
    ------
    StorageError
        A value is not a plain finite Python value, for instance a NumPy integer, or an integer has more than 64 bits.
    """

    frame_index: int
    t_ns: int
    exposure_s: float
    pattern_id: str = ""
    pattern_name: str = ""
    host_utc: str = ""
    model_id: str = ""
    engine: str = ""
    latency_s: float | None = None
    extra: Mapping[str, ExtraValue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # SQLite would refuse NumPy integers, large integers and NaN only at the commit, far from the mistake.
        if (
            _is_int64(self.frame_index)
            and _is_int64(self.t_ns)
            and math.isfinite(self.exposure_s)
            and is_text(self.pattern_id)
            and is_text(self.pattern_name)
            and all(map(_can_be_stored, self.extra.values()))
        ):
            return
        wrong: dict[str, object] = {k: v for k, v in self.extra.items() if not _can_be_stored(v)}
        wrong |= {k: getattr(self, k) for k in ("frame_index", "t_ns") if not _is_int64(getattr(self, k))}
        wrong |= {k: getattr(self, k) for k in ("pattern_id", "pattern_name") if not is_text(getattr(self, k))}
        if not math.isfinite(self.exposure_s):
            wrong["exposure_s"] = self.exposure_s
        raise StorageError(f"a row of the journal takes plain finite Python values, got {wrong}; convert them")

    @classmethod
    def of_frame(cls, frame: Frame, pattern_name: str = "", **extra: ExtraValue) -> PairRow:
        """Return the row of a frame that was just captured.

        Keyword arguments and the camera's own time are stored as ``extra``.
        """
        if frame.device_ns is not None:
            extra["device_ns"] = frame.device_ns
        return cls(
            frame_index=frame.index,
            t_ns=frame.t_ns,
            exposure_s=frame.exposure_s,
            pattern_id=frame.pattern_id or "",
            pattern_name=pattern_name,
            host_utc=exposure_utc(frame.t_ns),
            extra=extra,
        )


def exposure_utc(t_ns: int) -> str:
    """Return the wall-clock time at which an exposure ended, as ISO 8601 in UTC.

    Parameters
    ----------
    t_ns : int
        When it ended, on the monotonic clock of this computer. The present time is returned for a moment that is not in the
        last minute: it is then of another clock, such as that of a simulation.
    """
    age_s = (time.monotonic_ns() - t_ns) * 1e-9
    age = timedelta(seconds=age_s if 0 <= age_s <= _LONGEST_WAIT_S else 0)
    return (datetime.now(UTC) - age).isoformat(timespec="microseconds")


def is_text(value: str) -> bool:
    """Whether a text can be stored: the name of a file whose bytes are no UTF-8 cannot."""
    if value.isascii():
        return True
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _can_be_stored(value: object) -> bool:
    """Whether a further fact can be stored: a text, a number of Python, or NaN."""
    return is_text(value) if isinstance(value, str) else isinstance(value, float) or _is_int64(value)


def _is_int64(value: object) -> bool:
    return isinstance(value, int) and -(2**63) <= value < 2**63


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredRow(PairRow):
    """An acknowledged row: the facts about its images, their place in the archive, and their check sums.

    Parameters
    ----------
    index : int
        Number of the pair, from 0 to ``len(archive) - 1`` without gaps.
    slot : int
        Position along the first axis of every array. It increases with ``index``; gaps lie where a shard was sealed early.
    shard : int
        Number of the shard that holds the slot.
    crc32 : mapping of str to int
        CRC-32 of each image's bytes in C order, by array name.
    """

    index: int
    slot: int
    shard: int
    crc32: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """Something worth remembering about a run: a fault, a withdrawal of pairs, a passed check.

    ``kind`` is plain text where this version does not know the kind.
    """

    utc: str
    kind: EventKind | str
    text: str
