"""The verification report of one dataset, in place: the verdict, what was checked, faults, drift, and the contact sheet."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import Qt, QUrl
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import (
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.datasets.quality_report import REPORT
from app.datasets.report_view import DatasetReport
from app.gui.build_page.drift_curve import DriftCurve
from app.gui.build_page.facts_table import FactsTable, Sentences
from app.gui.build_page.fault_texts import faults_meaning, faults_text
from app.gui.build_page.note_label import NoteLabel, Tone
from app.gui.build_page.sheet_picture import SheetPicture
from app.gui.widgets.formatting import count
from app.gui.widgets.labels import ElidedLabel, caption_label
from app.status import JobStatus

_NOT_VERIFIED = "Not verified yet. Verify reads every pair and compares it with its check sum, its pattern and its plan."


class ReportPanel(QWidget):
    """What is known about the pairs of the dataset that is selected."""

    def __init__(self) -> None:
        super().__init__()
        self._path: Path | None = None
        self.title = ElidedLabel("heading")
        self.verdict = NoteLabel()
        self.progress = QProgressBar()
        self.messages = Sentences("Problems and notes")
        self.rows = FactsTable("What was checked")
        self.drift = DriftCurve()
        self.faults = ElidedLabel()
        self.caption = caption_label("Patterns above their frames, from equal steps over the whole dataset")
        self.sheet = SheetPicture("Contact sheet")
        self.open_report = QPushButton("Open report")
        self._build()
        self.open_report.clicked.connect(self._open_report)
        self.show_report(None, None)

    def show_report(self, path: Path | None, report: DatasetReport | None, problem: str = "") -> None:
        """Show what is known about a dataset.

        Parameters
        ----------
        path : Path, optional
            Its folder; None where none is selected.
        report : DatasetReport, optional
            What was found; None where it was not verified yet, or could not be read.
        problem : str
            Why it could not be read or verified.
        """
        self._path = path
        self.title.show_text(path.name if path is not None else "")
        self.progress.hide()
        self._show_verdict(report, problem)
        self.messages.show_texts((*report.problems, *report.notes) if report is not None else ())
        self.rows.show_facts((str(name), str(value)) for name, value in (report.rows if report is not None else ()))
        faults = report.faults if report is not None else {}
        self.faults.show_text(f"Faults: {faults_text(faults)}" if faults else "")
        self.faults.setToolTip(faults_meaning(faults))
        self.drift.show_points(report.drift if report is not None else ())
        sheet = report.sheet if report is not None else None
        self.sheet.show_grey(sheet)
        self.caption.setVisible(sheet is not None)
        self.open_report.setVisible(path is not None and report is not None and (path / REPORT).is_file())

    def show_progress(self, status: JobStatus) -> None:
        """Show how far a verification of the selected dataset is."""
        self.verdict.show_note(f"Verifying: {count(status.done)} of {count(status.total)} pairs")
        self.progress.show()
        self.progress.setRange(0, max(status.total, 1))
        self.progress.setValue(status.done)

    def _show_verdict(self, report: DatasetReport | None, problem: str) -> None:
        if problem:
            self.verdict.show_note(problem, Tone.WRONG)
        elif report is not None:
            self.verdict.show_note(report.verdict, Tone.GOOD if report.good else Tone.WARNING)
        elif self._path is not None:
            self.verdict.show_note(_NOT_VERIFIED)
        else:
            self.verdict.show_note("Select a dataset: its report appears here.")

    def _open_report(self) -> None:
        if self._path is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str((self._path / REPORT).absolute())))

    def _build(self) -> None:
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("Progress of the verification")
        self.open_report.setObjectName("small")
        self.open_report.setToolTip("Show the whole report, with its plots, in the browser")
        head, line = QHBoxLayout(), QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.open_report)
        line.addWidget(self.faults, 1)
        line.addWidget(self.drift, 0, Qt.AlignmentFlag.AlignRight)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 8, 10, 8)
        layout.setSpacing(6)
        layout.addLayout(head)
        layout.addWidget(self.verdict)
        layout.addWidget(self.progress)
        layout.addWidget(self.messages)
        layout.addWidget(self.rows, 3)
        layout.addLayout(line)
        layout.addWidget(self.caption)
        layout.addWidget(self.sheet, 3)
        layout.addStretch(0)
