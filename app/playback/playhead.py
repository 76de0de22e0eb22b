"""Where a recording is being played: by its true times, faster or slower, or evenly, until its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from app.playback.timeline import Timeline


class PlayState(Enum):
    """What the playhead does.

    ::

        PAUSED -- play() --> PLAYING
        PAUSED <-- pause(), step(), the end -- PLAYING

    A playhead that stands at the end begins at the start again when it is played.
    """

    PAUSED = "paused"
    PLAYING = "playing"


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast a recording is played.

    Parameters
    ----------
    text : str
        For people.
    speed : float
        Seconds of the recording for each second that passes.
    frames_per_s : float, optional
        Frames for each second that passes, whatever their times; ``speed`` then does not count.
    """

    text: str
    speed: float = 1.0
    frames_per_s: float | None = None


#: As it was recorded.
TRUE_PACE = Pace(text="1 ×")
#: Ten frames a second: for recordings with a frame every minute or every hour.
EVEN_PACE = Pace(text="10 frames/s", frames_per_s=10.0)
PACES = (
    Pace(text="1/8 ×", speed=1 / 8),
    Pace(text="1/4 ×", speed=1 / 4),
    Pace(text="1/2 ×", speed=1 / 2),
    TRUE_PACE,
    Pace(text="2 ×", speed=2.0),
    Pace(text="4 ×", speed=4.0),
    Pace(text="8 ×", speed=8.0),
    EVEN_PACE,
)


class Playhead:
    """The frame that is shown now.

    Parameters
    ----------
    clock : callable
        Returns the present time in seconds.

    Attributes
    ----------
    loop : bool
        Whether it starts again at the end. Otherwise it stops there.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.loop = False
        self._clock = clock
        self._timeline = Timeline(np.zeros(0, np.int64))
        self._state = PlayState.PAUSED
        self._pace = TRUE_PACE
        self._position = 0
        self._time_s = 0.0  # of the recording, when the anchor was set
        self._anchor_s = 0.0  # of the clock
        self._first = 0  # the frame at that moment

    @property
    def state(self) -> PlayState:
        """What it does."""
        return self._state

    @property
    def timeline(self) -> Timeline:
        """The times of what is played."""
        return self._timeline

    @property
    def position(self) -> int:
        """Number of the frame that is shown, from 0."""
        return self._position

    @property
    def last(self) -> int:
        """Number of the last frame."""
        return max(0, len(self._timeline) - 1)

    @property
    def pace(self) -> Pace:
        """How fast it plays."""
        return self._pace

    @property
    def time_s(self) -> float:
        """The time that it has reached, in seconds after the first frame. In a gap it goes on while the frame stays."""
        if self._state is PlayState.PAUSED or self._pace.frames_per_s is not None:
            return self._timeline.time_of(self._position)
        return min(self._reached_s(), self._timeline.duration_s)

    def use(self, timeline: Timeline) -> None:
        """Play something else, or the same with further frames; the frame stays as far as there is one of its number."""
        self._timeline = timeline
        self._go(min(self._position, self.last))

    def set_pace(self, pace: Pace) -> None:
        """Play faster or slower from now on."""
        time_s = self.time_s
        self._pace = pace
        self._anchor(time_s)

    def play(self) -> None:
        """Play on; at the end, from the start."""
        if not len(self._timeline):
            return
        if self._position >= self.last:
            self._position = 0
        self._state = PlayState.PLAYING
        self._anchor(self._timeline.time_of(self._position))

    def pause(self) -> None:
        """Stop at the frame that is shown."""
        self._state = PlayState.PAUSED

    def seek(self, position: int) -> None:
        """Go to a frame; a playhead that plays goes on from there."""
        self._go(min(max(0, position), self.last))

    def step(self, frames: int) -> None:
        """Stop, and go so many frames on or back."""
        self.pause()
        self.seek(self._position + frames)

    def tick(self) -> int:
        """Go on to the present time; return the number of the frame that is to be shown."""
        if self._state is not PlayState.PLAYING:
            return self._position
        self._position, is_over = self._reached()
        if is_over and self.loop:
            self._go(0)
        elif is_over:
            self.pause()
        return self._position

    def coming(self, frames: int, interval_s: float) -> tuple[int, ...]:
        """Return the next frames that are shown if the playhead is asked every ``interval_s`` seconds, without doubles.

        While it stands, these are the frames after and before the one that is shown.
        """
        if self._state is PlayState.PLAYING:
            later = (self._reached(later_s)[0] for later_s in np.arange(1, 4 * frames) * interval_s)
            wanted = [position for position in dict.fromkeys(later) if position != self._position]
            if len(wanted) < frames and self.loop:
                wanted += [
                    position for position in range(min(frames - len(wanted), len(self._timeline))) if position not in wanted
                ]
            return tuple(wanted[:frames])
        near = [self._position + sign * distance for distance in range(1, frames // 2 + 1) for sign in (1, -1)]
        return tuple(position for position in near if 0 <= position <= self.last)

    def _go(self, position: int) -> None:
        self._position = position
        self._anchor(self._timeline.time_of(position))

    def _anchor(self, time_s: float) -> None:
        self._time_s = time_s
        self._anchor_s = self._clock()
        self._first = self._position

    def _reached_s(self, later_s: float = 0.0) -> float:
        return self._time_s + (self._clock() + later_s - self._anchor_s) * self._pace.speed

    def _reached(self, later_s: float = 0.0) -> tuple[int, bool]:
        """Return the frame at the present time or somewhat later, and whether the end is reached."""
        if self._pace.frames_per_s is not None:
            passed_s = self._clock() + later_s - self._anchor_s
            position = self._first + int(passed_s * self._pace.frames_per_s)
            return min(position, self.last), position > self.last
        time_s = self._reached_s(later_s)
        # The last frame stays as long as any other, so that a loop does not skip it.
        is_over = time_s >= self._timeline.duration_s + self._timeline.period_s
        return self._timeline.position_at(time_s), is_over
