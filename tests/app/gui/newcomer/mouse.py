"""What a hand with a mouse does to a window: no key is pressed."""

from __future__ import annotations

from PyQt6.QtCore import QPoint
from PyQt6.QtWidgets import QDoubleSpinBox, QStyle, QStyleOptionSpinBox, QTabWidget

from tests.helpers.x_server.operator import XOperator


def step(operator: XOperator, box: QDoubleSpinBox, wanted: float) -> None:
    """Click the arrows of a field until it shows a number."""
    option = QStyleOptionSpinBox()
    clicks = 0
    while abs(box.value() - wanted) > 1e-9:
        assert clicks < 40, f"no step of the arrows reaches {wanted}: {box.text()}"
        box.initStyleOption(option)
        kinds = QStyle.SubControl
        arrow = kinds.SC_SpinBoxUp if box.value() < wanted else kinds.SC_SpinBoxDown
        place = box.style().subControlRect(QStyle.ComplexControl.CC_SpinBox, option, arrow, box).center()
        before = box.value()
        operator.click(box, place, until=lambda before=before: box.value() != before)
        clicks += 1


def show_sheet(operator: XOperator, tabs: QTabWidget, title: str) -> None:
    """Click the title of a sheet."""
    bar = tabs.tabBar()
    number = next(number for number in range(tabs.count()) if tabs.tabText(number).startswith(title))
    operator.click(bar, bar.tabRect(number).center(), until=lambda: tabs.currentIndex() == number)


def part(of: QPoint, across: float, down: float) -> QPoint:
    """Return a place at a part of a width and a height."""
    return QPoint(round(of.x() * across), round(of.y() * down))
