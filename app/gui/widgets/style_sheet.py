"""The style sheet of the window, made from a palette."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from app.gui.widgets.palette import Palette

_ARROW: Final = Path(__file__).with_name("arrow_down.svg").as_posix()
_CHECK: Final = Path(__file__).with_name("check.svg").as_posix()
_ARROW_UP: Final = Path(__file__).with_name("arrow_up.svg").as_posix()


def style_sheet(palette: Palette, scale: float = 1.0) -> str:
    """Return the style sheet of a palette, with texts that are larger by a factor."""
    return re.sub(r"(?<=font-size: )\d+", lambda size: str(round(int(size[0]) * scale)), _style_sheet(palette))


def _style_sheet(p: Palette) -> str:
    return f"""
QWidget {{ color: {p.text}; background: transparent; font-size: 13px; }}
QMainWindow, QDialog, QMessageBox {{ background: {p.background}; }}
QMessageBox QLabel#qt_msgbox_label {{ min-width: 400px; }}
QFrame#card {{ background: {p.panel}; border: 1px solid {p.line}; border-radius: 6px; }}
QFrame#card[current="yes"] {{ border-color: {p.faint}; }}
QToolTip {{ background: {p.raised}; color: {p.text}; border: 1px solid {p.line}; padding: 4px; }}
QLabel#product {{ font-size: 18px; font-weight: 600; }}
QLabel#muted, QLabel#caption {{ color: {p.muted}; }}
QLabel#caption {{ font-size: 12px; }}
QLabel#heading {{ font-size: 15px; font-weight: 600; }}
QLabel#value {{ font-size: 22px; }}

QPushButton {{ background: {p.raised}; border: 1px solid {p.line}; border-radius: 5px; padding: 0 14px; min-height: 34px; }}
QPushButton:hover {{ border-color: {p.muted}; }}
QPushButton:pressed {{ background: {p.line}; }}
QPushButton:focus, QToolButton:focus, QCheckBox:focus, QTableView:focus {{ border: 2px solid {p.accent}; }}
QPushButton:disabled {{ color: {p.faint}; background: {p.panel}; }}
QPushButton[tone="primary"] {{ background: {p.primary_fill}; border-color: {p.primary_line}; }}
QPushButton[tone="primary"]:hover {{ border-color: {p.accent}; }}
QPushButton[tone="primary"]:disabled {{ background: {p.panel}; border-color: {p.line}; }}
QPushButton[tone="alarm"] {{ background: {p.alarm_fill}; border-color: {p.warning}; color: {p.on_fill}; font-weight: 600; }}
QPushButton[tone="recording"] {{
  background: {p.recording_fill}; border-color: {p.alarm}; color: {p.on_fill}; font-weight: 600; }}

QPushButton[tone="primary"]:focus, QPushButton[tone="alarm"]:focus, QPushButton[tone="recording"]:focus {{
  border: 2px solid {p.text}; }}

QPushButton#flat {{ background: transparent; border: none; padding: 0; min-height: 0; color: {p.muted}; }}
QPushButton#flat:hover {{ background: {p.raised}; }}
QToolButton {{ background: {p.raised}; border: 1px solid {p.line}; border-radius: 5px; padding: 3px 8px; }}
QToolButton:hover {{ border-color: {p.muted}; }}
QToolButton:checked {{ background: {p.primary_fill}; border-color: {p.primary_line}; }}
QToolButton#flat, QToolButton#heading {{ background: transparent; border: 1px solid transparent; padding: 2px; }}
QToolButton#flat:hover, QToolButton#heading:hover {{ background: {p.raised}; border-color: {p.line}; }}
QToolButton#heading {{ font-size: 15px; font-weight: 600; padding: 2px 18px 2px 4px; }}
QToolButton::menu-button {{ border: none; width: 16px; }}
QToolButton::menu-arrow {{ image: url("{_ARROW}"); width: 10px; height: 10px; }}
QToolButton#heading::menu-indicator {{
  image: url("{_ARROW}"); width: 10px; height: 10px; subcontrol-origin: padding;
  subcontrol-position: center right; right: 4px; }}
QToolButton#flat::menu-indicator {{ image: none; }}
QToolButton[popupMode="1"] {{ padding-right: 20px; }}

QLabel#state {{ font-size: 15px; font-weight: 600; padding-right: 8px; }}
QLabel#state[tone="idle"] {{ color: {p.muted}; }}
QLabel#state[tone="live"] {{ color: {p.good}; }}
QLabel#state[tone="waiting"] {{ color: {p.warning}; }}
QLabel#state[tone="alarm"] {{ color: {p.alarm}; }}

QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox {{
  background: {p.field}; border: 1px solid {p.edge}; border-radius: 4px; padding: 0 8px; min-height: 34px;
  selection-background-color: {p.selection_fill}; selection-color: {p.text}; }}
QLineEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus {{ border: 2px solid {p.accent}; }}
QLineEdit:disabled, QSpinBox:disabled, QDoubleSpinBox:disabled, QComboBox:disabled {{
  color: {p.muted}; background: {p.panel}; }}
QPlainTextEdit, QTextEdit {{
  background: {p.field}; border: 1px solid {p.edge}; border-radius: 4px; padding: 4px 6px;
  selection-background-color: {p.selection_fill}; selection-color: {p.text}; }}
QPlainTextEdit:focus, QTextEdit:focus {{ border: 2px solid {p.accent}; }}
QSpinBox::up-button, QSpinBox::down-button, QDoubleSpinBox::up-button, QDoubleSpinBox::down-button {{
  width: 0; border: none; }}
QDoubleSpinBox#stepper {{ min-height: 26px; padding-right: 20px; }}
QDoubleSpinBox#stepper::up-button {{
  subcontrol-origin: border; subcontrol-position: top right; width: 18px; image: url("{_ARROW_UP}"); }}
QDoubleSpinBox#stepper::down-button {{
  subcontrol-origin: border; subcontrol-position: bottom right; width: 18px; image: url("{_ARROW}"); }}
QDoubleSpinBox#stepper::up-button:hover, QDoubleSpinBox#stepper::down-button:hover {{ background: {p.raised}; }}
QLineEdit[tone="wrong"], QComboBox[tone="wrong"], QDoubleSpinBox[tone="wrong"] {{ border: 2px solid {p.alarm}; }}
QLineEdit#compact, QComboBox#compact {{ min-height: 26px; }}
QCheckBox::indicator {{
  width: 14px; height: 14px; border: 1px solid {p.edge}; border-radius: 3px; background: {p.field}; }}
QCheckBox::indicator:checked {{ image: url("{_CHECK}"); background: {p.accent}; border-color: {p.accent}; }}
QCheckBox::indicator:disabled {{ border-color: {p.line}; }}
QSlider::groove:horizontal {{ background: {p.line}; height: 4px; border-radius: 2px; }}
QSlider::sub-page:horizontal {{ background: {p.primary_line}; border-radius: 2px; }}
QSlider::sub-page:horizontal:disabled {{ background: {p.line}; }}
QSlider::handle:horizontal {{
  background: {p.text}; border: 1px solid {p.edge}; width: 12px; height: 12px; margin: -5px 0; border-radius: 7px; }}
QSlider::handle:horizontal:hover, QSlider::handle:horizontal:focus {{ background: {p.accent}; }}
QSlider::handle:horizontal:disabled {{ background: {p.faint}; }}
QScrollArea, QScrollArea > QWidget > QWidget {{ background: transparent; }}
QScrollBar:vertical {{ background: transparent; width: 10px; margin: 0; }}
QScrollBar::handle:vertical {{ background: {p.line}; border-radius: 4px; min-height: 30px; margin: 0 0 0 2px; }}
QScrollBar::handle:vertical:hover {{ background: {p.faint}; }}
QScrollBar::add-line:vertical, QScrollBar::sub-line:vertical {{ height: 0; }}
QScrollBar::add-page:vertical, QScrollBar::sub-page:vertical {{ background: transparent; }}
QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 0; }}
QScrollBar::handle:horizontal {{ background: {p.line}; border-radius: 4px; min-width: 30px; margin: 2px 0 0 0; }}
QScrollBar::handle:horizontal:hover {{ background: {p.faint}; }}
QScrollBar::add-line:horizontal, QScrollBar::sub-line:horizontal {{ width: 0; }}
QScrollBar::add-page:horizontal, QScrollBar::sub-page:horizontal {{ background: transparent; }}
QDoubleSpinBox#level {{ min-height: 24px; padding: 0 4px; }}
QComboBox::drop-down {{ border: none; width: 26px; }}
QComboBox::down-arrow {{ image: url("{_ARROW}"); width: 12px; height: 12px; }}
QComboBox QAbstractItemView {{
  background: {p.raised}; border: 1px solid {p.line};
  selection-background-color: {p.selection_fill}; selection-color: {p.text}; }}

