"""Which frame a stage that is slower than the camera takes next: the newest, or one that is due at once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

from acquisition.streams.channel import Channel, ChannelClosedError
from drivers.base import Frame

#: A stage waits for at most so much of the camera's period, which costs 2 % of its rate. At 60 frames per second and 36 ms for
#: each on two cores, 99 % of the frames are then at most 14 ms old.
_MOST_OF_PERIOD = 0.3
#: Weight of the newest frame in the mean period and in the mean time at which frames come.
_NEWEST = 0.1
#: For a frame that is later than expected by more than this part of the period, the stage does not wait. A computer that draws
#: and computes takes some frames late from the camera.
_LATE_OF_PERIOD = 0.6


class FreshFrames:
    """The frames of a camera for a stage that cannot use them all. One thread puts frames, another one iterates.

    When the stage becomes free, the newest frame waits in the channel. If it is nearly one period old or more, the next one is
    worth the short wait.

    Parameters
    ----------
    channel : Channel of Frame
        Holds the newest frame.
    clock : callable, optional
        The time in seconds.

    Attributes
    ----------
    passed_over : int
        Frames that were not used because a newer one was worth the wait.
    """

    def __init__(self, channel: Channel[Frame], clock: Callable[[], float] = time.monotonic) -> None:
        self.passed_over = 0
        self._channel = channel
        self._clock = clock
        self._period_s = math.nan
        self._newest_s = math.nan
        self._expected_s = math.nan  # when the newest frame should have come, without its jitter

    def put(self, frame: Frame) -> None:
        """Hand over a frame when it comes; raises ChannelClosedError when the channel is closed."""
        now_s = self._clock()
        elapsed_s, self._newest_s = now_s - self._newest_s, now_s
        if not 0.5 * self._period_s < elapsed_s < 2 * self._period_s:  # first frames, after a pause, or at another rate
            self._period_s, self._expected_s = elapsed_s, now_s
        else:
            self._period_s += _NEWEST * (elapsed_s - self._period_s)
            self._expected_s += self._period_s
            self._expected_s += _NEWEST * (now_s - self._expected_s)
        self._channel.put(frame)

    @property
    def waiting(self) -> bool:
        """Whether a frame waits."""
        return self._channel.waiting > 0

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames until the channel is closed; raises the error with which it was closed."""
        for frame in self._channel:
            yield self._fresher(frame)

    def _fresher(self, frame: Frame) -> Frame:
        """Return the frame, or the next one if that is due at once or a little late, and comes."""
        period_s = self._period_s
        due_s = self._expected_s + period_s - self._clock()
        longest_s = due_s + _LATE_OF_PERIOD * period_s
        if not (longest_s > 0 and due_s < _MOST_OF_PERIOD * period_s):  # also while the period is not known
            return frame
        try:
            newer = self._channel.get(longest_s)
        except (TimeoutError, ChannelClosedError):
            return frame
        self.passed_over += 1
        return newer
