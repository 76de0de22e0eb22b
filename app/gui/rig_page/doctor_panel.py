"""The checks of this computer and of the instrument: each with a word, an icon, and what to do."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from app.diagnostics.doctor import CHECK_COUNT, examinations
from app.diagnostics.findings import Finding, Verdict
from app.gui.rig_page.note import Note, NoteLevel
from app.gui.widgets.icons import IconLabel, Ink
from app.gui.widgets.labels import scrolled
from app.gui.widgets.style import GAP_PX, set_style
from app.instrument.config import InstrumentConfig
from app.jobs.job_list import BEGINS_AGAIN, Job, JobList, JobOrder, Need, Progress
from drivers.base import SpeckleScopeError

#: How each verdict appears: the word, the icon with its ink, and the tone of the word.
_SHOWN = {
    Verdict.OK: ("good", "good", Ink.GOOD, "good"),
    Verdict.NOTE: ("note", "info", Ink.ACCENT, "muted"),
    Verdict.BAD: ("problem", "error", Ink.ALARM, "alarm"),
}
_SUBJECT_PX = 150


class DoctorPanel(QWidget):
    """Runs the checks as a job, and shows each finding when it is there.

    Parameters
    ----------
    jobs : JobList
        The jobs of the window.
    """

    #: The instrument that is open has to be closed for a full check; whoever closes it calls :meth:`use_devices` then.
    devices_requested = pyqtSignal()
    #: A check for which the instrument was closed has ended.
    devices_released = pyqtSignal()

    def __init__(self, jobs: JobList) -> None:
        super().__init__()
        self.findings: tuple[Finding, ...] = ()
        self._jobs = jobs
        self._job: Job | None = None
        self._collected: list[Finding] = []  # the job adds to it
        self._is_open = False
        self._closed_it = False
        self._config = InstrumentConfig()
        self.check_button = QPushButton("Check")
        self.full_button = QPushButton("Close instrument and check everything")
        self.copy_button = QPushButton("Copy")
        self.note = Note("Result of the checks")
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("Progress of the checks")
        self._rows = QGridLayout()
        self._rows.setHorizontalSpacing(12)
        self._rows.setVerticalSpacing(8)
        self._rows.setColumnStretch(3, 1)
        self._build()
        self.check_button.clicked.connect(self.check)
        self.full_button.clicked.connect(self._request_devices)
        self.copy_button.clicked.connect(self.copy)
        self.refresh()

    @property
    def running(self) -> bool:
        """Whether checks are made now."""
        return self._job is not None and self._job.running

    def show_open(self, config: InstrumentConfig | None, *, is_open: bool) -> None:
        """Set which instrument is checked, and whether it is open; without a configuration, the one before."""
        self._config, self._is_open = config or self._config, is_open
        self.refresh()

    def check(self) -> None:
        """Begin the checks; what could disturb an open instrument is left out."""
        config, in_use, collected = self._config, self._is_open, list[Finding]()

        def work(progress: Progress, stop: threading.Event) -> None:
            for done, findings in enumerate(examinations(config, in_use=in_use), 1):
                collected.extend(findings)
                progress(done, CHECK_COUNT)
                if stop.is_set():
                    return

        try:
            needs = frozenset() if in_use else frozenset({Need.DEVICES})
            order = JobOrder(name="Doctor", work=work, needs=needs, resumable=True, if_stopped=BEGINS_AGAIN)
            self._job = self._jobs.start(order)
        except SpeckleScopeError as error:
            self.note.tell(str(error), NoteLevel.ERROR)
            return
        self._collected = collected
        self._show_findings(())
        self.refresh()

    def use_devices(self) -> None:
        """Begin the full check that was asked for; the devices are free."""
        self._closed_it = True
        self.check()

    def copy(self) -> None:
        """Copy the findings as text."""
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText("\n".join(finding.line for finding in self.findings))

    def refresh(self) -> None:
        """Show what was found so far; a timer calls it."""
        collected = tuple(self._collected)
        if collected != self.findings:
            self._show_findings(collected)
        running = self.running
        conflict = "" if running or self._is_open else self._jobs.conflict(frozenset({Need.DEVICES}))
        self.check_button.setEnabled(not running and not conflict)
        self.check_button.setToolTip(conflict or "Check processor, screen, disk, devices, model and engine")
        self.full_button.setVisible(self._is_open)
        self.full_button.setEnabled(not running)
        self.copy_button.setEnabled(bool(self.findings))
        self.progress.setVisible(running)
        if running and self._job is not None:
            status = self._job.status()
            self.progress.setRange(0, CHECK_COUNT)
            self.progress.setValue(status.done)
            self.note.tell(f"Checking: {status.done} of {CHECK_COUNT} checks are done", NoteLevel.WAIT)
        elif conflict:
            self.note.tell(conflict, NoteLevel.WARNING)
        elif self.findings:
            self._sum_up()
        else:
            self.note.tell("The checks take some seconds. Nothing is changed.")
        if not running and self._closed_it:
            self._closed_it = False
            self.devices_released.emit()

    def _sum_up(self) -> None:
        bad = [finding.subject for finding in self.findings if finding.verdict is Verdict.BAD]
        if bad:
            self.note.tell(f"Not ready: {', '.join(bad)}. Each says what to do.", NoteLevel.ERROR)
        else:
            self.note.tell("No problem was found.", NoteLevel.GOOD)

    def _request_devices(self) -> None:
        self.devices_requested.emit()

    def _show_findings(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        while (item := self._rows.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        top = Qt.AlignmentFlag.AlignTop
        for row, finding in enumerate(self.findings):
            word, sign, ink, tone = _SHOWN[finding.verdict]
            mark = IconLabel()
            mark.show_icon(sign, ink)
            verdict = _label(word, tone)
            subject = _label(finding.subject, "normal")
            subject.setMinimumWidth(_SUBJECT_PX)
            text = _label(finding.text + (f"\n\N{RIGHTWARDS ARROW} {finding.remedy}" if finding.remedy else ""), "normal")
            text.setWordWrap(True)
            text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            for column, widget in enumerate((mark, verdict, subject, text)):
                self._rows.addWidget(widget, row, column, top)

    def _build(self) -> None:
        self.full_button.setToolTip("Close the instrument, check camera, SLM, disk and engine too, and open it again")
        self.copy_button.setToolTip("Copy all findings as text, for whoever helps you")
        set_style(self.check_button, "tone", "primary")
        row = QHBoxLayout()
        for button in (self.check_button, self.full_button, self.copy_button):
            row.addWidget(button)
        row.addWidget(self.note, 1)
        inside = QVBoxLayout()
        inside.setContentsMargins(14, 12, 14, 12)
        inside.addLayout(self._rows)
        inside.addStretch(1)
        card = QFrame()
        card.setObjectName("card")
        card.setLayout(inside)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GAP_PX, GAP_PX, GAP_PX, 4)
        layout.addLayout(row)
        layout.addWidget(self.progress)
        layout.addWidget(scrolled(card), 1)


def _label(text: str, tone: str) -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    set_style(label, "tone", tone)
    return label