QTabWidget::pane {{ border: none; border-top: 1px solid {p.line}; }}
QTabBar::tab {{ background: transparent; color: {p.muted}; padding: 6px 12px; border-bottom: 2px solid transparent; }}
QTabBar::tab:selected {{ color: {p.text}; border-bottom-color: {p.accent}; }}
QTabBar::tab:hover {{ color: {p.text}; }}
QListView {{ background: {p.background}; border: 1px solid {p.line}; selection-background-color: {p.selection_fill};
  selection-color: {p.text}; }}
QTableView {{ background: {p.background}; border: none; gridline-color: {p.line}; selection-background-color: {p.raised};
  selection-color: {p.text}; }}
QHeaderView {{ background: {p.panel}; }}
QHeaderView::section {{
  background: {p.panel}; color: {p.muted}; border: none; border-bottom: 1px solid {p.line}; padding: 4px 8px; }}
QTableView#narrow QHeaderView::section {{ padding: 3px 4px; }}
QMenu {{ background: {p.raised}; border: 1px solid {p.line}; padding: 4px; }}
QMenu::item {{ padding: 5px 26px 5px 26px; border-radius: 3px; }}
QMenu::item:selected {{ background: {p.selection_fill}; }}
QMenu::item:disabled {{ color: {p.faint}; }}
QMenu::separator {{ height: 1px; background: {p.line}; margin: 4px 8px; }}

QProgressBar {{
  background: {p.background}; border: 1px solid {p.line}; border-radius: 4px; min-height: 8px; max-height: 8px; }}
QProgressBar::chunk {{ background: {p.accent}; border-radius: 3px; }}

QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}

QFrame#banner {{ border-radius: 5px; border: 1px solid {p.line}; background: {p.raised}; }}
QFrame#banner[level="none"] {{ background: transparent; border-color: transparent; }}
QFrame#banner[level="info"] {{ background: {p.info_fill}; border-color: {p.accent}; }}
QFrame#banner[level="warning"] {{ background: {p.warning_fill}; border-color: {p.warning}; }}
QFrame#banner[level="error"] {{ background: {p.error_fill}; border-color: {p.alarm}; }}
QFrame#guide {{ background: {p.info_fill}; border: none; border-bottom: 1px solid {p.accent}; }}
QFrame#result {{ background: {p.panel}; border: 1px solid {p.line}; border-radius: 5px; }}
QFrame#result[outcome="good"] {{ border-color: {p.good}; }}
QFrame#result[outcome="doubtful"] {{ border-color: {p.warning}; }}
QFrame#drop {{ background: {p.info_fill}; border: 2px solid {p.accent}; border-radius: 8px; }}
QFrame#drop[outcome="bad"] {{ background: {p.error_fill}; border-color: {p.alarm}; }}
QPushButton#small {{ min-height: 26px; padding: 0 10px; }}
QPushButton#dismiss {{ min-height: 26px; background: transparent; }}
QPushButton#dismiss:hover {{ border-color: {p.text}; }}

QLabel#simulated {{
  background: {p.warning_fill}; color: {p.warning}; border: 1px solid {p.warning}; border-radius: 4px;
  padding: 2px 10px; font-weight: 600; }}
QLabel[tone="normal"] {{ color: {p.text}; }}
QLabel[tone="muted"] {{ color: {p.muted}; }}
QLabel[tone="good"] {{ color: {p.good}; }}
QLabel[tone="warning"] {{ color: {p.warning}; }}
QLabel[tone="alarm"] {{ color: {p.alarm}; }}
QWidget#popout {{ background: {p.background}; }}
QMenuBar {{ background: {p.panel}; border-bottom: 1px solid {p.line}; }}
QMenuBar::item {{ padding: 5px 10px; }}
QMenuBar::item:selected {{ background: {p.selection_fill}; }}
QToolBar {{ background: transparent; border: none; }}
QToolBar#rail {{ background: {p.panel}; border-right: 1px solid {p.line}; padding: 6px 4px; }}
QStatusBar {{ background: {p.panel}; border-top: 1px solid {p.line}; }}
QStatusBar::item {{ border: none; }}
QDockWidget {{ color: {p.text}; font-weight: 600; }}
QDockWidget::title {{ background: {p.panel}; border-bottom: 1px solid {p.line}; padding: 6px 10px; }}
"""
