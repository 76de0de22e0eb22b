"""One device of the set-up form: its kind, the connected devices, its settings, and its live state with a picture."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.gui.rig_page.set_up.section_form import SectionForm
from app.gui.widgets.picture import Picture
from app.gui.widgets.style import set_style
from app.instrument.config import InstrumentConfig
from app.instrument.devices import DetectedDevice, DeviceKind

_FORM_PX, _PICTURE_PX = 330, 190


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
    #: Fields were made; the widget that they are in.
    fields_made = pyqtSignal(object)
    #: Why a number was refused, with its range.
    refused = pyqtSignal(str)

    def __init__(self, caption: str, kinds: Mapping[str, DeviceKind], placeholder: str) -> None:
        super().__init__()
        self.setObjectName("card")
        self._config = InstrumentConfig()
        self._sections: Mapping[str, list[str]] = {}
        self._pages_of: dict[str, int] = {}
        self._results: dict[str, list[DetectedDevice] | str] = {}
        self._searching = False
        self.forms: dict[str, SectionForm] = {}
        self.kind = QComboBox()
        self.kind.setAccessibleName(f"Kind of {caption}")
        self.kind.setToolTip(f"Which kind of device the {caption} is")
        for name, kind in kinds.items():
            self.kind.addItem(kind.title, str(name))
        self.devices = QComboBox()
        self.devices.setAccessibleName(f"{caption}: connected devices")
        self.devices.setToolTip("Devices that are connected now; choose one to fill in the settings below")
        self._pages = QStackedWidget()
        self.picture = Picture(placeholder)
        self.state = QLabel()
        self.state.setWordWrap(True)
        self.state.setTextFormat(Qt.TextFormat.PlainText)
        self.state.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.buttons = QHBoxLayout()
        self.buttons.addStretch(1)
        self._build(caption)
        self.changed.connect(self._show_devices)
        self.kind.currentIndexChanged.connect(lambda _: self._show_page())
        self.kind.activated.connect(lambda _: self.changed.emit())
        self.devices.activated.connect(self._fill_in)

    @property
    def name(self) -> str:
        """The chosen kind's name in the configuration."""
        return str(self.kind.currentData())

    def button(self, text: str, tip: str) -> QPushButton:
        """Add a button under the picture and return it."""
        button = QPushButton(text)
        button.setObjectName("small")
        button.setToolTip(tip)
        self.buttons.insertWidget(self.buttons.count() - 1, button)
        return button

    def show_config(self, config: InstrumentConfig, name: str, sections: Mapping[str, list[str]]) -> None:
        """Show a configuration: the chosen kind, and a form for each of its sections."""
        self._config, self._sections = config, sections
        self.forms = {}
        while (old := self._pages.widget(0)) is not None:
            self._pages.removeWidget(old)
            old.deleteLater()
        self._pages_of = {}
        self.kind.setCurrentIndex(max(0, self.kind.findData(str(name))))
        self._show_page()
        self._show_devices()

    def _show_page(self) -> None:
        """Show the forms of the chosen kind; they are made when the kind is chosen for the first time."""
        kind = self.name
        if kind not in self._pages_of:
            parts = self._sections.get(kind, [])
            forms = [SectionForm(getattr(self._config, part)) for part in parts]
            for part, form in zip(parts, forms, strict=True):
                form.changed.connect(self.changed)
                form.refused.connect(self.refused)
                self.forms[f"{kind}/{part}"] = form
            page = _page(forms, parts)
            self._pages_of[kind] = self._pages.addWidget(page)
            self.fields_made.emit(page)
        self._pages.setCurrentIndex(self._pages_of[kind])

    def show_search(self, results: Mapping[str, list[DetectedDevice] | str], *, searching: bool) -> None:
        """Show the results of a search so far, by kind: the devices, or a text that says why none can be found."""
        if results != self._results or searching != self._searching:
            self._results = dict(results)
            self._searching = searching
            self._show_devices()

    def values(self) -> dict[str, dict[str, object]]:
        """Return the sections of the chosen kind, as entered in the forms."""
        return {part: self.forms[f"{self.name}/{part}"].values() for part in self._sections.get(self.name, [])}

    def chosen_forms(self) -> dict[str, SectionForm]:
        """Return the forms of the chosen kind, by their section."""
        return {part: self.forms[f"{self.name}/{part}"] for part in self._sections.get(self.name, [])}

    def show_state(self, text: str, error: str) -> None:
        """Show the state of the device, or its error if there is one."""
        self.state.setText(error or text)
        set_style(self.state, "tone", "alarm" if error else "muted")

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
        pairs = [(values.get(part, {}).get(key), value) for part, settings in sections for key, value in settings.items()]
        return all(_plain(entry) == _plain(value) for entry, value in pairs)

    def _fill_in(self, index: int) -> None:
        """Fill the settings of the chosen device into the forms."""
        device = self.devices.itemData(index)
        if isinstance(device, DetectedDevice):
            for part, settings in device.settings.items():
                form = self.forms.get(f"{self.name}/{part}")
                if form is not None and isinstance(settings, Mapping):
                    form.show_values(settings)
            self.changed.emit()

    def _build(self, caption: str) -> None:
        heading = QLabel(caption)
        heading.setObjectName("heading")
        seen = QVBoxLayout()
        seen.setSpacing(6)
        seen.addWidget(self.picture, 1)
        seen.addLayout(self.buttons)
        seen.addWidget(self.state)
        for box in (self.kind, self.devices):
            box.setMinimumContentsLength(12)
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        grid = QGridLayout(self)
        grid.setContentsMargins(14, 10, 14, 10)
        grid.setSpacing(8)
        grid.addWidget(heading, 0, 0)
        grid.addWidget(self.kind, 0, 1)
        grid.addWidget(self.devices, 1, 0, 1, 2)
        grid.addWidget(self._pages, 2, 0, 1, 2)
        grid.addLayout(seen, 0, 2, 3, 1)
        grid.setRowStretch(2, 1)
        grid.setColumnStretch(1, 3)
        grid.setColumnStretch(2, 2)
        self._pages.setMinimumWidth(_FORM_PX)
        self.picture.setMinimumWidth(_PICTURE_PX)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


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
