"""One device of the setup page: its kind, the connected devices, its settings, and its live state with a picture."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.gui.setup.form import SectionForm, heading
from app.gui.widgets.picture import Picture
from app.gui.widgets.style import set_style
from app.instrument.config import InstrumentConfig
from app.instrument.devices import DetectedDevice, DeviceKind


class DevicePanel(QFrame):
    """Chooses and describes one device; emits ``changed`` whenever its settings change.

    Parameters
    ----------
    caption : str
        Name of the device: camera or SLM.
    kinds : mapping of str to DeviceKind
        The kinds to choose from.
    placeholder : str
        The text while there is no picture.
    """

    changed = pyqtSignal()

    def __init__(self, caption: str, kinds: Mapping[str, DeviceKind], placeholder: str) -> None:
        super().__init__()
        self.setObjectName("card")
        self._kinds = kinds
        self._sections: Mapping[str, list[str]] = {}
        self._results: dict[str, list[DetectedDevice] | str] = {}
        self._searching = False
        self.forms: dict[str, SectionForm] = {}
        self.kind = QComboBox()
        self.kind.setAccessibleName(f"Kind of {caption}")
        for name, kind in kinds.items():
            self.kind.addItem(kind.title, str(name))
        self.devices = QComboBox()
        self.devices.setAccessibleName(f"{caption}: connected devices")
        self.devices.setToolTip("Devices that are connected now; choose one to fill in the settings below")
        self._pages = QStackedWidget()
        self.picture = Picture(placeholder)
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
        layout.addWidget(self.devices)
        layout.addWidget(self._pages, 3)
        layout.addWidget(self.picture, 4)
        layout.addWidget(self.state)
        layout.addLayout(self.buttons)
        self.changed.connect(self._show_devices)
        self.kind.activated.connect(lambda _: self._show_kind())
        self.devices.activated.connect(self._fill_in)

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
        """Show a configuration: the chosen kind, and a form for every section of every kind."""
        self._sections = sections
        for kind in self._kinds:
            forms = [SectionForm(getattr(config, part)) for part in sections.get(kind, [])]
            for part, form in zip(sections.get(kind, []), forms, strict=True):
                form.changed.connect(self.changed)
                self.forms[f"{kind}/{part}"] = form
            self._pages.addWidget(_page(forms, sections.get(kind, [])))
        self.kind.setCurrentIndex(max(0, self.kind.findData(str(name))))
        self._pages.setCurrentIndex(self.kind.currentIndex())
        self._show_devices()

    def show_search(self, results: Mapping[str, list[DetectedDevice] | str], *, searching: bool) -> None:
        """Show the results of a search so far, by kind: the devices, or a text that says why none can be found."""
        if results != self._results or searching != self._searching:
            self._results = dict(results)
            self._searching = searching
            self._show_devices()

    def values(self) -> dict[str, dict[str, object]]:
        """Return the sections of the chosen kind, as entered in the forms."""
        return {part: self.forms[f"{self.name}/{part}"].values() for part in self._sections.get(self.name, [])}

    def show_state(self, text: str, error: str) -> None:
        """Show the state of the device, or its error if there is one."""
        self.state.setText(error or text)
        set_style(self.state, "tone", "alarm" if error else "muted")

    def _show_kind(self) -> None:
        self._pages.setCurrentIndex(self.kind.currentIndex())
        self.changed.emit()

    def _show_devices(self) -> None:
        result = self._results.get(self.name)
        self.devices.clear()
        if isinstance(result, str):
            self.devices.addItem(result)
        elif result:
            self.devices.addItem(f"{len(result)} found; choose one")
            for device in result:
                self.devices.addItem(device.text, device)
                if self._is_chosen(device):
                    self.devices.setCurrentIndex(self.devices.count() - 1)
        else:
            searching = self._searching and result is None
            self.devices.addItem("searching\N{HORIZONTAL ELLIPSIS}" if searching else "no device found")
        self.devices.setEnabled(isinstance(result, list) and bool(result))
        self.devices.setVisible(self.name in self._sections)  # a simulated device is always there

    def _is_chosen(self, device: DetectedDevice) -> bool:
        """Whether the forms name this device."""
        values = self.values()
        sections = ((part, settings) for part, settings in device.settings.items() if isinstance(settings, Mapping))
        return all(values.get(part, {}).get(key) == value for part, settings in sections for key, value in settings.items())

    def _fill_in(self, index: int) -> None:
        """Fill the settings of the chosen device into the forms."""
        device = self.devices.itemData(index)
        if isinstance(device, DetectedDevice):
            for part, settings in device.settings.items():
                form = self.forms.get(f"{self.name}/{part}")
                if form is not None and isinstance(settings, Mapping):
                    form.show_values(settings)
            self.changed.emit()


def _page(forms: list[SectionForm], parts: list[str]) -> QScrollArea:
    """Return a page with the forms below each other; it scrolls."""
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
