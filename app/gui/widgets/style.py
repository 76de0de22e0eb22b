"""Colours and style sheet: dark enough for a darkened laboratory, and large enough to read from two metres."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PyQt6.QtGui import QFont
from PyQt6.QtWidgets import QApplication, QStyleFactory, QWidget

BACKGROUND: Final = "#0d1014"
PANEL: Final = "#151a20"
RAISED: Final = "#212831"
LINE: Final = "#2c3540"
TEXT: Final = "#e8ecf1"
MUTED: Final = "#9aa7b5"
FAINT: Final = "#5d6a78"
ACCENT: Final = "#5ec4bd"
GOOD: Final = "#69c37e"
WARNING: Final = "#e9b04a"
ALARM: Final = "#f0605f"
OUTLINE: Final = "#ffb545"  # outlines of objects: visible on a grey picture, also with red-green colour blindness

GAP_PX: Final = 10
_FAMILIES: Final = ["Inter", "Segoe UI", "SF Pro Text", "Noto Sans", "DejaVu Sans"]  # their digits all have the same width

_ARROW: Final = Path(__file__).with_name("arrow_down.svg").as_posix()
_SHEET: Final = f"""
QWidget {{ color: {TEXT}; background: transparent; font-size: 13px; }}
QMainWindow, QDialog, QMessageBox {{ background: {BACKGROUND}; }}
QFrame#card {{ background: {PANEL}; border: 1px solid {LINE}; border-radius: 6px; }}
QFrame#card[current="yes"] {{ border-color: {FAINT}; }}
QToolTip {{ background: {RAISED}; color: {TEXT}; border: 1px solid {LINE}; padding: 4px; }}
QLabel#product {{ font-size: 18px; font-weight: 600; }}
QLabel#muted, QLabel#caption {{ color: {MUTED}; }}
QLabel#caption {{ font-size: 12px; }}
QLabel#heading {{ font-size: 15px; font-weight: 600; }}
QLabel#value {{ font-size: 24px; }}

