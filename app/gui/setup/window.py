"""The setup page: choose camera and SLM, see them live, and write the instrument file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtGui import QCloseEvent
from PyQt6.QtWidgets import QComboBox, QDialog, QGridLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout

from app.gui.setup.device_panel import DevicePanel
from app.gui.setup.form import SectionForm, typed_value
from app.gui.setup.trust_question import ask_trust
from app.gui.widgets.banner import Banner
from app.gui.widgets.labels import FieldPlace, add_field
from app.gui.widgets.style import GAP_PX, set_style
from app.instrument.config import InstrumentConfig, checked, save_config
from app.instrument.devices import CAMERAS, SLMS
from app.instrument.preview import DevicePreview, DeviceSearch, SlmImage
from app.instrument.trust import TrustError, trust, trust_requests
from app.status import Message, MessageLevel, Topic
from drivers.base import Frame, SpeckleScopeError

_POLL_MS = 100
_CAMERA_SECTIONS: Mapping[str, list[str]] = {
    name: [kind.section] for name, kind in CAMERAS.items() if kind.section not in ("", "twin")
}
_SLM_SECTIONS: Mapping[str, list[str]] = {
    name: [kind.section, "panel", "hologram"] for name, kind in SLMS.items() if kind.section not in ("", "twin")
}


class SetupWindow(QDialog):
    """Finds devices, shows their live state, and writes the instrument file.

    The dialog is accepted when the operator has saved the file and wants to open the instrument.

    Parameters
    ----------
    config : InstrumentConfig
        The initial values.
    path : Path
        The instrument file.
    problem : str
        Why the instrument could not be opened; empty when the operator requested this page.
    """

    def __init__(self, config: InstrumentConfig, path: Path, problem: str = "") -> None:
        super().__init__()
        self.setWindowTitle("SpeckleScope: set up the instrument")
        self._config = config
        self._preview: DevicePreview | None = None
        self._closing: list[DevicePreview] = []
        self._config_to_try: InstrumentConfig | None = None
        self._accepting = False
        self._frame_shown: Frame | None = None
        self._grey_shown: NDArray[np.uint8] | None = None
        self.banner = Banner()
        self.camera = DevicePanel("Camera", CAMERAS, "Press Try to see the camera's picture")
        self.slm = DevicePanel(
            "Spatial light modulator", SLMS, "Press Try, then Test card, to see the exact bytes that are sent to the SLM"
        )
        self.camera.show_config(config, config.camera, _CAMERA_SECTIONS)
        self.slm.show_config(config, config.slm, _SLM_SECTIONS)
        self.name = QLineEdit(config.name)
        self.fibre = QLineEdit(config.fibre)
        self.pixel_um = QLineEdit(f"{config.pixel_um:g}")
        self.trigger = QComboBox()
        self.trigger.addItems(["software", "hardware"])
        self.trigger.setCurrentText(config.trigger)
        self.path = QLineEdit(str(path))
        self.try_button = QPushButton("Try")
        self.search_button = QPushButton("Search again")
        self.save_button = QPushButton("Save")
        self.use_button = QPushButton("Save and open")
        self.cancel_button = QPushButton("Cancel")
        self.card_button = self.slm.button("Test card", "Show the test card on the SLM")
        self.blank_button = self.slm.button("Blank", "Show grey level 0 on the SLM")
        self._build()
        self._connect()
        if problem:
            self.banner.push(Message(MessageLevel.ERROR, problem))
        self._search = DeviceSearch()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.refresh)
        self._timer.start(_POLL_MS)
        self.refresh()

    @property
    def search(self) -> DeviceSearch:
        """The latest search for devices."""
        return self._search

    @property
    def preview(self) -> DevicePreview | None:
        """The devices that are tried; None when none are."""
        return self._preview

    @property
    def file(self) -> Path:
        """The instrument file."""
        return Path(self.path.text().strip()).expanduser()

    def config(self) -> InstrumentConfig:
        """Return the configuration as entered on the page.

        Raises
        ------
        ConfigError
            An entry is not valid; the message names the field.
        """
        content: dict[str, object] = {
            **dict(self._config),
            **self.camera.values(),
            **self.slm.values(),
            "name": self.name.text().strip(),
            "fibre": self.fibre.text().strip(),
            "pixel_um": typed_value(self.pixel_um.text()),
            "trigger": self.trigger.currentText(),
            "camera": self.camera.name,
            "slm": self.slm.name,
        }
        return checked(content, "this page", self._config.file)

    def try_devices(self) -> None:
        """Open the chosen devices, after releasing those that were tried before."""
        try:
            self._config_to_try = self._allowed(self.config())
        except SpeckleScopeError as error:
            self._refuse(str(error))
            return
        self._unmark()
        set_style(self.try_button, "tone", "")
        self.banner.dismiss()
        self._release()

    def save(self) -> bool:
        """Write the instrument file and show a message; return whether it was written."""
        try:
            save_config(self._allowed(self.config()), self.file)
        except SpeckleScopeError as error:
            self._refuse(str(error))
            return False
        self._unmark()
        self.banner.push(Message(MessageLevel.INFO, f"Saved as {self.file}"))
        return True

    def _refuse(self, problem: str) -> None:
        """Say what is wrong, and mark its field."""
        named, problem = problem, re.sub(r"'\w+' = \{.*\}: ", "", problem)  # what was filled in is seen on the page
        for key, form in self._forms():
            part = key.partition("/")[2]
            problem = form.mark(problem) if re.search(rf"'{part}\b", named) else (form.mark("") or problem)
        self.banner.push(Message(MessageLevel.ERROR, problem, Topic.COMMAND))

    def _forms(self) -> list[tuple[str, SectionForm]]:
        """Return the forms of the chosen devices, each with its kind and section."""
        panels = (self.camera, self.slm)
        return [(key, form) for panel in panels for key, form in panel.forms.items() if key.startswith(f"{panel.name}/")]

    def _unmark(self) -> None:
        for _, form in self._forms():
            form.mark("")
        self.banner.clear(Topic.COMMAND)

    def use(self) -> None:
        """Save, release the devices, and close."""
        if self.save():
            self._accepting = True
            self.setEnabled(False)
            self._release()

    def refresh(self) -> None:
        """Show the results of the device search and of the device preview; a timer calls it."""
        searching = self._search.running
        self.search_button.setEnabled(not searching)
        self.camera.show_search(self._search.cameras, searching=searching)
        self.slm.show_search(self._search.slms, searching=searching)
        self._closing = [preview for preview in self._closing if preview.status.running]
        if not self._closing:
            if self._config_to_try is not None:
                self._preview, self._config_to_try = DevicePreview(self._config_to_try), None
            elif self._accepting:
                self._timer.stop()
                super().accept()
                return
        self._show_preview()

    def _allowed(self, config: InstrumentConfig) -> InstrumentConfig:
        """Return the configuration if it may act.

        A program that the operator has chosen on this page is trusted. One that came with the file is asked about.
        """
        of_file = trust_requests(self._config, chosen=False)
        trust(request for request in trust_requests(config) if request not in of_file)
        if not ask_trust(config, self):
            raise TrustError("nothing is run or saved, because you did not allow it; choose another program, folder or address")
        return config

    def _show_preview(self) -> None:
        live = self._preview is not None
        self.card_button.setEnabled(live)
        self.blank_button.setEnabled(live)
        self.try_button.setText("Try again" if live else "Try")
        if self._preview is None:
            text = "releasing the devices\N{HORIZONTAL ELLIPSIS}" if self._closing else "not tried yet"
            self.camera.show_state(text, "")
            self.slm.show_state(text, "")
            return
        status = self._preview.status
        self.camera.show_state(status.camera, status.camera_trouble)
        self.slm.show_state(status.slm, status.slm_trouble)
        if status.frame is not self._frame_shown:
            self._frame_shown = status.frame
            self.camera.picture.show_grey(None if status.frame is None else _eight_bit(status.frame))
        if status.grey is not self._grey_shown:
            self._grey_shown = status.grey
            self.slm.picture.show_grey(status.grey)

    def _show_test_card(self) -> None:
        self._show_on_slm(SlmImage.TEST_CARD)

    def _show_blank(self) -> None:
        self._show_on_slm(SlmImage.BLANK)

    def _show_on_slm(self, image: SlmImage) -> None:
        if self._preview is not None:
            self._preview.show(image)

    def _release(self) -> None:
        if self._preview is not None:
            self._preview.close()
            self._closing.append(self._preview)
            self._preview = None

    def _changed(self) -> None:
        """Highlight Try: the open devices have other settings than the page."""
        set_style(self.try_button, "tone", "primary")

    def _search_again(self) -> None:
        self._search = DeviceSearch()

    def reject(self) -> None:
        """Close without saving; the devices are released by their own thread."""
        self._timer.stop()
        self._release()
        super().reject()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Treat closing the window like Cancel."""
        self.reject()
        if event is not None:
            event.accept()

    def wait_closed(self, timeout_s: float) -> bool:
        """Wait until the devices are released, after the page has closed; False when that takes longer."""
        return all(preview.join(timeout_s) for preview in self._closing)

    def _connect(self) -> None:
        self.camera.changed.connect(self._changed)
        self.slm.changed.connect(self._changed)
        self.try_button.clicked.connect(self.try_devices)
        self.search_button.clicked.connect(self._search_again)
        self.save_button.clicked.connect(self.save)
        self.use_button.clicked.connect(self.use)
        self.cancel_button.clicked.connect(self.reject)
        self.card_button.clicked.connect(self._show_test_card)
        self.blank_button.clicked.connect(self._show_blank)

    def _build(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        fields = (
            ("Instrument", self.name, "Name of the instrument; it is stored with datasets and recordings"),
            ("Fibre", self.fibre, "Name of the fibre; every model and every dataset belongs to one fibre"),
            ("Pixel (\N{MICRO SIGN}m)", self.pixel_um, "Size of a camera pixel at the fibre facet; scale bars depend on it"),
            (
                "Trigger",
                self.trigger,
                "What starts an exposure: the program, or the sync output of the SLM",
            ),
        )
        for column, (caption, field, tip) in enumerate(fields):
            add_field(grid, caption, field, tip, FieldPlace(0, column))
            grid.setColumnStretch(column, 3 if column < 2 else 1)
        devices = QHBoxLayout()
        devices.setSpacing(GAP_PX)
        devices.addWidget(self.camera, 1)
        devices.addWidget(self.slm, 1)
        bottom = QHBoxLayout()
        bottom.setSpacing(8)
        self.try_button.setToolTip("Open the chosen devices with these settings and show them live")
        self.search_button.setToolTip("Search for devices again")
        self.use_button.setToolTip("Save the instrument file and open the instrument")
        set_style(self.use_button, "tone", "primary")
        self.path.setToolTip("The instrument file; use it with specklescope --config")
        self.path.setAccessibleName("Instrument file")
        bottom.addWidget(self.try_button)
        bottom.addWidget(self.search_button)
        bottom.addSpacing(24)
        bottom.addWidget(QLabel("File"))
        bottom.addWidget(self.path, 1)
        for button in (self.save_button, self.use_button, self.cancel_button):
            bottom.addWidget(button)
        for button in (self.try_button, self.search_button, self.save_button, self.use_button, self.cancel_button):
            button.setAutoDefault(False)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GAP_PX, GAP_PX, GAP_PX, GAP_PX)
        layout.setSpacing(GAP_PX)
        layout.addLayout(grid)
        layout.addLayout(devices, 1)
        layout.addWidget(self.banner)
        layout.addLayout(bottom)
        self.resize(1180, 860)


def _eight_bit(frame: Frame) -> NDArray[np.uint8]:
    if frame.pixels.dtype == np.uint8:
        return frame.pixels.astype(np.uint8, copy=False)
    return (frame.pixels >> (frame.bit_depth - 8)).astype(np.uint8)
