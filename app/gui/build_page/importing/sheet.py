"""The sheet on which pairs of another program are imported: stated, checked without writing, then imported."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import (
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.datasets.import_check import ImportPreview, import_checked, preview_import
from app.datasets.start_check import name_problem
from app.gui.build_page.facts_table import FactsTable, Sentences
from app.gui.build_page.importing.form import ImportForm
from app.gui.build_page.note_label import NoteLabel, Tone
from app.gui.build_page.sheet_picture import SheetPicture
from app.gui.pages.page import PageContext
from app.gui.session_protocol import SessionLike
from app.gui.widgets.formatting import count
from app.gui.widgets.icons import icon
from app.gui.widgets.labels import caption_label, card, scrolled
from app.gui.widgets.style import GAP_PX, set_style
from app.jobs.result_job import ResultJob
from drivers.base import SpeckleScopeError

_FORM_PX = 420
_HINT = "Choose a file or a folder: everything in it is read and checked first, and nothing is written."


class ImportSheet(QWidget):
    """Checks pairs of another program, and imports them.

    Parameters
    ----------
    context : PageContext
        What the page gets from the window.
    """

    #: Why something was not done, for the operator.
    refused = pyqtSignal(str)
    #: A dataset was imported; its folder.
    imported = pyqtSignal(object)

    def __init__(self, context: PageContext) -> None:
        super().__init__()
        self._context = context
        self._session: SessionLike | None = None
        self._checking: ResultJob[ImportPreview] | None = None
        self._importing: ResultJob[Path] | None = None
        self._preview: ImportPreview | None = None
        self._failure = ""
        self.form = ImportForm()
        self.check_button = QPushButton("Check")
        self.import_button = QPushButton("Import")
        self.stop_button = QPushButton("Stop")
        self.progress = QProgressBar()
        self.reason = NoteLabel()
        self.verdict = NoteLabel()
        self.facts = FactsTable("What was recognised")
        self.messages = Sentences("Problems and notes")
        self.sheet = SheetPicture("First pairs: speckle at the left, phase at the right")
        self._build()
        self.form.changed.connect(self._show_buttons)
        self.form.name.textChanged.connect(self._show_buttons)
        self.form.chosen.connect(self.check)
        self.form.refused.connect(self.refused)
        self.check_button.clicked.connect(self.check)
        self.import_button.clicked.connect(self.import_pairs)
        self.stop_button.clicked.connect(self._stop)
        self._show_preview(None)

    def use_session(self, session: SessionLike | None) -> None:
        """Import into the archive of another instrument, or of none."""
        self._session = session
        self._show_buttons()

    def check(self) -> None:
        """Read and check the pairs as a job; nothing is written."""
        source = self.form.path
        if source is None or self._is_busy:
            return
        try:
            work = partial(preview_import, source, self.form.options())
            self._checking = ResultJob.start(self._context.jobs, f"Check {source.name}", work)
        except SpeckleScopeError as error:
            self.refused.emit(str(error))
        except ValueError:
            self.refused.emit("The value for missing pixels is no number; type one such as 0, or leave it empty")
        self._failure = ""
        self._show_preview(None)

    def import_pairs(self) -> None:
        """Import the pairs that were checked, as a job."""
        reason = self.why_not()
        if reason or self._preview is None or self._session is None:
            self.refused.emit(reason)
            return
        preview, root, name = self._preview, self._session.config.archive, self.form.dataset_name
        try:
            work = partial(import_checked, preview, root, name)
            self._importing = ResultJob.start(self._context.jobs, f"Import {name}", work, frozenset({preview.source}))
        except SpeckleScopeError as error:
            self.refused.emit(str(error))
        self._failure = ""
        self._show_buttons()

    def why_not(self) -> str:
        """Return why nothing can be imported now, as a sentence; empty when it can."""
        if self._session is None:
            return "Open an instrument first: its archive gets the dataset"
        if self.form.path is None:
            return "Choose a file or a folder"
        if self._is_busy:
            return "Wait until the job has ended, or stop it"
        if not self._is_current:
            return "Press Check: an entry has changed since the last check"
        if self._preview is not None and self._preview.problems:
            return "The pairs cannot be imported as they are; see at the right"
        return name_problem(self.form.dataset_name)

    def refresh(self) -> None:
        """Show how far the jobs are, and what they have found."""
        job = self._checking or self._importing
        if job is None:
            return
        status = job.status()
        self.progress.setRange(0, max(status.total, 1))
        self.progress.setValue(status.done)
        self.verdict.show_note(f"{status.name}: {count(status.done)} of {count(status.total)} pairs")
        if not job.running:
            self._end_check()
            self._end_import()

    # -- parts ----------------------------------------------------------------------------------------------------

    @property
    def _is_busy(self) -> bool:
        return self._checking is not None or self._importing is not None

    @property
    def _is_current(self) -> bool:
        """Whether the last check is of what the form says now."""
        try:
            stated = self.form.options()
        except ValueError:
            return False
        return self._preview is not None and (self._preview.source, self._preview.options) == (self.form.path, stated)

    def _end_check(self) -> None:
        if self._checking is None:
            return
        outcome, self._checking = self._checking.outcome(), None
        self._failure = outcome.problem
        self._show_preview(outcome.value)

    def _end_import(self) -> None:
        if self._importing is None:
            return
        outcome, self._importing = self._importing.outcome(), None
        self._failure = outcome.problem
        if outcome.value is not None:
            self.imported.emit(outcome.value)
        self._show_preview(self._preview)

    def _stop(self) -> None:
        for job in (self._checking, self._importing):
            if job is not None:
                job.stop()

    def _show_preview(self, preview: ImportPreview | None) -> None:
        self._preview = preview
        self.sheet.show_grey(preview.sheet if preview is not None else None)
        if preview is None:
            self.verdict.show_note(self._failure or _HINT, Tone.WRONG if self._failure else Tone.PLAIN)
        elif preview.problems:
            number = len(preview.problems)
            self.verdict.show_note(f"Cannot be imported: {count(number)} problem{'s' if number > 1 else ''}", Tone.WRONG)
        else:
            self.verdict.show_note(f"{count(preview.pairs)} pairs can be imported", Tone.GOOD)
        self.form.mark(preview.problems if preview is not None else ())
        self.facts.show_facts(preview.facts if preview is not None else ())
        problems = [f"problem: {text}" for text in preview.problems] if preview is not None else []
        notes = [f"note: {text}" for text in preview.notes] if preview is not None else []
        self.messages.show_texts([*problems, *notes])
        self._show_buttons()

    def _show_buttons(self) -> None:
        reason = self.why_not()
        self.import_button.setEnabled(not reason)
        self.import_button.setToolTip(reason or "Write the pairs into a new dataset of the archive")
        self.check_button.setEnabled(self.form.path is not None and not self._is_busy)
        self.stop_button.setVisible(self._is_busy)
        self.progress.setVisible(self._is_busy)
        failed = self._failure and self._is_current
        self.reason.show_note(self._failure if failed else reason, Tone.WRONG if failed else Tone.PLAIN)

    def _build(self) -> None:
        self.check_button.setToolTip("Read all pairs and say how everything is understood; nothing is written")
        self.stop_button.setToolTip("Stop reading or writing; nothing is kept of a dataset that is not complete")
        self.import_button.setIcon(icon("export"))
        set_style(self.import_button, "tone", "primary")
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("Progress of the check or of the import")
        left, right, buttons = QVBoxLayout(), QVBoxLayout(), QHBoxLayout()
        area = scrolled(self.form)
        area.setMinimumWidth(_FORM_PX)
        left.addWidget(area, 1)
        left.addWidget(self.reason)
        for button in (self.check_button, self.stop_button, self.import_button):
            buttons.addWidget(button, 1)
        left.addLayout(buttons)
        right.addWidget(caption_label("What the import would do"))
        right.addWidget(self.verdict)
        right.addWidget(self.progress)
        right.addWidget(self.messages)
        result = QHBoxLayout()
        result.addWidget(self.facts, 3)
        result.addWidget(self.sheet, 2)
        right.addLayout(result, 1)
        right.addStretch(0)
        for column in (left, right):
            column.setContentsMargins(10, 8, 10, 8)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, GAP_PX, 0, 0)
        layout.setSpacing(GAP_PX)
        layout.addWidget(card(left), 2)
        layout.addWidget(card(right), 3)
