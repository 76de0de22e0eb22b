"""The three panes and what each shows of a view: the speckle, the phase, and the detected objects over the phase."""

from __future__ import annotations

from PyQt6.QtGui import QPainterPath

from app.gui.image_view.colormaps import grey_table, phase_table
from app.gui.image_view.image_pane import ImagePane
from app.gui.image_view.level_bar import LevelBar
from app.gui.image_view.overlay import count_objects, outline_path
from app.gui.widgets.formatting import count
from app.status import MARK_TEXTS, LiveView, Overlay
from drivers.base import Frame

_SATURATED = 0.001  # of the pixels: above this fraction the subtitle warns of saturation


class Pictures:
    """The newest frame, view and overlay, each in its pane. Phase and overlay share levels, zoom and position.

    Parameters
    ----------
    field_um : float
        Width of the square field of view in micrometres.
    full_scale : int
        The count at which the camera saturates.
    display_range_rad : tuple of float
        Initial levels of the phase in radians.
    """

    def __init__(self, field_um: float, full_scale: int, display_range_rad: tuple[float, float]) -> None:
        self.speckle = ImagePane(
            "Speckle",
            field_um,
            LevelBar((0.0, float(full_scale)), "counts", 0, grey_table),
            lambda v: f"{v:.0f} counts",
        )
        self.phase = ImagePane("Phase", field_um, LevelBar(display_range_rad, "rad", 2, phase_table), lambda v: f"{v:.2f} rad")
        self.overlay = ImagePane(
            "Overlay",
            field_um,
            LevelBar(display_range_rad, "rad", 2, grey_table, editable=False),
            lambda v: f"{v:.2f} rad",
        )
        self.panes = (self.speckle, self.phase, self.overlay)
        self._frame: Frame | None = None
        self._view: LiveView | None = None
        self._overlay: Overlay | None = None
        self.phase.levels.changed.connect(self.overlay.levels.set_levels)
        # The axis links of pyqtgraph conflict with the locked aspect ratio while the window is laid out.
        self.phase.moved.connect(self.overlay.show_field)
        self.overlay.moved.connect(self.phase.show_field)

    def show_frame(self, frame: Frame) -> None:
        """Show a camera frame, stamped with what is wrong with it."""
        self._frame = frame
        self.speckle.annotations.set_stamp(_stamp(frame))
        self.speckle.set_image(frame.pixels)

    def show_view(self, view: LiveView) -> None:
        """Show a reconstruction, stamped with what is wrong with its frame."""
        if self._view is None:
            self.phase.annotations.set_message("")
        self._view = view
        self.phase.annotations.set_stamp(_stamp(view.frame))
        if view.reconstruction is None:
            self.phase.annotations.set_message("No model for this fibre yet: acquire pairs, then train a model")
        else:
            self.phase.set_image(view.reconstruction.phase_rad)

    def show_overlay(self, overlay: Overlay) -> None:
        """Show the outlines of the detected objects over the phase of the same frame."""
        reconstruction = overlay.view.reconstruction
        if reconstruction is None:
            return
        self._overlay = overlay
        self.overlay.annotations.set_stamp(_stamp(overlay.view.frame))
        self.overlay.set_image(reconstruction.phase_rad)
        if overlay.labels is None:
            self.overlay.set_outlines(QPainterPath(), 1)
        else:
            self.overlay.set_outlines(outline_path(overlay.labels), overlay.labels.shape[1])

    def refresh_numbers(self) -> None:
        """Update subtitles and histograms to what is on display; a few times a second is enough."""
        if self._frame is not None:
            self._refresh_speckle(self._frame)
        if self._view is not None and self._view.reconstruction is not None:
            reconstruction = self._view.reconstruction
            height, width = reconstruction.phase_rad.shape
            self.phase.subtitle.show_text(f"frame {count(reconstruction.frame_index)}, {width} × {height} px")
            self.phase.levels.show_histogram(reconstruction.phase_rad)
        if self._overlay is not None and self._overlay.view.reconstruction is not None:
            self.overlay.subtitle.show_text(f"frame {count(self._overlay.frame_index)}, {_objects_text(self._overlay)}")
            self.overlay.levels.show_histogram(self._overlay.view.reconstruction.phase_rad)

    def _refresh_speckle(self, frame: Frame) -> None:
        height, width = frame.shape
        saturated = frame.saturated_fraction()
        warning = f"{saturated:.1%} saturated, " if saturated >= _SATURATED else ""
        self.speckle.subtitle.show_text(
            f"{warning}frame {count(frame.index)}, exposure {frame.exposure_s * 1e3:.3g} ms, {width} × {height} px"
        )
        self.speckle.levels.show_histogram(frame.pixels)

    def show_message(self, text: str) -> None:
        """Show a message until the first picture comes; a picture that is shown stays, without a message."""
        self.phase.annotations.set_message(text if self._view is None else "")

    def fit(self) -> None:
        """Show the whole field in every pane."""
        for pane in self.panes:
            pane.fit()


def _stamp(frame: Frame) -> str:
    return ", ".join(MARK_TEXTS[mark] for mark in frame.marks)


def _objects_text(overlay: Overlay) -> str:
    if overlay.labels is None:
        return "no segmentation"
    objects = count_objects(overlay.labels)
    return f"{count(objects)} {'object' if objects == 1 else 'objects'}"
