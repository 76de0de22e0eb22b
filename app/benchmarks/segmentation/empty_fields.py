"""Frames that show no object, and how many objects a segmenter labels in them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np

from app.benchmarks.segmentation.seen_frames import FrameSource, SeenFrame
from app.progress import Report
from drivers.base import FrameMark
from reconstruction.segmentation.base import Segmenter

#: Standard deviation and grain of a pattern that is nothing but noise, in radians and in pixels of the pattern.
_NOISE_RAD, _GRAINS_PX = (0.01, 0.1), (0.0, 4.0, 8.0, 16.0)
#: Fraction of the usual light in every other frame that is nothing but noise, and in a dim frame.
_NO_LIGHT, _LITTLE_LIGHT = (0.005, 0.05), (0.15, 0.6)
#: How far the phases of the cores have moved in a frame that no longer resembles the reference, rms in radians.
_DRIFT_RAD = (1.5, 3.0)


class EmptyField(StrEnum):
    """Why a frame shows no object."""

    #: The flat pattern.
    EMPTY = "empty"
    #: One phase everywhere.
    UNIFORM = "uniform"
    #: A pattern of weak random phase, or a frame of the camera's noise almost alone.
    NOISE = "noise"
    #: The fibre has moved so far that the frame has nothing in common with the reference. It shows an object, but not to us.
    DECORRELATED = "decorrelated"
    #: The flat pattern with much less light than the reference had. Such frames are reported and do not count: they are beyond
    #: what a model that relies on the light was made for.
    DIM = "dim"


_COUNTED = tuple(field for field in EmptyField if field is not EmptyField.DIM)


@dataclass(frozen=True, eq=False)
class EmptyFrame:
    """A frame without an object, and why."""

    field: EmptyField
    seen: SeenFrame

    @property
    def counts(self) -> bool:
        """Whether it is one of the empty frames: a frame that has drifted counts only if the gauge has marked it."""
        if self.field is EmptyField.DECORRELATED:
            return FrameMark.DECORRELATED in self.seen.marks
        return self.field is not EmptyField.DIM


def empty_frames(source: FrameSource, cells: Callable[[int], np.ndarray], count: int, report: Report) -> list[EmptyFrame]:
    """Return so many frames without an object, a quarter of each kind, and a twentieth as many dim ones.

    Parameters
    ----------
    source : FrameSource
        Gives the frames.
    cells : callable
        ``index -> pattern`` in radians: what a decorrelated frame would show.
    count : int
        Number of frames.
    report : callable
        Progress.
    """
    rng = np.random.default_rng(31)
    kinds = [*itertools.islice(itertools.cycle(_COUNTED), count), *[EmptyField.DIM] * math.ceil(count / 20)]
    frames = []
    for index, field in enumerate(kinds):
        frames.append(EmptyFrame(field, _frame(source, cells, field, index, rng)))
        report("empty fields", index + 1, len(kinds))
    return frames


def false_objects(frames: Sequence[EmptyFrame], segmenter: Segmenter, mask: np.ndarray) -> dict[str, object]:
    """Count the objects that a segmenter labels in empty frames, as the live view uses it.

    Returns
    -------
    dict
        ``mean``: objects per frame. ``by_field``: the same for every kind, also for dim frames. ``frames`` and
        ``frames_with_objects``: how many frames count, and how many of them have an object. ``unmarked``: decorrelated frames
        without the mark; they do not count.
    """
    by_field: dict[EmptyField, list[int]] = {field: [] for field in EmptyField}
    for frame in frames:
        if frame.counts or frame.field is EmptyField.DIM:
            seen = frame.seen
            count = segmenter.segment(seen.phase_rad, mask, seen.std_rad).count if seen.readable else 0
            by_field[frame.field].append(count)
    counts = [count for field in _COUNTED for count in by_field[field]]
    return {
        "mean": float(np.mean(counts)),
        "by_field": {field.value: float(np.mean(each)) if each else None for field, each in by_field.items()},
        "frames": len(counts),
        "frames_with_objects": int(np.count_nonzero(counts)),
        "unmarked": sum(frame.field is EmptyField.DECORRELATED and not frame.counts for frame in frames),
    }


def _frame(
    source: FrameSource, cells: Callable[[int], np.ndarray], field: EmptyField, index: int, rng: np.random.Generator
) -> SeenFrame:
    if field is EmptyField.EMPTY:
        return source.see(source.blank)
    if field is EmptyField.UNIFORM:
        return source.see(source.blank + np.float32(rng.uniform(0, 2 * np.pi)))
    if field is EmptyField.DECORRELATED:
        with source.drifted(float(rng.uniform(*_DRIFT_RAD)), index):
            return source.see(cells(index))
    if field is EmptyField.DIM or index // len(_COUNTED) % 2:
        with source.light(float(rng.uniform(*(_LITTLE_LIGHT if field is EmptyField.DIM else _NO_LIGHT)))):
            return source.see(source.blank)
    return source.see(_noise(rng, source.side_px))


def _noise(rng: np.random.Generator, side_px: int) -> np.ndarray:
    """Return weak random phase, all of it above 0."""
    noise = rng.standard_normal((side_px, side_px), np.float32)
    grain_px = float(rng.choice(_GRAINS_PX))
    if grain_px:
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), grain_px), np.float32)
    noise *= np.float32(rng.uniform(*_NOISE_RAD) / noise.std())
    return noise - noise.min()
