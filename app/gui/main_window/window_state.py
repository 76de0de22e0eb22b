"""Restores the window's remembered state when it opens, and stores it when it closes."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from PyQt6.QtCore import QByteArray, QSettings, Qt
from PyQt6.QtWidgets import QWidget

from app.gui.live_page.page import LivePage
from app.gui.live_page.page_state import layout_of
from app.gui.live_page.page_state import restore as restore_layout
from app.gui.main_window import settings
from app.gui.pages import recent_store
from app.gui.session_protocol import SessionLike
from app.instrument.recent_instruments import InstrumentSort, RecentInstrument, with_newest

log = logging.getLogger(__name__)


class RememberedWindow(Protocol):
    """The parts of the main window whose state is kept between two starts."""

    page: LivePage | None

    def saveGeometry(self) -> QByteArray:
        """Return size and position of the window, as Qt does."""

    def restoreGeometry(self, geometry: QByteArray) -> bool:
        """Set size and position of the window, as Qt does."""


def restore(window: RememberedWindow, store: QSettings) -> list[str]:
    """Set ``window`` to its stored state; return one warning for every entry that could not be used."""
    stored, warnings = settings.load(store)
    if stored.geometry:
        window.restoreGeometry(QByteArray(stored.geometry))
    return warnings


def fit_to_screen(window: QWidget) -> None:
    """Let a window that is not shown yet fill its screen, if it is larger than the screen."""
    screen = window.screen()
    room = screen.availableSize() if screen is not None else window.size()
    if window.width() > room.width() or window.height() > room.height():
        window.setWindowState(window.windowState() | Qt.WindowState.WindowMaximized)


def restore_page(page: LivePage, store: QSettings) -> None:
    """Set a new live page to the stored state, as far as it fits its session."""
    stored, _ = settings.load(store)
    if stored.panes:
        for warning in page.pictures.restore(json.loads(stored.panes)):
            log.warning("%s", warning)
    if stored.layout:
        for warning in restore_layout(page, json.loads(stored.layout)):
            log.warning("%s", warning)
    page.controls.recording_name.setText(stored.recording_name)


def remember(window: RememberedWindow, store: QSettings) -> None:
    """Store the state of ``window``."""
    stored, _ = settings.load(store)
    settings.save(store, replace(stored, geometry=window.saveGeometry().data()))
    if window.page is not None:
        remember_page(window.page, store)


def remember_page(page: LivePage, store: QSettings) -> None:
    """Store the state of the live page."""
    stored, _ = settings.load(store)
    layout = layout_of(page)
    settings.save(
        store,
        replace(
            stored,
            panes=json.dumps(layout.pop("panes")),
            layout=json.dumps(layout),
            recording_name=page.controls.recording_name.text(),
        ),
    )


def remember_instrument(path: Path | None, store: QSettings) -> None:
    """Store which instrument file was used last; the simulated instrument has none."""
    stored, _ = settings.load(store)
    settings.save(store, replace(stored, instrument=str(path.absolute()) if path else ""))


def remember_recent(path: Path | None, session: SessionLike, store: QSettings | None) -> None:
    """Put an instrument that was opened at the top of the recent ones; the built-in simulated one is always there."""
    if path is None or store is None:
        return
    sort = InstrumentSort.SIMULATED if session.simulated else InstrumentSort.REAL
    used_utc = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    newest = RecentInstrument(
        path=path.absolute(),
        name=session.title,
        sort=InstrumentSort.RECORDING if path.is_dir() else sort,
        used_utc=used_utc,
    )
    recent_store.remember(store, with_newest(recent_store.remembered(store), newest))


def remember_theme(theme: settings.ThemeChoice, store: QSettings) -> None:
    """Store whether the window is dark, light, or as the desktop is."""
    stored, _ = settings.load(store)
    settings.save(store, replace(stored, theme=theme))


def guide_is_open(store: QSettings) -> bool:
    """Return whether to show the guide: at the very first start, and until it was skipped or finished."""
    stored, _ = settings.load(store)
    return not store.childKeys() or stored.guide is settings.GuideState.OPEN


def remember_guide(store: QSettings, *, is_open: bool) -> None:
    """Store whether to show the guide at the next start."""
    stored, _ = settings.load(store)
    settings.save(store, replace(stored, guide=settings.GuideState.OPEN if is_open else settings.GuideState.CLOSED))


def last_theme(store: QSettings) -> settings.ThemeChoice:
    """Return the theme that was chosen last."""
    stored, _ = settings.load(store)
    return stored.theme


def last_instrument(store: QSettings) -> Path | None:
    """Return the instrument file that was used last, if it is still there."""
    stored, _ = settings.load(store)
    path = Path(stored.instrument) if stored.instrument else None
    return path if path is not None and path.exists() else None
