"""Where the window remembers the instruments that were opened last."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from PyQt6.QtCore import QSettings

from app.instrument.recent_instruments import RecentInstrument, as_text, from_text

_KEY: Final = "rig/recent"


def remembered(store: QSettings | None) -> tuple[RecentInstrument, ...]:
    """Return the instruments, the newest first."""
    text = store.value(_KEY, "") if store is not None else ""
    return from_text(text if isinstance(text, str) else "")


def remember(store: QSettings | None, recent: Iterable[RecentInstrument]) -> None:
    """Store the instruments in place of those before."""
    if store is not None:
        store.setValue(_KEY, as_text(recent))
