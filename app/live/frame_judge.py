"""Judges every frame of the live view: dark, saturated, frozen, or without anything in common with the reference."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from acquisition.capture.pair_capture import FrameLimits
from drivers.base import Frame, FrameMark
from reconstruction.engines.base import Counts
from reconstruction.live.reference_gauge import ReferenceGauge

#: A frame with a lower correlation with the reference has nothing in common with it. On the twin, objects of every source leave
#: a correlation of 0.33 to 0.94, also in frames of 64 x 64 pixels, and another fibre gives at most 0.12. The drift alarm (0.5)
#: comes long before: at 0.2 the phases of the cores have moved by 1.3 rad rms.
MIN_CORRELATION = 0.2
#: A frame whose mean is a smaller fraction of the reference's mean has lost its light, whatever the camera's black level is.
MIN_REFERENCE_FRACTION = 0.1
#: Mean and saturation are those of every n-th row, with at least so many pixels.
_SAMPLE_PX = 2**16
#: A camera has noise when at least this fraction of the bright pixels differs between two shots of the same scene.
_NOISY_FRACTION = 0.1
#: Frames are compared at every n-th row first.
_SPARSE_ROWS = 64


class FrameJudge:
    """Gives each frame its marks. Only the capture thread calls it, with frames that have the camera's own numbers.

    - ``DARK``: the mean is below ``min_mean_fraction`` of full scale, or below ``MIN_REFERENCE_FRACTION`` of the reference's
      mean. Nothing else can be said of such a frame.
    - ``SATURATED``: more than ``max_saturated`` of the pixels are at full scale.
    - ``FROZEN``: the frame has the number of the frame before. Or it has the same bytes, they have contrast, and the camera has
      noise. A camera has noise when two reference shots in a row, which show the same scene, differ in a tenth of their bright
      pixels; motion in a film changes less. A camera without noise shows a static scene with the same bytes, and that is not
      frozen. With a single reference shot the noise stays unknown, and only the number counts.
    - ``DECORRELATED``: the correlation with the reference is below ``MIN_CORRELATION``. A saturated frame has lost its
      contrast, so its correlation says nothing about the fibre; it is only unreadable.

    ``FrameMark.NAN`` is for the reconstruction to give: camera counts are integers.

    Parameters
    ----------
    limits : FrameLimits, optional
        Limits of a frame, the same as in an acquisition.
    """

    def __init__(self, limits: FrameLimits | None = None) -> None:
        self._limits = limits or FrameLimits()
        self._has_noise = False
        self._last: Frame | None = None
        self._last_shot: Frame | None = None
        self._armed = True
        self._gauge: ReferenceGauge | None = None
        self._reference_mean = 0.0

    @property
    def has_noise(self) -> bool:
        """Whether the camera has noise, as far as its reference shots have shown."""
        return self._has_noise

    def armed(self) -> None:
        """Note that the camera was armed: its numbers start again."""
        self._armed = True

    def light_changed(self) -> None:
        """Note that exposure or gain has changed: the reference's mean says nothing about the light any more."""
        self._reference_mean = 0.0

    def forget_reference(self) -> None:
        """Note that frames have another shape or region: they are compared with nothing until there is a new reference."""
        self._reference_mean = 0.0
        self._gauge = self._last = self._last_shot = None

    def add_reference_shot(self, frame: Frame) -> None:
        """Learn from a reference shot and the one before it whether the camera has noise; it has our own number."""
        last, self._last_shot = self._last_shot, frame
        if last is not None and frame.index == last.index + 1 and FrameMark.FROZEN not in frame.marks:
            bright = frame.pixels > frame.pixels.mean()
            differs = (frame.pixels != last.pixels) & bright
            self._has_noise |= bool(np.count_nonzero(differs) > _NOISY_FRACTION * np.count_nonzero(bright))

    def set_reference(self, reference: NDArray[np.float32]) -> None:
        """Compare frames with this reference, shaped as a frame, in counts from now on; a dark one is compared with nothing."""
        self._reference_mean = float(reference.mean())
        self._gauge = ReferenceGauge(reference) if self._reference_mean > 0 else None

    def __call__(self, frame: Frame) -> Frame:
        """Return the frame with its marks."""
        last, self._last = self._last, frame
        was_armed, self._armed = self._armed, False
        rows = frame.pixels.reshape(-1, frame.shape[1])  # of all channels
        sample = rows[:: max(1, frame.pixels.size // _SAMPLE_PX)]
        least = max(self._limits.min_mean_fraction * frame.full_scale, MIN_REFERENCE_FRACTION * self._reference_mean)
        if cv2.mean(sample)[0] < least:  # several times as fast as NumPy's mean of integers
            return frame.marked((FrameMark.DARK,), readable=False)
        is_saturated = np.count_nonzero(sample >= frame.full_scale) > self._limits.max_saturated * sample.size
        readable = self._gauge is None or self._gauge.correlation(frame.pixels) >= MIN_CORRELATION
        conditions = {
            FrameMark.SATURATED: is_saturated,
            FrameMark.FROZEN: last is not None
            and ((frame.index == last.index and not was_armed) or self._is_repeated(frame.pixels, last.pixels)),
            FrameMark.DECORRELATED: not readable and not is_saturated,
        }
        marks = tuple(mark for mark, holds in conditions.items() if holds)
        return frame.marked(marks, readable=readable) if marks or not readable else frame

    def _is_repeated(self, pixels: Counts, last: Counts) -> bool:
        """Whether a camera with noise gave the same bytes twice; an image without contrast does not count."""
        if not self._has_noise or not np.array_equal(pixels[::_SPARSE_ROWS], last[::_SPARSE_ROWS]):
            return False
        return bool(np.array_equal(pixels, last) and pixels.min() < pixels.max())
