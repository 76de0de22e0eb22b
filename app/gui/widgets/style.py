"""Fonts and style sheet: in the size of the system's texts, as far as everything fits on a small screen."""

from __future__ import annotations

from typing import Final

from PyQt6.QtGui import QFont, QFontDatabase, QFontInfo
from PyQt6.QtWidgets import QApplication, QStyleFactory, QWidget

from app.gui.widgets.palette import Theme, colours, use_theme
from app.gui.widgets.style_sheet import style_sheet

GAP_PX: Final = 10
_FAMILIES: Final = ["Inter", "Segoe UI", "SF Pro Text", "Noto Sans", "DejaVu Sans"]  # their digits all have the same width
#: Height of texts in pixels. With a larger one the window would not fit on a screen of 1366 x 768.
SMALLEST_TEXT_PX: Final = 13
LARGEST_TEXT_PX: Final = 15


def system_text_px() -> int:
    """Return the height of the system's texts in pixels, as far as the window can follow it."""
    wanted_px = QFontInfo(QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)).pixelSize()
    return min(max(wanted_px, SMALLEST_TEXT_PX), LARGEST_TEXT_PX)


def apply_style(app: QApplication, theme: Theme = Theme.DARK, text_px: int | None = None) -> None:
    """Set fonts and colours of the application, independent of the desktop's theme.

    Parameters
    ----------
    app : QApplication
        The application.
    theme : Theme
        Its colours.
    text_px : int, optional
        Height of texts in pixels; None follows the system.

    Notes
    -----
    Every widget gets an event of the kind StyleChange: one that keeps a colour overrides ``changeEvent``.
    """
    use_theme(theme)
    app.setStyle(QStyleFactory.create("Fusion"))
    font = QFont()
    font.setFamilies(_FAMILIES)
    size_px = system_text_px() if text_px is None else text_px
    font.setPixelSize(size_px)
    app.setFont(font)
    app.setStyleSheet(style_sheet(colours(), size_px / SMALLEST_TEXT_PX))


def set_style(widget: QWidget, name: str, value: str) -> None:
    """Set a property that the style sheet refers to; the widget is restyled only when the value is new."""
    style = widget.style()
    if widget.property(name) != value and style is not None:
        widget.setProperty(name, value)
        style.unpolish(widget)
        style.polish(widget)