QPushButton {{ background: {RAISED}; border: 1px solid {LINE}; border-radius: 5px; padding: 0 14px; min-height: 34px; }}
QPushButton:hover {{ border-color: {MUTED}; }}
QPushButton:pressed {{ background: {LINE}; }}
QPushButton:focus {{ border-color: {ACCENT}; }}
QPushButton:disabled {{ color: {FAINT}; background: {PANEL}; }}
QPushButton[tone="primary"] {{ background: #1f5d59; border-color: #2f817b; }}
QPushButton[tone="primary"]:hover {{ border-color: {ACCENT}; }}
QPushButton[tone="alarm"] {{ background: #6d4a12; border-color: {WARNING}; color: white; font-weight: 600; }}
QPushButton[tone="recording"] {{ background: #a32b30; border-color: {ALARM}; color: white; font-weight: 600; }}

QPushButton#flat {{ background: transparent; border: none; padding: 0; min-height: 0; color: {MUTED}; }}
QPushButton#flat:hover {{ background: {RAISED}; }}
QToolButton {{ background: {RAISED}; border: 1px solid {LINE}; border-radius: 5px; padding: 3px 8px; }}
QToolButton:hover {{ border-color: {MUTED}; }}
QToolButton:checked {{ background: #1f5d59; border-color: #2f817b; }}
QToolButton#flat, QToolButton#heading {{ background: transparent; border: 1px solid transparent; padding: 2px; }}
QToolButton#flat:hover, QToolButton#heading:hover {{ background: {RAISED}; border-color: {LINE}; }}
QToolButton#heading {{ font-size: 15px; font-weight: 600; padding: 2px 18px 2px 4px; }}
QToolButton::menu-button {{ border: none; width: 16px; }}
QToolButton::menu-arrow {{ image: url("{_ARROW}"); width: 10px; height: 10px; }}
QToolButton#heading::menu-indicator {{
  image: url("{_ARROW}"); width: 10px; height: 10px; subcontrol-origin: padding;
  subcontrol-position: center right; right: 4px; }}
QToolButton#flat::menu-indicator {{ image: none; }}
QToolButton[popupMode="1"] {{ padding-right: 20px; }}

QLabel#state {{ font-size: 15px; font-weight: 600; padding-right: 8px; }}
QLabel#state[tone="idle"] {{ color: {MUTED}; }}
QLabel#state[tone="live"] {{ color: {GOOD}; }}
QLabel#state[tone="waiting"] {{ color: {WARNING}; }}
QLabel#state[tone="alarm"] {{ color: {ALARM}; }}

QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox {{
  background: {BACKGROUND}; border: 1px solid {LINE}; border-radius: 4px; padding: 0 8px; min-height: 34px;
  selection-background-color: #2f817b; }}
QLineEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus {{ border-color: {ACCENT}; }}
QLineEdit:disabled, QSpinBox:disabled, QDoubleSpinBox:disabled, QComboBox:disabled {{
  color: {MUTED}; background: {PANEL}; }}
QLineEdit#compact, QComboBox#compact {{ min-height: 26px; }}
QScrollArea, QScrollArea > QWidget > QWidget {{ background: transparent; }}
QScrollBar:vertical {{ background: transparent; width: 10px; margin: 0; }}
QScrollBar::handle:vertical {{ background: {LINE}; border-radius: 4px; min-height: 30px; margin: 0 0 0 2px; }}
QScrollBar::handle:vertical:hover {{ background: {FAINT}; }}
QScrollBar::add-line:vertical, QScrollBar::sub-line:vertical {{ height: 0; }}
QScrollBar::add-page:vertical, QScrollBar::sub-page:vertical {{ background: transparent; }}
QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 0; }}
QScrollBar::handle:horizontal {{ background: {LINE}; border-radius: 4px; min-width: 30px; margin: 2px 0 0 0; }}
QScrollBar::handle:horizontal:hover {{ background: {FAINT}; }}
QScrollBar::add-line:horizontal, QScrollBar::sub-line:horizontal {{ width: 0; }}
QScrollBar::add-page:horizontal, QScrollBar::sub-page:horizontal {{ background: transparent; }}
QDoubleSpinBox#level {{ min-height: 24px; padding: 0 4px; }}
QComboBox::drop-down {{ border: none; width: 26px; }}
QComboBox::down-arrow {{ image: url("{_ARROW}"); width: 12px; height: 12px; }}
QComboBox QAbstractItemView {{ background: {RAISED}; border: 1px solid {LINE}; selection-background-color: #2f817b; }}

QTabWidget::pane {{ border: none; border-top: 1px solid {LINE}; }}
QTabBar::tab {{ background: transparent; color: {MUTED}; padding: 6px 12px; border-bottom: 2px solid transparent; }}
QTabBar::tab:selected {{ color: {TEXT}; border-bottom-color: {ACCENT}; }}
QTabBar::tab:hover {{ color: {TEXT}; }}
QTableView {{ background: {BACKGROUND}; border: none; gridline-color: {LINE}; selection-background-color: {RAISED};
  selection-color: {TEXT}; }}
QHeaderView {{ background: {PANEL}; }}
QHeaderView::section {{ background: {PANEL}; color: {MUTED}; border: none; border-bottom: 1px solid {LINE}; padding: 4px 8px; }}
QMenu {{ background: {RAISED}; border: 1px solid {LINE}; padding: 4px; }}
QMenu::item {{ padding: 5px 26px 5px 26px; border-radius: 3px; }}
QMenu::item:selected {{ background: #1f5d59; }}
QMenu::item:disabled {{ color: {FAINT}; }}
QMenu::separator {{ height: 1px; background: {LINE}; margin: 4px 8px; }}

QProgressBar {{
  background: {BACKGROUND}; border: 1px solid {LINE}; border-radius: 4px; min-height: 8px; max-height: 8px; }}
QProgressBar::chunk {{ background: {ACCENT}; border-radius: 3px; }}

QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}

QFrame#banner {{ border-radius: 5px; border: 1px solid {LINE}; background: {RAISED}; }}
QFrame#banner[level="none"] {{ background: transparent; border-color: transparent; }}
QFrame#banner[level="warning"] {{ background: #3a2e14; border-color: {WARNING}; }}
QFrame#banner[level="error"] {{ background: #43191b; border-color: {ALARM}; }}
QPushButton#dismiss {{ min-height: 26px; background: transparent; }}
QPushButton#dismiss:hover {{ border-color: {TEXT}; }}
"""


def apply_style(app: QApplication) -> None:
    """Set fonts and colours of the application, independent of the desktop's theme."""
    app.setStyle(QStyleFactory.create("Fusion"))
    font = QFont()
    font.setFamilies(_FAMILIES)
    font.setPixelSize(13)
    app.setFont(font)
    app.setStyleSheet(_SHEET)


def set_style(widget: QWidget, name: str, value: str) -> None:
    """Set a property that the style sheet refers to; the widget is restyled only when the value is new."""
    style = widget.style()
    if widget.property(name) != value and style is not None:
        widget.setProperty(name, value)
        style.unpolish(widget)
        style.polish(widget)
