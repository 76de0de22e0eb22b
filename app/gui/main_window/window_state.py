"""Restores the window's remembered state when it opens, and stores it when it closes."""

from __future__ import annotations

from typing import Protocol

from PyQt6.QtCore import QByteArray, QSettings

from app.gui.image_view.panes import Pictures
from app.gui.live_page.control_bar import ControlBar
from app.gui.main_window import settings
from app.gui.main_window.acquisition_panel import AcquisitionPanel
from app.gui.session_protocol import SessionLike


class RememberedWindow(Protocol):
    """The parts of the main window whose state is kept between two starts."""

    session: SessionLike
    pictures: Pictures
    controls: ControlBar
    acquisition: AcquisitionPanel

    def saveGeometry(self) -> QByteArray:
        """Return size and position of the window, as Qt does."""

    def restoreGeometry(self, geometry: QByteArray) -> bool:
        """Set size and position of the window, as Qt does."""


def restore(window: RememberedWindow, store: QSettings) -> list[str]:
    """Set ``window`` to its stored state; return one warning for every entry that could not be used."""
    stored, warnings = settings.load(store)
    session = window.session
    if stored.geometry:
        window.restoreGeometry(QByteArray(stored.geometry))
    if stored.counts_levels and stored.frame_full_scale == session.frame_full_scale:
        window.pictures.speckle.levels.set_levels(*stored.counts_levels)
    if stored.phase_levels_rad and stored.display_range_rad == session.display_range_rad:
        window.pictures.phase.levels.set_levels(*stored.phase_levels_rad)
    window.controls.recording_name.setText(stored.recording_name)
    window.acquisition.name.setText(stored.dataset_name)
    window.acquisition.pairs.setValue(stored.pairs)
    if stored.pattern_source in session.pattern_sources:
        window.acquisition.source.setCurrentText(stored.pattern_source)
    return warnings


def remember(window: RememberedWindow, store: QSettings) -> None:
    """Store the state of ``window``."""
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
