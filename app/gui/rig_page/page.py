"""The Rig page: which instruments there are, how they are set up, what their devices are, and whether all is ready."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QTabWidget, QVBoxLayout

from app.gui.pages.page import Page, PageContext
from app.gui.pages.recent_store import remember, remembered
from app.gui.rig_page.devices_panel import DevicesPanel
from app.gui.rig_page.doctor_panel import DoctorPanel
from app.gui.rig_page.drills_panel import DrillsPanel
from app.gui.rig_page.recent_panel import RecentPanel
from app.gui.rig_page.set_up.panel import SetUpPanel
from app.gui.session_protocol import SessionLike
from app.instrument.kinds import CameraKind
from app.instrument.recent_instruments import without
from app.status import Message, MessageLevel, Topic
from drivers.base import SpeckleScopeError
from drivers.camera_settings import SettingName, SettingValue

_POLL_MS: Final = 200


class RigPage(Page):
    """Five tabs: instruments, set-up, devices, doctor, and drills.

    Parameters
    ----------
    context : PageContext
        What it gets from the window.
    """

    title = "Rig"
    icon_name = "rig"

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self.recent = RecentPanel()
        self.set_up = SetUpPanel(context.jobs)
        self.devices = DevicesPanel()
        self.doctor = DoctorPanel(context.jobs)
        self.drills = DrillsPanel(context.jobs)
        self.tabs = QTabWidget()
        for panel, title, tip in (
            (self.recent, "Instruments", "The instruments that were opened last"),
            (self.set_up, "Set-up", "Choose camera and SLM, test them, and write the instrument file"),
            (self.devices, "Devices", "Properties of camera and SLM, changed live"),
            (self.doctor, "Doctor", "Check this computer and the instrument"),
            (self.drills, "Drills", "Practise what to do when something goes wrong; only on the simulated instrument"),
        ):
            self.tabs.setTabToolTip(self.tabs.addTab(panel, title), tip)
        bar = self.tabs.tabBar()
        assert bar is not None
        bar.setDrawBase(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.addWidget(self.tabs)
        self._seen = False
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self.refresh)
        self._connect()
        self.recent.show_recent(remembered(context.store))
        self.use_session(None)

    # -- what the window asks for ---------------------------------------------------------------------------------

    def use_session(self, session: SessionLike | None) -> None:
        """Show another instrument, or none. Entries of the set-up form that are not saved stay."""
        super().use_session(session)
        self.drills.use_session(session)
        self.devices.show_facts(session.device_facts() if session is not None else None)
        self.set_up.show_open(session.title if session is not None else "")
        if session is None:
            self.recent.show_open(None, is_open=False)
            self.doctor.show_open(None, is_open=False)
            return
        config = session.config
        path = config.replay.path if config.camera is CameraKind.REPLAY and config.file is None else config.file
        self.recent.show_open(path.absolute() if path is not None else None, is_open=True)
        self.recent.show_recent(remembered(self.context.store))
        self.doctor.show_open(config, is_open=True)
        if not self.set_up.edited and config.camera is not CameraKind.REPLAY:
            self.set_up.show_file(config.file)

    def enter(self) -> None:
        """Begin to refresh, and search for devices if that was not done yet."""
        self._seen = True
        self.recent.show_recent(remembered(self.context.store))
        if self.set_up.search is None:
            self.set_up.search_again()
        self._timer.start()
        self.refresh()

    def leave(self) -> None:
        """Release the devices that are tested; refresh nothing after that."""
        self._seen = False
        self.set_up.stop_test()

    def unfinished(self) -> str:
        """Return that the set-up form was not saved, if it was not."""
        return "The set-up form has changes that are not saved." if self.set_up.edited else ""

    def show_file(self, path: Path | None, problem: str = "") -> None:
        """Show the set-up form with an instrument file; None is the built-in simulated instrument.

        Parameters
        ----------
        path : Path, optional
            The file.
        problem : str
            Why the instrument could not be opened; empty when the operator asked for the form.
        """
        self.tabs.setCurrentWidget(self.set_up)
        if problem or not self.set_up.edited:
            self.set_up.show_file(path, problem)

    # -- called by the timer --------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show what the present tab shows; tests and checks are followed on every tab."""
        self.set_up.refresh()
        self.doctor.refresh()
        self.drills.refresh()
        current = self.tabs.currentWidget()
        if current is self.recent:
            self.recent.refresh()
        elif current is self.devices and self.session is not None:
            self.devices.show_settings(self.session.camera_settings())
            self.devices.show_slm(self.session.slm_status())
        if not self._seen and not (self.set_up.test.running or self.doctor.running or self.drills.running):
            self._timer.stop()

    # -- what the operator asks for -------------------------------------------------------------------------------

    def _change_setting(self, name: SettingName, value: SettingValue) -> None:
        if self.session is None:
            return
        try:
            self.session.set_camera(name, value)
        except SpeckleScopeError as error:
            self.devices.refuse(str(error))
            self.reported.emit(Message(MessageLevel.ERROR, str(error), Topic.COMMAND))
        else:
            self.succeeded.emit()

    def _show_in_set_up(self, path: Path | None) -> None:
        self.tabs.setCurrentWidget(self.set_up)
        self.set_up.show_file(path)

    def _change_in_set_up(self) -> None:
        self.tabs.setCurrentWidget(self.set_up)

    def _forget(self, path: Path) -> None:
        remember(self.context.store, without(remembered(self.context.store), path))
        self.recent.show_recent(remembered(self.context.store))

    def _ask_for_test(self) -> None:
        self.devices_requested.emit("test the devices", self.set_up.use_devices)

    def _ask_for_check(self) -> None:
        self.devices_requested.emit("check everything", self.doctor.use_devices)

    def _connect(self) -> None:
        self.recent.set_up_requested.connect(self._show_in_set_up)
        self.recent.removal_requested.connect(self._forget)
        self.set_up.devices_requested.connect(self._ask_for_test)
        self.doctor.devices_requested.connect(self._ask_for_check)
        self.devices.change_requested.connect(self._change_setting)
        self.devices.set_up_requested.connect(self._change_in_set_up)
        self.recent.open_requested.connect(self.instrument_requested)
        self.set_up.open_requested.connect(self.instrument_requested)
        self.set_up.devices_released.connect(self.devices_released)
        self.doctor.devices_released.connect(self.devices_released)
        for panel in (self.devices, self.set_up.camera, self.set_up.slm):
            panel.fields_made.connect(self.fields_made)
        self.drills.live_page_requested.connect(self.live_page_requested)
