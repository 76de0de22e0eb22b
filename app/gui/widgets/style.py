"""Fonts and style sheet: large enough to read from two metres."""

from __future__ import annotations

from typing import Final

from PyQt6.QtGui import QFont
from PyQt6.QtWidgets import QApplication, QStyleFactory, QWidget

from app.gui.widgets.palette import Theme, colours, use_theme
from app.gui.widgets.style_sheet import style_sheet

GAP_PX: Final = 10
_FAMILIES: Final = ["Inter", "Segoe UI", "SF Pro Text", "Noto Sans", "DejaVu Sans"]  # their digits all have the same width


def apply_style(app: QApplication, theme: Theme = Theme.DARK) -> None:
    """Set fonts and colours of the application, independent of the desktop's theme.

    Every widget gets an event of the kind StyleChange: one that keeps a colour overrides ``changeEvent``.
    """
    use_theme(theme)
    app.setStyle(QStyleFactory.create("Fusion"))
    font = QFont()
    font.setFamilies(_FAMILIES)
    font.setPixelSize(13)
    app.setFont(font)
    app.setStyleSheet(style_sheet(colours()))


def set_style(widget: QWidget, name: str, value: str) -> None:
    """Set a property that the style sheet refers to; the widget is restyled only when the value is new."""
    style = widget.style()
    if widget.property(name) != value and style is not None:
        widget.setProperty(name, value)
        style.unpolish(widget)
        style.polish(widget)
