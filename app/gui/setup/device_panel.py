"""One device of the setup page: its kind, what is plugged in, its settings, and its live state with a picture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QImage, QPainter, QPaintEvent
from PyQt6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.gui.setup.form import SectionForm, heading
from app.gui.widgets.style import ALARM, BACKGROUND, FAINT, LINE, MUTED
from app.instrument.config import InstrumentConfig
from app.instrument.devices import Found, Kind


class Picture(QWidget):
    """A grey image, whole and in its proportions, or words in its place."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words
        self._image: QImage | None = None
        self._pixels: bytes = b""
        self.setMinimumHeight(150)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def show_grey(self, grey: NDArray[np.uint8] | None) -> None:
        """Show an image (H, W), or the words where it is None."""
        if grey is None:
            self._image = None
        else:
            height, width = grey.shape
            self._pixels = np.ascontiguousarray(grey).tobytes()
            self._image = QImage(self._pixels, width, height, width, QImage.Format.Format_Grayscale8)
        self.update()

    def sizeHint(self) -> QSize:
        """Ask for a small picture."""
        return QSize(320, 220)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint it."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(BACKGROUND))
        if self._image is None:
            painter.setPen(QColor(FAINT))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._words)
            return
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        size = self._image.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRectF((self.width() - size.width()) / 2, (self.height() - size.height()) / 2, size.width(), size.height())
        painter.drawImage(place, self._image)
        painter.setPen(QColor(LINE))
        painter.drawRect(place)


class DevicePanel(QFrame):
    """Chooses and describes one device; emits ``changed`` whenever its settings are others.

    Parameters
    ----------
    caption : str
        What kind of device it is.
    kinds : mapping of str to Kind
        What there is to choose from.
    words : str
        Stands where its picture will be.
    """

    changed = pyqtSignal()

    def __init__(self, caption: str, kinds: Mapping[str, Kind], words: str) -> None:
        super().__init__()
        self.setObjectName("card")
        self._kinds = kinds
        self._sections: Mapping[str, list[str]] = {}
        self._found: dict[str, list[Found] | str] = {}
        self.forms: dict[str, SectionForm] = {}
        self.kind = QComboBox()
        self.kind.setAccessibleName(f"Kind of {caption}")
        for name, kind in kinds.items():
            self.kind.addItem(kind.title, name)
        self.found = QComboBox()
        self.found.setAccessibleName(f"{caption} that was found")
        self.found.setToolTip("What is plugged in now; choosing one fills in the settings below")
        self._pages = QStackedWidget()
        self.picture = Picture(words)
        self.state = QLabel()
        self.state.setWordWrap(True)
        self.state.setMinimumHeight(38)
        self.state.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.state.setTextFormat(Qt.TextFormat.PlainText)
        self.buttons = QHBoxLayout()
        self.buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 12)
        layout.setSpacing(8)
        layout.addWidget(heading(caption))
        layout.addWidget(self.kind)
        layout.addWidget(self.found)
        layout.addWidget(self._pages, 3)
        layout.addWidget(self.picture, 4)
        layout.addWidget(self.state)
        layout.addLayout(self.buttons)
        self.kind.activated.connect(lambda _: self._chosen())
        self.found.activated.connect(self._take)

    @property
    def name(self) -> str:
        """The chosen kind's name in the configuration."""
        return str(self.kind.currentData())

    def button(self, text: str, tip: str) -> QPushButton:
        """Add a button under the picture and return it."""
        button = QPushButton(text)
        button.setToolTip(tip)
        self.buttons.insertWidget(self.buttons.count() - 1, button)
        return button

    def show_config(self, config: InstrumentConfig, name: str, sections: Mapping[str, list[str]]) -> None:
        """Show a configuration: the chosen kind, and a form for every section that kinds of this device have."""
        self._sections = sections
        for kind in self._kinds:
            forms = [SectionForm(getattr(config, part)) for part in sections.get(kind, [])]
            for part, form in zip(sections.get(kind, []), forms, strict=True):
                form.changed.connect(self.changed)
                self.forms[f"{kind}/{part}"] = form
            self._pages.addWidget(_page(forms, sections.get(kind, [])))
        self.kind.setCurrentIndex(max(0, self.kind.findData(name)))
        self._pages.setCurrentIndex(self.kind.currentIndex())

    def show_found(self, results: Mapping[str, list[Found] | str], searching: bool) -> None:
        """Show what a search has found so far."""
        known = dict(results)
        if known != self._found or not searching:
            self._found = known
            self._show_found(searching)

    def values(self) -> dict[str, dict[str, object]]:
        """Return the sections of the chosen kind as the forms say."""
        return {part: self.forms[f"{self.name}/{part}"].values() for part in self._sections.get(self.name, [])}

    def show_state(self, words: str, trouble: str) -> None:
        """Show how the device is."""
        self.state.setText(trouble or words)
        self.state.setStyleSheet(f"color: {ALARM if trouble else MUTED};")

    def _chosen(self) -> None:
        self._pages.setCurrentIndex(self.kind.currentIndex())
        self._show_found(False)
        self.changed.emit()

    def _show_found(self, searching: bool) -> None:
        result = self._found.get(self.name)
        self.found.clear()
        if isinstance(result, str):
            self.found.addItem(result)
        elif result:
            self.found.addItem(f"{len(result)} found; choose one")
            for device in result:
                self.found.addItem(device.text, device)
                if self._is_chosen(device):
                    self.found.setCurrentIndex(self.found.count() - 1)
        else:
            self.found.addItem("looking\N{HORIZONTAL ELLIPSIS}" if searching and result is None else "none found by itself")
        self.found.setEnabled(isinstance(result, list) and bool(result))

    def _is_chosen(self, device: Found) -> bool:
        """Whether the forms name this very device."""
        values = self.values()
        wanted = ((part, settings) for part, settings in device.settings.items() if isinstance(settings, Mapping))
        return all(values.get(part, {}).get(key) == value for part, settings in wanted for key, value in settings.items())

    def _take(self, index: int) -> None:
        device = self.found.itemData(index)
        if isinstance(device, Found):
            for part, settings in device.settings.items():
                form = self.forms.get(f"{self.name}/{part}")
                if form is not None and isinstance(settings, Mapping):
                    form.show_values(settings)
            self.changed.emit()


def _page(forms: list[SectionForm], parts: list[str]) -> QScrollArea:
    """Return a page that holds the forms one below the other and scrolls."""
    page = QWidget()
    layout = QVBoxLayout(page)
    layout.setContentsMargins(0, 0, 0, 0)
    for form, part in zip(forms, parts, strict=True):
        if len(forms) > 1:
            caption = QLabel(part.replace("_", " ").capitalize())
            caption.setObjectName("caption")
            layout.addWidget(caption)
        layout.addWidget(form)
    if not forms:
        nothing = QLabel("Nothing to set")
        nothing.setObjectName("muted")
        layout.addWidget(nothing)
    layout.addStretch(1)
    scroll = QScrollArea()
    scroll.setWidget(page)
    scroll.setWidgetResizable(True)
    scroll.setFrameShape(QFrame.Shape.NoFrame)
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return scroll
