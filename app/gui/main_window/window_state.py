"""What is remembered goes into the window when it opens, and out of it when it closes."""

from __future__ import annotations

from typing import Protocol

from PyQt6.QtCore import QByteArray, QSettings

from app.gui.image_view.panes import Pictures
from app.gui.main_window import settings
from app.gui.main_window.acquisition_panel import AcquisitionPanel
from app.gui.main_window.control_bar import ControlBar
from app.gui.main_window.session_protocol import SessionLike


class RememberedWindow(Protocol):
    """The parts of the main window whose state is kept between two starts."""

    session: SessionLike
    pictures: Pictures
    controls: ControlBar
    acquisition: AcquisitionPanel

    def saveGeometry(self) -> QByteArray:
        """Return the size and place of the window, as Qt does."""

    def restoreGeometry(self, geometry: QByteArray) -> bool:
        """Give the window the stored size and place, as Qt does."""


def restore(window: RememberedWindow, store: QSettings) -> list[str]:
    """Set up ``window`` as it was left; return a line for everything that could not be used."""
    known, warnings = settings.load(store)
    session = window.session
    if known.geometry:
        window.restoreGeometry(QByteArray(known.geometry))
    if known.counts_levels and known.frame_full_scale == session.frame_full_scale:
        window.pictures.speckle.levels.set_levels(*known.counts_levels)
    if known.phase_levels_rad and known.display_range_rad == session.display_range_rad:
        window.pictures.phase.levels.set_levels(*known.phase_levels_rad)
    window.controls.recording_name.setText(known.recording_name)
    window.acquisition.name.setText(known.dataset_name)
    window.acquisition.pairs.setValue(known.pairs)
    if known.pattern_source in session.pattern_sources:
        window.acquisition.source.setCurrentText(known.pattern_source)
    return warnings


def remember(window: RememberedWindow, store: QSettings) -> None:
    """Store how ``window`` is left."""
    settings.save(
        store,
        settings.WindowSettings(
            geometry=window.saveGeometry().data(),
            counts_levels=window.pictures.speckle.levels.levels,
            frame_full_scale=window.session.frame_full_scale,
            phase_levels_rad=window.pictures.phase.levels.levels,
            display_range_rad=window.session.display_range_rad,
            recording_name=window.controls.recording_name.text(),
            dataset_name=window.acquisition.name.text(),
            pairs=window.acquisition.pairs.value(),
            pattern_source=window.acquisition.source.currentText(),
        ),
    )
