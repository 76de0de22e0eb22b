"""The three panes and what each shows of a view: the speckle, the phase, and the detected objects over the phase."""

from __future__ import annotations

from PyQt6.QtGui import QPainterPath

from app.gui.image_view.colormaps import grey_table, phase_table
from app.gui.image_view.image_pane import ImagePane
from app.gui.image_view.level_bar import LevelBar
from app.gui.image_view.overlay import count_objects, outline_path
from app.gui.widgets.formatting import count
from app.status import MARK_TEXTS, LiveView

_SATURATED = 0.001  # of the pixels: above this fraction the subtitle warns of saturation


class Pictures:
    """Speckle, phase and overlay of the newest view. Phase and overlay share levels, zoom and position.

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
        self._view: LiveView | None = None
        self.phase.levels.changed.connect(self.overlay.levels.set_levels)
        # The axis links of pyqtgraph conflict with the locked aspect ratio while the window is laid out.
        self.phase.moved.connect(self.overlay.show_field)
        self.overlay.moved.connect(self.phase.show_field)

    def show_view(self, view: LiveView) -> None:
        """Show a frame and its reconstruction, stamped with what is wrong with it."""
        if self._view is None:
            self.phase.annotations.set_message("")
        self._view = view
        reconstruction = view.reconstruction
        for pane in self.panes:
            pane.annotations.set_stamp(", ".join(MARK_TEXTS[mark] for mark in view.frame.marks))
        self.speckle.set_image(view.frame.pixels)
        if reconstruction is None:
            self.phase.annotations.set_message("No model for this fibre yet: acquire pairs, then train a model")
            return
        self.phase.set_image(reconstruction.phase_rad)
        self.overlay.set_image(reconstruction.phase_rad)
        if reconstruction.labels is None:
            self.overlay.set_outlines(QPainterPath(), 1)
        else:
            self.overlay.set_outlines(outline_path(reconstruction.labels), reconstruction.labels.shape[1])

    def refresh_numbers(self) -> None:
        """Update subtitles and histograms to the view on display; a few times a second is enough."""
        if self._view is None:
            return
        frame, reconstruction = self._view.frame, self._view.reconstruction
        height, width = frame.shape
        saturated = frame.saturated_fraction()
        warning = f"{saturated:.1%} saturated, " if saturated >= _SATURATED else ""
        self.speckle.subtitle.show_text(
            f"{warning}frame {count(frame.index)}, exposure {frame.exposure_s * 1e3:.3g} ms, {width} × {height} px"
        )
        self.speckle.levels.show_histogram(frame.pixels)
        if reconstruction is None:
            return
        height, width = reconstruction.phase_rad.shape
        self.phase.subtitle.show_text(f"frame {count(reconstruction.frame_index)}, {width} × {height} px")
        if reconstruction.labels is None:
            self.overlay.subtitle.show_text("no segmentation")
        else:
            objects = count_objects(reconstruction.labels)
            self.overlay.subtitle.show_text(f"{count(objects)} {'object' if objects == 1 else 'objects'}")
        self.phase.levels.show_histogram(reconstruction.phase_rad)
        self.overlay.levels.show_histogram(reconstruction.phase_rad)

    def show_message(self, text: str) -> None:
        """Show a message until the first picture comes; a picture that is shown stays, without a message."""
        self.phase.annotations.set_message(text if self._view is None else "")

    def fit(self) -> None:
        """Show the whole field in every pane."""
        for pane in self.panes:
            pane.fit()
