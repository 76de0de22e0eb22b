"""The set-up form: choose camera and SLM, test them with a picture, and write the instrument file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, auto
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QComboBox, QFileDialog, QGridLayout, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.gui.rig_page.note import Note, NoteLevel
from app.gui.rig_page.set_up.device_panel import DevicePanel
from app.gui.rig_page.set_up.device_test import DeviceTest
from app.gui.rig_page.set_up.editors import NumberEditor
from app.gui.rig_page.set_up.section_form import SectionForm
from app.gui.rig_page.trust_question import ask_trust
from app.gui.widgets.labels import FieldPlace, add_field
from app.gui.widgets.style import GAP_PX, set_style
from app.instrument.config import InstrumentConfig, checked, load_config, save_config
from app.instrument.devices import CAMERAS, SLMS
from app.instrument.fields import FieldRange
from app.instrument.preview import DevicePreview, DeviceSearch, SlmImage
from app.instrument.trust import TrustError, trust, trust_requests
from app.jobs.job_list import JobList
from drivers.base import Frame, SpeckleScopeError

_CAMERA_SECTIONS: Mapping[str, list[str]] = {
    name: [kind.section] for name, kind in CAMERAS.items() if kind.section not in ("", "twin")
}
_SLM_SECTIONS: Mapping[str, list[str]] = {
    name: [kind.section, "panel", "hologram"] for name, kind in SLMS.items() if kind.section not in ("", "twin")
}
_FIELD_PX = 36
_PIXEL = FieldRange(low=0.001, high=1000.0, unit="\N{MICRO SIGN}m", decimals=4)
_TRIGGERS = {"software": "This program", "hardware": "Sync output of the SLM"}


class TrialState(Enum):
    """What the panel does with the devices.

    ::

        IDLE --> FREEING --> TESTING --> IDLE
          ^         |
          +---------+   the operator keeps the instrument open
    """

    IDLE = auto()
    #: The instrument that is open is being closed.
    FREEING = auto()
    TESTING = auto()


class SetUpPanel(QWidget):
    """Finds devices, shows them live, and writes the instrument file.

    Parameters
    ----------
    jobs : JobList
        The jobs of the window; a test of the devices is one.
    """

    #: The instrument that is open has to be closed for a test; whoever closes it calls :meth:`use_devices` then.
    devices_requested = pyqtSignal()
    #: The devices that were tested are released.
    devices_released = pyqtSignal()
    #: An instrument file was saved, and is to be opened; its path.
    open_requested = pyqtSignal(object)

    def __init__(self, jobs: JobList) -> None:
        super().__init__()
        self.state = TrialState.IDLE
        self.test = DeviceTest(jobs)
        self._config = InstrumentConfig()
        self._config_to_try: InstrumentConfig | None = None
        self._open_title = ""
        self._edited = False
        self._frame_shown: Frame | None = None
        self._grey_shown: NDArray[np.uint8] | None = None
        self._search: DeviceSearch | None = None
        self.camera = DevicePanel("Camera", CAMERAS, "Press Test picture to see what the camera sees")
        self.slm = DevicePanel("SLM", SLMS, "Press Test picture, then Test card: what is sent to the SLM is shown here")
        self.name = QLineEdit()
        self.fibre = QLineEdit()
        self.pixel_um = NumberEditor("Pixel", _PIXEL, whole=False)
        self.trigger = QComboBox()
        for value, text in _TRIGGERS.items():
            self.trigger.addItem(text, value)
        self.path = QLineEdit()
        self.note = Note("Set-up")
        self.closing_note = Note("What a test closes")
        self.try_button = QPushButton("Test picture")
        self.stop_button = QPushButton("Stop test")
        self.search_button = QPushButton("Search again")
        self.browse_button = QPushButton("Choose\N{HORIZONTAL ELLIPSIS}")
        self.save_button = QPushButton("Save")
        self.use_button = QPushButton("Save and open")
        self.card_button = self.slm.button("Test card", "Show the test card on the SLM")
        self.blank_button = self.slm.button("Blank", "Show grey level 0 on the SLM")
        self._build()
        self._connect()
        self.show_config(InstrumentConfig(), Path("instrument.yaml"))

    # -- what is set up -------------------------------------------------------------------------------------------

    @property
    def search(self) -> DeviceSearch | None:
        """The latest search for devices; None before the first."""
        return self._search

    @property
    def preview(self) -> DevicePreview | None:
        """The devices that are tested; None while none are."""
        return self.test.preview

    @property
    def file(self) -> Path:
        """The instrument file."""
        return Path(self.path.text().strip()).expanduser()

    @property
    def edited(self) -> bool:
        """Whether something was changed that is not saved."""
        return self._edited

    def show_file(self, path: Path | None, problem: str = "") -> None:
        """Show an instrument file, with the reason why it could not be opened; one that cannot be read gives the defaults."""
        config = InstrumentConfig()
        try:
            config = load_config(path)
        except SpeckleScopeError as error:
            problem = problem or str(error)
        self.show_config(config, path or Path("instrument.yaml"))
        if problem:
            self.note.tell(problem, NoteLevel.ERROR)

    def show_config(self, config: InstrumentConfig, path: Path) -> None:
        """Show a configuration in place of what was entered."""
        self._config = config
        self.camera.show_config(config, config.camera, _CAMERA_SECTIONS)
        self.slm.show_config(config, config.slm, _SLM_SECTIONS)
        self.name.setText(config.name)
        self.fibre.setText(config.fibre)
        self.pixel_um.show_value(config.pixel_um)
        self.trigger.setCurrentIndex(self.trigger.findData(config.trigger))
        self.path.setText(str(path))
        self._edited = False
        self._unmark()

    def show_open(self, title: str) -> None:
        """Say which instrument is open, so that a test has to close it first; an empty title where none is."""
        self._open_title = title
        if title and self.state is TrialState.FREEING:  # another one was opened instead
            self.state = TrialState.IDLE
            self._config_to_try = None

    def config(self) -> InstrumentConfig:
        """Return the configuration as entered.

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
            "pixel_um": self.pixel_um.entry(),
            "trigger": self.trigger.currentData(),
            "camera": self.camera.name,
            "slm": self.slm.name,
        }
        return checked(content, "this page", self._config.file)

    def save(self) -> bool:
        """Write the instrument file and say so; return whether it was written."""
        try:
            save_config(self._allowed(self.config()), self.file)
        except SpeckleScopeError as error:
            self._refuse(str(error))
            return False
        self._unmark()
        self._edited = False
        self.note.tell(f"Saved as {self.file}", NoteLevel.GOOD)
        return True

    def use(self) -> None:
        """Save, release the devices, and ask for the instrument to be opened."""
        if self.save():
            self._config_to_try = None
            self.test.stop()
            self.open_requested.emit(self.file)

    def _refuse(self, problem: str) -> None:
        """Say what is wrong, and mark its field."""
        problem = problem.removeprefix("this page: ")
        named, problem = problem, re.sub(r"'\w+' = \{.*\}: ", "", problem)  # what was filled in is seen on the page
        for part, form in self._forms():
            problem = form.mark(problem) if re.search(rf"'{part}\b", named) else (form.mark("") or problem)
        self.note.tell(f"{problem[:1].upper()}{problem[1:]}", NoteLevel.ERROR)

    def _forms(self) -> list[tuple[str, SectionForm]]:
        """Return the forms of the chosen devices, each with its section."""
        return [*self.camera.chosen_forms().items(), *self.slm.chosen_forms().items()]

    def _unmark(self) -> None:
        for _, form in self._forms():
            form.mark("")
        self.note.tell("")

    def _allowed(self, config: InstrumentConfig) -> InstrumentConfig:
        """Return the configuration if it may act.

        A program that the operator has chosen on this page is trusted. One that came with the file is asked about.
        """
        of_file = trust_requests(self._config, chosen=False)
        trust(request for request in trust_requests(config) if request not in of_file)
        if not ask_trust(config, self):
            raise TrustError("nothing is run or saved, because you did not allow it; choose another program, folder or address")
        return config

    # -- the test of the devices ----------------------------------------------------------------------------------

    def try_devices(self) -> None:
        """Test the chosen devices; an instrument that is open is closed first, which the operator is asked about."""
        try:
            self._config_to_try = self._allowed(self.config())
        except SpeckleScopeError as error:
            self._refuse(str(error))
            return
        self._unmark()
        set_style(self.try_button, "tone", "")
        if self.test.running:
            self.test.stop()  # the next one starts when the devices are released
        elif self._open_title:
            self.state = TrialState.FREEING
            self.devices_requested.emit()
            if self._open_title and self.state is TrialState.FREEING:
                self.state = TrialState.IDLE  # the operator keeps it open
                self._config_to_try = None
        else:
            self.use_devices()
        self.refresh()

    def use_devices(self) -> None:
        """Begin the test that was asked for; the devices are free."""
        config, self._config_to_try = self._config_to_try, None
        self.state = TrialState.IDLE
        if config is None:  # the page was left meanwhile
            self.devices_released.emit()
            return
        try:
            self.test.start(config)
            self.state = TrialState.TESTING
        except SpeckleScopeError as error:
            self.note.tell(str(error), NoteLevel.ERROR)

    def stop_test(self) -> None:
        """Release the devices soon."""
        self._config_to_try = None
        self.test.stop()
        self.refresh()

    def search_again(self) -> None:
        """Search for devices."""
        self._search = DeviceSearch()

    def refresh(self) -> None:
        """Show the results of the device search and of the test; a timer calls it."""
        searching = self._search is not None and self._search.running
        self.search_button.setEnabled(not searching)
        if self._search is not None:
            self.camera.show_search(self._search.cameras, searching=searching)
            self.slm.show_search(self._search.slms, searching=searching)
        if self.state is TrialState.TESTING and not self.test.running:
            if self._config_to_try is not None:
                self.use_devices()
            else:
                self.state = TrialState.IDLE
                self.devices_released.emit()
        self._show_buttons()
        self._show_test()

    def _show_buttons(self) -> None:
        testing = self.state is TrialState.TESTING
        conflict = self.test.conflict()
        self.card_button.setEnabled(testing)
        self.blank_button.setEnabled(testing)
        self.stop_button.setEnabled(testing)
        self.try_button.setText("Test again" if testing else "Test picture")
        self.try_button.setEnabled(not conflict and self.state is not TrialState.FREEING)
        self.try_button.setToolTip(conflict or "Open the chosen devices with these settings and show their pictures")
        if conflict:
            self.closing_note.tell(conflict, NoteLevel.WARNING)
        elif self.state is TrialState.FREEING:
            self.closing_note.tell("Closing the instrument\N{HORIZONTAL ELLIPSIS}", NoteLevel.WAIT)
        elif self._open_title:
            text = f"A test closes {self._open_title} first, with its live view; you are asked before a recording ends."
            self.closing_note.tell(f"{text} It is opened again after the test.")
        else:
            self.closing_note.tell("")

    def _show_test(self) -> None:
        preview = self.preview
        if preview is None:
            waiting = {TrialState.FREEING: "waiting for the devices", TrialState.TESTING: "opening"}.get(self.state, "")
            text = f"{waiting}\N{HORIZONTAL ELLIPSIS}" if waiting else "not tested yet"
            self.camera.show_state(text, "")
            self.slm.show_state(text, "")
            return
        status = preview.status
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
        if self.preview is not None:
            self.preview.show(image)

    # -- construction ---------------------------------------------------------------------------------------------

    def _note_edit(self) -> None:
        """Note that something is not saved, and that the devices under test may have other settings."""
        self._edited = True
        set_style(self.try_button, "tone", "primary" if self.test.running else "")

    def _show_refusal(self, reason: str) -> None:
        self.note.tell(reason, NoteLevel.ERROR)

    def _choose_file(self) -> None:
        files = "Instrument files (*.yaml *.yml)"
        name, _ = QFileDialog.getSaveFileName(self, "Save the instrument file as", self.path.text(), files)
        if name:
            self.path.setText(name)
            self._note_edit()

    def _connect(self) -> None:
        for panel in (self.camera, self.slm):
            panel.changed.connect(self._note_edit)
            panel.refused.connect(self._show_refusal)
        self.pixel_um.refused.connect(self._show_refusal)
        self.pixel_um.edited.connect(self._note_edit)
        self.trigger.activated.connect(self._note_edit)
        for field in (self.name, self.fibre, self.path):
            field.textEdited.connect(self._note_edit)
        self.try_button.clicked.connect(self.try_devices)
        self.stop_button.clicked.connect(self.stop_test)
        self.search_button.clicked.connect(self.search_again)
        self.browse_button.clicked.connect(self._choose_file)
        self.save_button.clicked.connect(self.save)
        self.use_button.clicked.connect(self.use)
        self.card_button.clicked.connect(self._show_test_card)
        self.blank_button.clicked.connect(self._show_blank)

    def _build(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(2)
        fields = (
            ("Instrument", self.name, "Name of the instrument; it is stored with datasets and recordings"),
            ("Fibre", self.fibre, "Name of the fibre; every model and every dataset belongs to one fibre"),
            ("Pixel at the facet", self.pixel_um, f"Size of a camera pixel at the fibre facet: {_PIXEL.text}; for scale bars"),
            ("An exposure is started by", self.trigger, "What starts an exposure: this program, or the sync output of the SLM"),
        )
        for column, (caption, field, tip) in enumerate(fields):
            add_field(grid, caption, field, tip, FieldPlace(0, column))
            grid.setColumnStretch(column, 3 if column < 2 else 1)
        self.path.setToolTip("The instrument file; use it with specklescope --config")
        self.path.setAccessibleName("Instrument file")
        tips = {
            self.stop_button: "Release camera and SLM; an instrument that was closed for the test is opened again",
            self.search_button: "Search again for devices of this computer",
            self.browse_button: "Choose where the instrument file is saved",
            self.save_button: "Save the instrument file; nothing else changes",
            self.use_button: "Save the instrument file and open the instrument",
        }
        for button, tip in tips.items():
            button.setToolTip(tip)
        set_style(self.use_button, "tone", "primary")
        self.pixel_um.setMinimumHeight(_FIELD_PX)
        devices = QHBoxLayout()
        devices.setSpacing(GAP_PX)
        devices.addWidget(self.camera, 1)
        devices.addWidget(self.slm, 1)
        bottom = QHBoxLayout()
        bottom.setSpacing(8)
        for button in (self.try_button, self.stop_button, self.search_button):
            bottom.addWidget(button)
        bottom.addSpacing(16)
        bottom.addWidget(self.path, 1)
        for button in (self.browse_button, self.save_button, self.use_button):
            bottom.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GAP_PX, GAP_PX, GAP_PX, 4)
        layout.setSpacing(8)
        layout.addLayout(grid)
        layout.addLayout(devices, 1)
        layout.addWidget(self.note)
        layout.addWidget(self.closing_note)
        layout.addLayout(bottom)


def _eight_bit(frame: Frame) -> NDArray[np.uint8]:
    grey = frame.grey
    if grey.dtype == np.uint8:
        return grey.astype(np.uint8, copy=False)
    return (grey >> (frame.bit_depth - 8)).astype(np.uint8)
