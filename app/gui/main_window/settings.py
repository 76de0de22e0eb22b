"""What the window remembers between runs. A bad entry gives a warning and is skipped; none can prevent the start."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from PyQt6.QtCore import QSettings, Qt

from app.gui.widgets.palette import Theme

T = TypeVar("T")
VERSION: Final = 1
_MAX_PATH: Final = 4096


class ThemeChoice(StrEnum):
    """Which theme the operator wants."""

    SYSTEM = "system"
    DARK = "dark"
    LIGHT = "light"

    def theme_on(self, scheme: Qt.ColorScheme) -> Theme:
        """Return the theme on a desktop of a colour scheme; dark where the desktop has none."""
        if self is ThemeChoice.SYSTEM:
            return Theme.LIGHT if scheme is Qt.ColorScheme.Light else Theme.DARK
        return Theme(self.value)


class GuideState(StrEnum):
    """Whether the guide of the first start is shown."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, kw_only=True)
class WindowSettings:
    """Remembered state of the window. Empty means the default of the window.

    ``panes`` is the state of the panes, and ``layout`` that of the panels and of the form of recordings, as JSON.
    """

    geometry: bytes = b""
    panes: str = ""
    layout: str = ""
    recording_name: str = "recording"
    instrument: str = ""
    theme: ThemeChoice = ThemeChoice.DARK  # a light window is stray light beside an open fibre
    guide: GuideState = GuideState.CLOSED


def default_store() -> QSettings:
    """Return the settings of the present user, an INI file in the usual folder of the platform."""
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "SpeckleScope", "window")


def _panes(text: str) -> str:
    if not isinstance(json.loads(text), dict):
        raise ValueError("a JSON object is needed")
    return text


def _name(text: str) -> str:
    if not text or len(text) > 64 or not text.isprintable():
        raise ValueError("1 to 64 printable characters are needed")
    return text


def _path(text: str) -> str:
    if "\0" in text or len(text) > _MAX_PATH:
        raise ValueError("a path is needed")
    return text


def load(store: QSettings) -> tuple[WindowSettings, list[str]]:
    """Read what was stored.

    Parameters
    ----------
    store : QSettings
        What :func:`save` has written; damaged content is handled as well.

    Returns
    -------
    WindowSettings
        Defaults where an entry is missing or bad.
    list of str
        One warning for every entry that was skipped.
    """
    warnings: list[str] = []
    if not store.childKeys():
        return WindowSettings(), warnings

    def field(key: str, parse: Callable[[str], T], default: T) -> T:
        text = store.value(key, "")
        if text == "":
            return default
        try:
            if not isinstance(text, str):
                raise ValueError("it is not text")
            return parse(text)
        except ValueError as error:
            warnings.append(f"The remembered setting {key!r} is unusable ({error}); the default is used instead")
            return default

    version = field("version", int, 0)
    if version != VERSION:
        return WindowSettings(), [f"The remembered settings are of version {version}, not {VERSION}; defaults are used"]
    default = WindowSettings()
    return (
        WindowSettings(
            geometry=field("geometry", bytes.fromhex, default.geometry),
            panes=field("panes", _panes, default.panes),
            layout=field("layout", _panes, default.layout),
            recording_name=field("recording_name", _name, default.recording_name),
            instrument=field("instrument", _path, default.instrument),
            theme=field("theme", ThemeChoice, default.theme),
            guide=field("guide", GuideState, default.guide),
        ),
        warnings,
    )


def save(store: QSettings, settings: WindowSettings) -> None:
    """Store the settings, as text only; what pages remember in groups of their own stays."""
    for key in store.childKeys():
        store.remove(key)
    store.setValue("version", str(VERSION))
    store.setValue("geometry", settings.geometry.hex())
    store.setValue("panes", settings.panes)
    store.setValue("layout", settings.layout)
    store.setValue("recording_name", settings.recording_name)
    store.setValue("instrument", settings.instrument)
    store.setValue("theme", settings.theme.value)
    store.setValue("guide", settings.guide.value)
    store.sync()
