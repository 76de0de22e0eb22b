"""The colours of the window: dark enough for a darkened laboratory, or light for a bright room."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Theme(StrEnum):
    """Whether the window is dark or light."""

    DARK = "dark"
    LIGHT = "light"


@dataclass(frozen=True, kw_only=True)
class Palette:
    """Every colour of a theme, as ``#rrggbb``.

    ``background``, ``panel`` and ``raised`` are surfaces, ``field`` is that of an input; ``line`` separates, ``edge`` shows
    where an input is. Text is ``text`` or ``muted``; ``faint`` is for what is disabled. ``accent``, ``good``, ``warning`` and
    ``alarm`` are read on every surface. The ``*_fill`` colours are behind text: ``text`` on ``primary_fill`` and
    ``selection_fill``, ``on_fill`` on ``alarm_fill`` and ``recording_fill``, ``text`` on the fills of messages.
    """

    background: str
    panel: str
    raised: str
    field: str
    line: str
    edge: str
    text: str
    muted: str
    faint: str
    accent: str
    good: str
    warning: str
    alarm: str
    on_fill: str
    primary_fill: str
    primary_line: str
    selection_fill: str
    alarm_fill: str
    recording_fill: str
    info_fill: str
    warning_fill: str
    error_fill: str


DARK: Final = Palette(
    background="#0d1014",
    panel="#151a20",
    raised="#212831",
    field="#0d1014",
    line="#2c3540",
    edge="#6b7a89",
    text="#e8ecf1",
    muted="#9aa7b5",
    faint="#66737f",
    accent="#5ec4bd",
    good="#69c37e",
    warning="#e9b04a",
    alarm="#f4716f",
    on_fill="#ffffff",
    primary_fill="#1f5d59",
    primary_line="#3a9890",
    selection_fill="#236a65",
    alarm_fill="#6d4a12",
    recording_fill="#a32b30",
    info_fill="#1b2b35",
    warning_fill="#3a2e14",
    error_fill="#43191b",
)

LIGHT: Final = Palette(
    background="#eef1f4",
    panel="#ffffff",
    raised="#e6eaee",
    field="#ffffff",
    line="#c9d0d8",
    edge="#76828f",
    text="#14191f",
    muted="#4b5764",
    faint="#6c7884",
    accent="#08706a",
    good="#1a7334",
    warning="#875500",
    alarm="#bd1f24",
    on_fill="#ffffff",
    primary_fill="#bfe3df",
    primary_line="#0a7a72",
    selection_fill="#bfe3df",
    alarm_fill="#8a5a00",
    recording_fill="#b3262b",
    info_fill="#dfeef6",
    warning_fill="#fdf0d0",
    error_fill="#fbe0df",
)

#: Pictures, curves and what is written on them are dark in both themes: a light surround hides dark details.
PICTURE: Final = DARK
OUTLINE: Final = "#ffb545"  # outlines of objects: visible on a grey picture, also with red-green colour blindness

_PALETTES: Final = {Theme.DARK: DARK, Theme.LIGHT: LIGHT}


class _Present:
    """The theme of the application, for whatever paints with its colours."""

    theme = Theme.DARK


def use_theme(theme: Theme) -> None:
    """Choose the palette that :func:`colours` returns."""
    _Present.theme = theme


def theme_in_use() -> Theme:
    """Return the present theme."""
    return _Present.theme


def colours() -> Palette:
    """Return the present palette. Ask again at each painting, because the theme may change."""
    return _PALETTES[_Present.theme]
