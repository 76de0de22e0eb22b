"""What is remembered goes into the window when it opens, and out of it when it closes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PyQt6.QtCore import QByteArray, QSettings

from app.gui.main_window import settings

if TYPE_CHECKING:
    from app.gui.main_window.window import MainWindow


def restore(window: MainWindow, store: QSettings) -> list[str]:
    """Set up ``window`` as it was left; return a line for everything that could not be used."""
    known, warnings = settings.load(store)
    session = window.session
    if known.geometry:
        window.restoreGeometry(QByteArray(known.geometry))
    if known.counts_levels and known.frame_full_scale == session.frame_full_scale:
        window.pictures.speckle.levels.set_levels(*known.counts_levels)
    if known.phase_levels_rad and known.phase_range_rad == session.phase_range_rad:
        window.pictures.phase.levels.set_levels(*known.phase_levels_rad)
    window.controls.take_name.setText(known.take_name)
    window.acquisition.name.setText(known.dataset_name)
    window.acquisition.pairs.setValue(known.pairs)
    if known.pattern_source in session.pattern_sources:
        window.acquisition.source.setCurrentText(known.pattern_source)
    return warnings


def remember(window: MainWindow, store: QSettings) -> None:
    """Store how ``window`` is left."""
    settings.save(
        store,
        settings.WindowSettings(
            geometry=window.saveGeometry().data(),
            counts_levels=window.pictures.speckle.levels.levels,
            frame_full_scale=window.session.frame_full_scale,
            phase_levels_rad=window.pictures.phase.levels.levels,
            phase_range_rad=window.session.phase_range_rad,
            take_name=window.controls.take_name.text(),
            dataset_name=window.acquisition.name.text(),
            pairs=window.acquisition.pairs.value(),
            pattern_source=window.acquisition.source.currentText(),
        ),
    )
