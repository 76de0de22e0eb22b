"""The newest frame, view and overlay: polled for the screen, and written as a snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from acquisition.streams.channel import Channel, Overflow
from app.live.parts.errors import SessionError
from app.live.parts.processing import Processing
from app.live.publisher import Publisher
from app.live.segmentation import segmented
from app.live.snapshot import write_snapshot
from app.status import LiveView, Overlay
from drivers.base import Frame


class NewestResults:
    """What is polled, and what was polled last. One thread polls; any thread may put pictures.

    Parameters
    ----------
    processing : Processing
        Where views and overlays come from.

    Attributes
    ----------
    arrivals : Publisher
        Publishes every frame and view when it can be polled, each in the thread of its stage. An overlay is polled with the
        next one: so the window draws all panes together.
    """

    def __init__(self, processing: Processing) -> None:
        self.arrivals: Publisher[Frame | LiveView] = Publisher()
        self._pictures: Channel[Frame] = Channel("pictures", 1, Overflow.DROP_OLDEST)
        self._processing = processing
        processing.views.subscribe(self.arrivals.publish)
        self._frame: Frame | None = None
        self._view: LiveView | None = None
        self._overlay: Overlay | None = None

    def put_frame(self, frame: Frame) -> None:
        """Take a frame for the screen; the newest one waits."""
        self._pictures.put(frame)
        self.arrivals.publish(frame)

    def poll_frame(self) -> Frame | None:
        """Return the newest camera frame, or None when there is nothing new; it does not wait for a reconstruction."""
        frame = self._pictures.poll()
        self._frame = frame or self._frame
        return frame

    def poll_view(self) -> LiveView | None:
        """Return the newest view, or None when there is nothing new."""
        view = self._processing.poll_view()
        self._view = view or self._view
        return view

    def poll_overlay(self) -> Overlay | None:
        """Return the newest view that was segmented, with its labels, or None when there is nothing new."""
        overlay = self._processing.poll_overlay()
        self._overlay = overlay or self._overlay
        return overlay

    def snapshot(self, archive: Path, facts: Mapping[str, object] | None = None) -> Path:
        """Write the view that was polled last with its own labels and these facts as files; return their folder.

        Before the first view, the frame that was polled last. Raises SessionError when there was none.
        """
        overlay, view, frame = self._overlay, self._view, self._frame
        if view is None and frame is not None:
            view = LiveView(frame, None)
        if view is None:
            raise SessionError("there is no picture yet: start the live view first")
        has_labels = overlay is not None and overlay.view is view
        return write_snapshot(archive, overlay if overlay is not None and has_labels else segmented(view), facts)

    def let_go(self) -> None:
        """Free all pictures."""
        self._frame = self._view = self._overlay = None
        self.arrivals = Publisher()
        self._pictures.poll()
