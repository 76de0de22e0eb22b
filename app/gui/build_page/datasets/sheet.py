"""The sheet of the datasets that are there: unfinished ones are resumed, and the report of each is seen in place."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QUrl, pyqtSignal
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from app.datasets.dataset_list import DatasetList, ListedDataset
from app.datasets.report_view import DatasetReport, stored_report, verified_report
from app.datasets.resume import AcquisitionDevices, Resumable, find_resumable
from app.gui.build_page.acquisition_watch import busy_reason, watch_order
from app.gui.build_page.datasets.report_panel import ReportPanel
from app.gui.build_page.datasets.table import DatasetTable
from app.gui.build_page.note_label import NoteLabel, Tone
from app.gui.pages.page import PageContext
from app.gui.session_protocol import SessionLike
from app.gui.widgets.formatting import count
from app.gui.widgets.icons import icon
from app.gui.widgets.labels import card
from app.gui.widgets.style import GAP_PX, set_style
from app.jobs.latest_work import LatestWork
from app.jobs.result_job import ResultJob
from drivers.base import SpeckleScopeError


class DatasetsSheet(QWidget):
    """Lists the datasets of the archive, resumes and verifies them.

    Parameters
    ----------
    context : PageContext
        What the page gets from the window.
    """

    #: Why something was not done, for the operator.
    refused = pyqtSignal(str)
    #: An acquisition goes on.
    resumed = pyqtSignal()
    #: The operator wants to play a dataset; its folder.
    play_requested = pyqtSignal(object)
    #: How many datasets are unfinished.
    unfinished_changed = pyqtSignal(int)

    def __init__(self, context: PageContext) -> None:
        super().__init__()
        self._context = context
        self._session: SessionLike | None = None
        self._list: DatasetList | None = None
        self._looking: LatestWork[tuple[ListedDataset, ...]] = LatestWork("list of datasets")
        self._reading: LatestWork[DatasetReport | None] = LatestWork("report of a dataset")
        self._checking: LatestWork[Resumable] = LatestWork("unfinished dataset")
        self._verifying: dict[Path, ResultJob[DatasetReport]] = {}
        self._wanted: Path | None = None
        self.table = DatasetTable()
        self.note = NoteLabel()
        self.resume_button = QPushButton("Resume")
        self.verify_button = QPushButton("Verify")
        self.play_button = QPushButton("Play")
        self.folder_button = QPushButton("Open folder")
        self.report = ReportPanel()
        self._build()
        self.table.itemSelectionChanged.connect(self._show_selected)
        self.resume_button.clicked.connect(self.resume)
        self.verify_button.clicked.connect(self.verify)
        self.play_button.clicked.connect(self._play)
        self.folder_button.clicked.connect(self._open_folder)
        self._show_buttons()

    def use_session(self, session: SessionLike | None) -> None:
        """List the datasets of another instrument's archive, or none."""
        self._session = session
        self._list = DatasetList(session.config.archive) if session is not None else None
        self._wanted = None
        self.table.show_datasets(())
        self.report.show_report(None, None)
        self.look_again()

    def look_again(self, wanted: Path | None = None) -> None:
        """Look into the archive again, in a thread.

        Parameters
        ----------
        wanted : Path, optional
            The dataset that is selected then.
        """
        self._wanted = wanted or self._wanted
        if self._list is None or self._session is None:
            self._looking.forget()
            return
        if self._wanted is not None:  # what was listed before does not have it yet
            self.note.show_note("Looking into the archive\N{HORIZONTAL ELLIPSIS}")
        self._looking.ask(partial(_look, self._list, self._session.acquisition_devices()))

    def refresh(self) -> None:
        """Show what was found in the archive, and how far verifications are."""
        looked = self._looking.poll()
        if looked is not None:
            self._show_list(looked.value, looked.problem)
        read = self._reading.poll()
        selected = self.table.selected
        if read is not None and selected is not None:
            self.report.show_report(selected.path, read.value, read.problem)
        checked = self._checking.poll()
        if checked is not None:
            self._go_on(checked.value, checked.problem)
        self._show_verifications()
        self._show_buttons()

    def resume(self) -> None:
        """Complete the selected dataset: whether the instrument fits is looked at once more, then the acquisition goes on."""
        session, dataset = self._session, self.table.selected
        if session is None or dataset is None:
            return
        self._checking.ask(partial(_check, dataset.path, session.acquisition_devices()))

    def verify(self) -> None:
        """Verify the selected dataset, as a job."""
        dataset = self.table.selected
        if dataset is None or dataset.path in self._verifying:
            return
        path = dataset.path
        try:
            job = ResultJob.start(self._context.jobs, f"Verify {path.name}", partial(verified_report, path), frozenset({path}))
        except SpeckleScopeError as error:
            self.refused.emit(str(error))
            return
        self._verifying[path] = job
        self.refresh()

    def why_no_resume(self) -> str:
        """Return why the selected dataset cannot be resumed now, as a sentence; empty when it can."""
        dataset = self.table.selected
        if dataset is None:
            return ""
        if not dataset.is_unfinished:
            return "It is finished: nothing is missing"
        return dataset.refusal or busy_reason(self._session, self._context)

    # -- parts ----------------------------------------------------------------------------------------------------

    def _go_on(self, resumable: Resumable | None, problem: str) -> None:
        session = self._session
        reason = problem or busy_reason(session, self._context)
        if session is None or resumable is None or reason:
            self.refused.emit(reason)
            return
        try:
            session.resume_acquisition(resumable)
            self._context.jobs.start(watch_order(session, resumable.path.name))
        except SpeckleScopeError as error:
            self.refused.emit(str(error))
            return
        self.resumed.emit()
        self.look_again()

    def _show_list(self, datasets: tuple[ListedDataset, ...] | None, problem: str) -> None:
        self.table.show_datasets(datasets or ())
        if self._wanted is not None and self.table.select(self._wanted):
            self._wanted = None
        self._read_report()  # it may be another one now
        unfinished = sum(dataset.is_unfinished for dataset in datasets or ())
        self.unfinished_changed.emit(unfinished)
        if problem:
            self.note.show_note(problem, Tone.WRONG)
        elif not datasets:
            self.note.show_note("No dataset yet: acquire or import one")
        elif unfinished:
            plural = "datasets are" if unfinished > 1 else "dataset is"
            self.note.show_note(f"{count(unfinished)} {plural} unfinished", Tone.WARNING)
        else:
            self.note.show_note("")

    def _show_selected(self) -> None:
        dataset = self.table.selected
        self.report.show_report(dataset.path if dataset is not None else None, None)
        self._read_report()
        self._show_buttons()

    def _read_report(self) -> None:
        dataset = self.table.selected
        if dataset is None:
            self._reading.forget()
        elif dataset.path not in self._verifying:
            self._reading.ask(partial(_read, dataset.path))

    def _show_verifications(self) -> None:
        selected = self.table.selected
        for path, job in tuple(self._verifying.items()):
            seen = selected is not None and selected.path == path
            if job.running:
                if seen:
                    self.report.show_progress(job.status())
                continue
            del self._verifying[path]
            outcome = job.outcome()
            if seen and (outcome.value is not None or outcome.problem):
                self.report.show_report(path, outcome.value, outcome.problem)
            elif seen:
                self._show_selected()
            self.look_again()

    def _show_buttons(self) -> None:
        dataset, reason = self.table.selected, self.why_no_resume()
        unfinished = dataset is not None and dataset.is_unfinished
        self.resume_button.setEnabled(unfinished and not reason and not self._checking.busy)
        missing = dataset.resumable.missing if dataset is not None and dataset.resumable is not None else 0
        tip = f"Capture the {count(missing)} missing pairs with the dataset's own plan; the live view stops for it"
        self.resume_button.setToolTip(reason or tip)
        for button in (self.play_button, self.folder_button):
            button.setEnabled(dataset is not None)
        self.verify_button.setEnabled(dataset is not None and dataset.path not in self._verifying)
        if unfinished:
            self.resume_note.show_note(reason or f"{count(missing)} pairs are missing", Tone.WARNING)
        else:
            self.resume_note.show_note("")

    def _play(self) -> None:
        if self.table.selected is not None:
            self.play_requested.emit(self.table.selected.path)

    def _open_folder(self) -> None:
        if self.table.selected is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.table.selected.path.absolute())))

    def _build(self) -> None:
        self.resume_note = NoteLabel()
        set_style(self.resume_button, "tone", "primary")
        self.verify_button.setToolTip("Read every pair from the disk, and compare it with its check sum, pattern and plan")
        self.play_button.setToolTip("Play this dataset in place of the camera, in the live view")
        self.folder_button.setToolTip("Show the files of this dataset")
        self.play_button.setIcon(icon("play"))
        self.folder_button.setIcon(icon("folder"))
        buttons = QHBoxLayout()
        for button in (self.resume_button, self.verify_button, self.play_button, self.folder_button):
            buttons.addWidget(button)
        left = QVBoxLayout()
        left.setContentsMargins(10, 8, 10, 8)
        left.addWidget(self.note)
        left.addWidget(self.table, 1)
        left.addWidget(self.resume_note)
        left.addLayout(buttons)
        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        right.addWidget(self.report)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, GAP_PX, 0, 0)
        layout.setSpacing(GAP_PX)
        layout.addWidget(card(left), 1)
        layout.addWidget(card(right), 1)


def _look(datasets: DatasetList, devices: AcquisitionDevices, stop: threading.Event) -> tuple[ListedDataset, ...]:
    return datasets.look(devices, stop)


def _read(path: Path, stop: threading.Event) -> DatasetReport | None:
    return stored_report(path)


def _check(path: Path, devices: AcquisitionDevices, stop: threading.Event) -> Resumable:
    return find_resumable(path, devices)
