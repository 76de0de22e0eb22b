"""A card for one kind of calibration: its name, its verdict, the measured value and its age."""

from __future__ import annotations

from typing import Final

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QAbstractButton, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout

from app.calibrations.kinds import FACTS, Calibration
from app.calibrations.shelf import CalibrationRecord
from app.calibrations.verdict import CalibrationState, age_text
from app.gui.widgets.icons import IconLabel, Ink
from app.gui.widgets.labels import ElidedLabel
from app.gui.widgets.palette import colours
from app.gui.widgets.style import set_style

#: Icon, colour of the icon, and tone of the text of every verdict.
SIGNS: Final = {
    CalibrationState.NEVER: ("info", Ink.MUTED, "muted"),
    CalibrationState.GOOD: ("good", Ink.GOOD, "good"),
    CalibrationState.DOUBTFUL: ("warning", Ink.WARNING, "warning"),
    CalibrationState.STALE: ("wait", Ink.WARNING, "warning"),
    CalibrationState.CONTRADICTS: ("error", Ink.ALARM, "alarm"),
    CalibrationState.UNREADABLE: ("error", Ink.ALARM, "alarm"),
}
_RADIUS_PX = 6


class CalibrationCard(QAbstractButton):
    """Shows one record, and can be chosen with the mouse and the arrow keys.

    Parameters
    ----------
    what : Calibration
        The kind.
    """

    def __init__(self, what: Calibration) -> None:
        super().__init__()
        self.what = what
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setToolTip(FACTS[what].purpose)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        title = QLabel(FACTS[what].title)
        title.setObjectName("heading")
        self.age = QLabel()
        self.age.setObjectName("caption")
        self.sign = IconLabel()
        self.verdict = QLabel()
        self.value = ElidedLabel("muted")
        first = QHBoxLayout()
        first.addWidget(title, 1)
        first.addWidget(self.age)
        second = QHBoxLayout()
        second.addWidget(self.sign)
        second.addWidget(self.verdict, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.setSpacing(3)
        layout.addLayout(first)
        layout.addLayout(second)
        layout.addWidget(self.value)
        for label in (title, self.age, self.sign, self.verdict, self.value):
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.show_record(None)

    def show_record(self, record: CalibrationRecord | None) -> None:
        """Show a record; None while nothing is known."""
        name = FACTS[self.what].title
        if record is None:
            self.sign.show_icon("")
            self.verdict.setText("\N{EN DASH}")
            set_style(self.verdict, "tone", "muted")
            self.value.show_text("")
            self.age.setText("")
            self.setAccessibleName(name)
            return
        icon, ink, tone = SIGNS[record.verdict.state]
        age = age_text(record.stored.age_days) if record.stored is not None else ""
        self.sign.show_icon(icon, ink)
        self.verdict.setText(record.verdict.state)
        set_style(self.verdict, "tone", tone)
        self.value.show_text(record.value or record.verdict.reason)
        self.age.setText(age)
        self.setAccessibleName(", ".join(filter(None, (name, record.verdict.state, record.value, age))))

    def sizeHint(self) -> QSize:
        """Return the size that the texts need."""
        layout = self.layout()
        assert layout is not None
        return layout.sizeHint()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the ground and the edge of the card."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette = colours()
        marked = self.isChecked() or self.hasFocus()
        edge = palette.accent if marked else palette.muted if self.underMouse() else palette.line
        width = 2.0 if self.hasFocus() else 1.0
        painter.setPen(QPen(QColor(edge), width))
        painter.setBrush(QColor(palette.raised if self.isChecked() else palette.panel))
        inside = QRectF(self.rect()).adjusted(width / 2, width / 2, -width / 2, -width / 2)
        painter.drawRoundedRect(inside, _RADIUS_PX, _RADIUS_PX)
