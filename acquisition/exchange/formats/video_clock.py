"""When each frame of a video is shown, and the clocks of Matroska and MP4 that can say so."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acquisition.exchange.export_base import ExportError

#: Time between frames that have no times.
_PLACEHOLDER_NS = 10**9
#: Ticks per second of MP4, the finest first: an interval is below 2^31 ticks.
_MP4_RATES = (1_000_000, 90_000, 1000, 1)
#: The largest number of 32 bits.
_MOST = 2**31 - 1
#: FFmpeg writes Matroska in ticks of 1 ms, as the header states in nanoseconds. We count 1 us instead, and correct the header.
MATROSKA_RATE = 1_000_000
_FIRST_CLUSTER = b"\x1f\x43\xb6\x75"
_TICK = re.compile(rb"(\x2a\xd7\xb1\x83)\x0f\x42\x40")
_DURATION = re.compile(rb"(\x45\xa3\x88DURATION\x44\x87\x94)(.{20})", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class FrameTimes:
    """When each frame is shown.

    Parameters
    ----------
    shown_ns : ndarray of int64, shape (N,)
        Since the first frame; each is later than the one before.
    last_ns : int
        How long the last frame is shown: as long as most others.
    unknown : int
        Intervals that are not known, because the clock started again, or because the frames have no times.
    """

    shown_ns: NDArray[np.int64]
    last_ns: int
    unknown: int

    @property
    def total_ns(self) -> int:
        """How long the whole video lasts."""
        return int(self.shown_ns[-1]) + self.last_ns

    @property
    def mean_rate(self) -> Fraction:
        """Frames per second, as FFmpeg takes it: numerator and denominator below 2^31."""
        rate = Fraction(len(self.shown_ns) * 10**9, self.total_ns)
        return _short(rate) if rate >= 1 else 1 / _short(1 / rate)

    def facts(self) -> str:
        """Return in one line where the times come from."""
        if self.unknown == len(self.shown_ns) - 1:
            return "the frames have no times: one frame a second is a placeholder"
        text = f"every frame is shown at its recorded time, on average {float(self.mean_rate):.6g} frames per second"
        return text if not self.unknown else f"{text}; {self.unknown} unknown intervals have the median"

    def ticks(self, rate: int) -> NDArray[np.int64]:
        """Return when each frame is shown and when the last one ends, (N + 1,), in ticks of ``1 / rate`` seconds.

        Two frames are at least one tick apart.
        """
        ends_ns = np.append(self.shown_ns, self.total_ns)
        whole_s, rest_ns = np.divmod(ends_ns, 10**9)
        ticks = whole_s * rate + np.round(rest_ns * (rate * 1e-9)).astype(np.int64)
        order = np.arange(len(ticks))
        return np.asarray(np.maximum.accumulate(ticks - order) + order)


def _short(number: Fraction) -> Fraction:
    """Return about the same number of at least 1, with numerator and denominator below 2^31."""
    whole = min(math.ceil(number), _MOST - 1)
    return min(number, Fraction(whole)).limit_denominator(max(1, min(10**6, _MOST // (whole + 1))))


def frame_times(t_ns: Sequence[int]) -> FrameTimes:
    """Return when each frame is shown, from the times of a monotonic clock in ns, which may have started again."""
    steps_ns = np.diff(np.array(t_ns, np.int64))
    known = steps_ns > 0
    usual_ns = round(float(np.median(steps_ns[known]))) if known.any() else _PLACEHOLDER_NS
    shown_ns = np.cumsum(np.append(0, np.where(known, steps_ns, usual_ns)))
    return FrameTimes(shown_ns=shown_ns, last_ns=usual_ns, unknown=int(np.count_nonzero(~known)))


def mp4_rate(times: FrameTimes) -> int:
    """Return the finest clock of MP4, in ticks per second, that can hold the longest interval."""
    longest_s = max(int(np.diff(times.shown_ns).max(initial=0)), times.last_ns) * 1e-9
    return next((rate for rate in _MP4_RATES if longest_s * rate < _MOST), _MP4_RATES[-1])


def set_matroska_clock(path: Path, total_ns: int) -> None:
    """Correct the header of a Matroska file that FFmpeg wrote: its ticks are not 1 ms but 1 us.

    Parameters
    ----------
    path : Path
        The complete file, written without check sums of its elements.
    total_ns : int
        How long it lasts; FFmpeg also states this as text.

    Raises
    ------
    ExportError
        This FFmpeg writes another header.
    OSError
        The file cannot be written.
    """
    with path.open("r+b") as file:
        head = file.read(2**20).partition(_FIRST_CLUSTER)[0]
        tick, duration = _TICK.search(head), _DURATION.search(head)
        if tick is None:
            raise ExportError(f"this PyAV writes another Matroska header into {path.name}; install the version of setup.cfg")
        file.seek(tick.end(1))
        file.write((10**9 // MATROSKA_RATE).to_bytes(3, "big"))
        if duration is not None:
            minutes, rest_ns = divmod(total_ns, 60 * 10**9)
            text = f"{minutes // 60:02d}:{minutes % 60:02d}:{rest_ns // 10**9:02d}.{rest_ns % 10**9:09d}"
            file.seek(duration.start(2))
            file.write(text.encode("ascii")[:20].ljust(20, b"\0"))
