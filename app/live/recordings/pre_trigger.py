"""The seconds before a recording: what the live view delivers is kept for a while, and a recording begins with it.

A recording gets everything through this ring. What was kept and what comes next meet inside one lock, so that no frame is
missing or doubled where they meet.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from acquisition.archive.recording_faults import RecordingFault
from acquisition.streams.free_memory import free_memory_bytes
from app.status import LiveView, Overlay
from drivers.base import Frame

#: The part of the free memory that is kept at most.
_MEMORY_PART = 4


class Recording(Protocol):
    """What is recorded; see :class:`app.live.recording.LiveRecording`."""

    def put_earlier_frame(self, frame: Frame) -> None:
        """Record a frame of before it was asked for."""

    def put_frame(self, frame: Frame) -> None:
        """Record a frame."""

    def put_view(self, view: LiveView) -> None:
        """Record the reconstruction of a frame."""

    def put_overlay(self, overlay: Overlay) -> None:
        """Record the labels of a reconstruction."""

    def put_fault(self, fault: RecordingFault) -> None:
        """Record what went wrong."""


@dataclass(frozen=True, eq=False)
class _Kept:
    """One thing that was delivered; ``frame`` is None for what is no frame."""

    put: Callable[[Recording], None]
    nbytes: int
    frame: Frame | None = None


class PreTriggerRing:
    """Keeps the last seconds of frames, reconstructions, labels and faults, and hands on what comes to a recording.

    Parameters
    ----------
    most_bytes : int, optional
        The most memory that it uses, in bytes; by default a quarter of what is free when :meth:`keep` is called. When the
        seconds do not fit, the oldest frames are left out.
    """

    def __init__(self, most_bytes: int | None = None) -> None:
        self._most_bytes = most_bytes
        self._limit_bytes = 0
        self._keep_ns = 0
        self._kept: deque[_Kept] = deque()
        self._indexes: set[int] = set()
        self._nbytes = 0
        self._frame: Frame | None = None
        self._recording: Recording | None = None
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """How long frames are kept, in seconds; 0 where none is."""
        return self._keep_ns * 1e-9

    @property
    def kept_s(self) -> float:
        """From the oldest to the newest frame that is kept, in seconds."""
        with self._lock:
            times = [kept.frame.t_ns for kept in self._kept if kept.frame is not None]
            return (times[-1] - times[0]) * 1e-9 if times else 0.0

    def keep(self, seconds: float) -> None:
        """Keep frames for so many seconds from now on; 0 keeps none."""
        with self._lock:
            self._keep_ns = round(seconds * 1e9)
            self._limit_bytes = free_memory_bytes() // _MEMORY_PART if self._most_bytes is None else self._most_bytes
            if self._keep_ns:
                self._trim()
            else:
                self._forget()

    def clear(self) -> None:
        """Forget what was kept."""
        with self._lock:
            self._forget()

    def forget_before(self, reference: object) -> None:
        """Forget what was kept because there is a new reference, and a recording has one; called in the capture thread."""
        self.clear()

    def attach(self, recording: Recording, before_s: float) -> None:
        """Begin a recording with the frames of the last ``before_s`` seconds; it gets everything from now on."""
        with self._lock:
            newest_ns = self._frame.t_ns if self._frame is not None else 0
            while self._kept and not self._is_since(self._kept[0], newest_ns - round(before_s * 1e9)):
                self._remove()
            if before_s:
                for kept in self._kept:
                    kept.put(recording)
            self._forget()
            self._recording = recording

    def detach(self) -> None:
        """Hand nothing more to the recording; frames are kept again."""
        with self._lock:
            self._recording = None

    def put_frame(self, frame: Frame) -> None:
        """Hand on or keep a frame; called in the capture thread."""
        with self._lock:
            if self._recording is not None:
                self._recording.put_frame(frame)
                return
            if self._frame is not None and self._frame.pixels.shape != frame.pixels.shape:
                self._forget()
            if self._keep_ns:
                self._frame = frame
                self._indexes.add(frame.index)
                self._keep(_Kept(lambda recording: recording.put_earlier_frame(frame), frame.pixels.nbytes, frame))

    def put_view(self, view: LiveView) -> None:
        """Hand on or keep a reconstruction; called in the inference thread."""
        nbytes = 0 if view.reconstruction is None else view.reconstruction.phase_rad.nbytes
        self._put(_Kept(lambda recording: recording.put_view(view), nbytes), view.frame.index)

    def put_overlay(self, overlay: Overlay) -> None:
        """Hand on or keep labels; called in the segmentation thread."""
        nbytes = 0 if overlay.labels is None else overlay.labels.nbytes
        self._put(_Kept(lambda recording: recording.put_overlay(overlay), nbytes), overlay.view.frame.index)

    def put_fault(self, fault: RecordingFault) -> None:
        """Hand on or keep a fault; called in the capture thread."""
        self._put(_Kept(lambda recording: recording.put_fault(fault), 0))

    def _put(self, kept: _Kept, frame_index: int | None = None) -> None:
        with self._lock:
            if self._recording is not None:
                kept.put(self._recording)
            elif self._kept and (frame_index is None or frame_index in self._indexes):
                self._keep(kept)

    def _keep(self, kept: _Kept) -> None:
        self._kept.append(kept)
        self._nbytes += kept.nbytes
        self._trim()

    def _trim(self) -> None:
        """Leave out what is too old or does not fit, and what follows it until the next frame."""
        oldest_ns = self._frame.t_ns - self._keep_ns if self._frame is not None else 0
        while self._kept and (self._nbytes > self._limit_bytes or not self._is_since(self._kept[0], oldest_ns)):
            self._remove()

    @staticmethod
    def _is_since(kept: _Kept, t_ns: int) -> bool:
        return kept.frame is not None and kept.frame.t_ns >= t_ns

    def _remove(self) -> None:
        removed = self._kept.popleft()
        self._nbytes -= removed.nbytes
        if removed.frame is not None:
            self._indexes.discard(removed.frame.index)

    def _forget(self) -> None:
        self._kept.clear()
        self._indexes.clear()
        self._nbytes = 0
        self._frame = None
