"""The panel that exports recordings and datasets: what an export will take before it starts, and how far it is."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import QSignalBlocker, Qt, QTimer, QUrl, pyqtSignal
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from acquisition.exchange.export import FormatOptions
from app.exporting.order import ExportOrder, ExportPlan, Opened, Subject
from app.exporting.run import ExportReport, carry_out
from app.gui.export_panel.displayed_film import DisplayedFilm, DisplayedLook
from app.gui.export_panel.film_fields import FilmFields
from app.gui.export_panel.format_list import FormatList
from app.gui.export_panel.part_fields import PartFields, muted
from app.gui.pages.page import PageContext
from app.gui.widgets.formatting import count
from app.gui.widgets.icons import icon
from app.gui.widgets.labels import ElidedLabel, card, scrolled
from app.gui.widgets.problem_label import ProblemLabel
from app.gui.widgets.style import GAP_PX, set_style
from app.jobs.job_list import Progress
from app.jobs.latest_work import LatestWork
from app.jobs.result_job import ResultJob
from app.library.description import size_text
from app.status import JobState, Message, MessageLevel, Topic
from drivers.base import SpeckleScopeError
from drivers.visible_text import visible

_POLL_MS = 100
_SIZE_PX = (1060, 660)
_FORMATS_PX = 400
_KEY_FOLDER, _KEY_FORMATS, _KEY_DISPLAYED = "export/folder", "export/formats", "export/displayed"
_FIRST_FORMATS = ("ome-tiff",)
_READING = "Reading…"
_DONE = "This is exported; change something above to export again"


class ExportPanel(QDialog):
    """Exports one or several recordings or datasets; it waits for nothing, and other pages go on.

    Parameters
    ----------
    context : PageContext
        The jobs of the window, and what it remembers.
    parent : QWidget, optional
        The window.
    """

    #: A Message for the operator.
    reported = pyqtSignal(object)

    def __init__(self, context: PageContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export")
        self._context = context
        self._look: DisplayedLook | None = None
        self._opened: Opened | None = None
        self._plan: ExportPlan | None = None
        self._order: ExportOrder | None = None
        self._job: ResultJob[ExportReport] | None = None
        self._film: DisplayedFilm | None = None
        self._last_folder: Path | None = None
        self._is_done = False  # exported, and nothing was changed since
        self._opening: LatestWork[Opened] = LatestWork("open what is exported")
        self._planning: LatestWork[tuple[ExportOrder, ExportPlan]] = LatestWork("plan an export")
        self._build()
        self._connect()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.poll)
        self._restore()

    # -- what is exported -----------------------------------------------------------------------------------------

    def open_for(self, paths: Sequence[Path], look: DisplayedLook | None = None) -> None:
        """Ask how recordings or datasets are exported; returns at once.

        Parameters
        ----------
        paths : sequence of Path
            Their folders.
        look : DisplayedLook, optional
            How the pane looks that a film as displayed shows; None for one that nobody has changed.
        """
        self._look = look
        self._opened = self._plan = self._order = None
        self._is_done = False
        chosen = tuple(dict.fromkeys(paths))
        names = ", ".join(visible(path.name) for path in chosen)
        self.heading.setText("Export" if len(chosen) == 1 else f"Export {count(len(chosen))} recordings or datasets")
        self.names.show_text(names)
        self.archive_problem.show_problem("")
        self._tell_outcome("")
        self.summary.setText(_READING)
        self.export_button.setEnabled(False)
        self._planning.forget()
        self._opening.ask(lambda stop: Opened(chosen))
        self._timer.start(_POLL_MS)
        self.show()
        self.raise_()
        self.activateWindow()

    @property
    def order(self) -> ExportOrder | None:
        """What the fields ask for; None until the archives are read."""
        if self._opened is None:
            return None
        folder = self.folder.text().strip()
        return ExportOrder(
            paths=self._opened.paths,
            formats=self.formats.chosen,
            out=Path(folder).expanduser() if folder else None,
            frames=self.part.frames,
            layers=self.part.chosen_layers,
            result=self.part.chosen_result,
            options=FormatOptions(film=self.film.look),
            displayed=self.formats.displayed.isChecked(),
            overwrite=self.overwrite.isChecked(),
        )

    @property
    def is_running(self) -> bool:
        """Whether an export of this panel is running."""
        return self._job is not None

    def poll(self) -> None:
        """Show what the threads have found; the timer calls this."""
        opened = self._opening.poll()
        if opened is not None:
            if opened.value is None:
                self.archive_problem.show_problem(opened.problem)
            else:
                self._show_opened(opened.value)
        planned = self._planning.poll()
        if planned is not None and planned.value is not None:
            self._order, self._plan = planned.value
            self._show_plan()
        elif planned is not None:
            self.summary.setText(planned.problem)
        self._look_at_job()
        if self._plan is not None:
            self._show_refusal()
        if not self.isVisible() and self._job is None:
            self._timer.stop()

    def _show_opened(self, opened: Opened) -> None:
        self._opened = opened
        archives = opened.archives
        with QSignalBlocker(self.part):
            self.part.show_archives(
                opened.layers,
                archives[0].results if len(archives) == 1 else (),
                max((len(one.rows) for one in archives), default=1),
                max((one.duration_s for one in archives), default=0.0),
            )
        self.film.show_layers(opened.layers)
        self.change()

    def change(self, *_: object) -> None:
        """Plan again, because something was changed."""
        self.film.set_films(viewing=self.formats.has_film, displayed=self.formats.displayed.isChecked())
        self._tell_outcome("")
        self._is_done = False
        order, opened = self.order, self._opened
        if order is None or opened is None:
            return
        self._planning.ask(lambda stop: (order, opened.plan(order)))
        self._timer.start(_POLL_MS)

    def _show_plan(self) -> None:
        plan = self._plan
        assert plan is not None
        self.archive_problem.show_problem(" ".join(one.text for one in plan.problems if one.subject is Subject.ARCHIVE))
        for label, subject in (
            (self.format_problem, Subject.FORMATS),
            (self.layer_problem, Subject.LAYERS),
            (self.frame_problem, Subject.FRAMES),
            (self.folder_problem, Subject.FOLDER),
        ):
            label.show_problem(plan.problem(subject))
        self.film_problem.show_problem(self.film.problem)
        frames = f"{count(plan.frames)} {'frame' if plan.frames == 1 else 'frames'}"
        self.summary.setText(f"{frames}. About {size_text(plan.expected_bytes)}; {size_text(plan.free_bytes)} are free.")
        missing = plan.without_phase
        has, without = ("has", "frame") if missing == 1 else ("have", "frames")
        self.missing.setText(
            f"{count(missing)} {without} of these {has} no phase: they are empty (NaN) in the files, and the film for viewing "
            "shows the phase before them. The player can reconstruct them first."
            if missing
            else ""
        )
        self.missing.setVisible(bool(missing))

    def refusal(self) -> str:
        """Return why the export cannot start now, as a sentence; empty when it can."""
        if self._is_done:
            return _DONE
        if self._opened is None or self._plan is None or self._order != self.order:
            return _READING
        if self._plan.problems:
            return self._plan.problems[0].text
        if self._job is not None:
            return "An export is running; wait for its end, or stop it"
        return self.film.problem or self._context.jobs.conflict(folders=frozenset(self._opened.paths))

    def _show_refusal(self) -> None:
        refusal = self.refusal()
        self.export_button.setEnabled(not refusal)
        self.export_button.setToolTip(refusal or "Write the files, in the background")
        is_shown = self._plan is not None and bool(self._plan.problems)
        is_problem = not is_shown and self._job is None and refusal not in (_READING, _DONE)
        self.refusal_label.show_problem(refusal if is_problem else "")

    # -- the job --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the export, in the background."""
        order, opened = self.order, self._opened
        if order is None or opened is None or self.refusal():
            return
        self._remember(order)
        film = self._film = DisplayedFilm(self._look)
        names = visible(opened.paths[0].name) if len(opened.paths) == 1 else f"{count(len(opened.paths))} recordings"

        def work(progress: Progress, stop: threading.Event) -> ExportReport:
            return carry_out(opened, order, progress, stop, film.write)

        try:
            self._job = ResultJob.start(self._context.jobs, f"Export {names}", work, frozenset(opened.paths))
        except SpeckleScopeError as error:
            self._tell_outcome(str(error), "alarm")
            return
        self._last_folder = order.folder_of(opened.paths[0])
        self._tell_outcome("")
        self._show_refusal()
        self._timer.start(_POLL_MS)

    def stop(self) -> None:
        """Ask the export to end; the file that it is writing is removed."""
        if self._job is not None:
            self._job.stop()

    def _look_at_job(self) -> None:
        job = self._job
        self.progress.setVisible(job is not None)
        self.stop_button.setVisible(job is not None)
        if job is None:
            return
        status = job.status()
        self.progress.setRange(0, max(1, status.total))
        self.progress.setValue(status.done)
        self.progress.setFormat(f"{count(status.done)} of {count(status.total)} images" if status.total else "")
        if status.state is JobState.RUNNING:
            return
        self._job = self._film = None
        outcome = job.outcome()
        self._is_done = outcome.value is not None and not outcome.value.failed and not outcome.value.stopped
        if not self._is_done:
            self.change()
        if outcome.value is None:
            self._tell_outcome(outcome.problem or "The export was stopped.", "alarm" if outcome.problem else "warning")
        else:
            self._tell_report(outcome.value)

    def _tell_report(self, report: ExportReport) -> None:
        files = f"{count(len(report.files))} {'file' if len(report.files) == 1 else 'files'}"
        where = f"{files} in {self._last_folder}"
        level = MessageLevel.INFO
        if report.failed:
            text, tone, level = f"Not exported: {'; '.join(report.failed)}. Complete: {where}", "alarm", MessageLevel.ERROR
        elif report.stopped:
            text, tone = f"Stopped. Complete: {where}. Nothing half-done was left.", "warning"
        else:
            text, tone = f"Exported {where}", "good"
        self._tell_outcome(text, tone)
        self.folder_button.setVisible(bool(report.files))
        self.reported.emit(Message(level, text, Topic.EXPORT))

    def _tell_outcome(self, text: str, tone: str = "normal") -> None:
        self.outcome.setText(text)
        set_style(self.outcome, "tone", tone)
        self.outcome.setVisible(bool(text))
        self.folder_button.setVisible(False)

    def open_folder(self) -> None:
        """Show the files in the file manager."""
        if self._last_folder is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._last_folder)))

    # -- what is remembered ---------------------------------------------------------------------------------------

    def _restore(self) -> None:
        store = self._context.store
        if store is None:
            self.formats.choose(_FIRST_FORMATS, displayed=False)
            return
        self.folder.setText(str(store.value(_KEY_FOLDER, "")))
        formats = str(store.value(_KEY_FORMATS, ",".join(_FIRST_FORMATS))).split(",")
        self.formats.choose(formats, displayed=str(store.value(_KEY_DISPLAYED, "false")) == "true")

    def _remember(self, order: ExportOrder) -> None:
        store = self._context.store
        if store is not None:
            store.setValue(_KEY_FOLDER, str(order.out or ""))
            store.setValue(_KEY_FORMATS, ",".join(order.formats))
            store.setValue(_KEY_DISPLAYED, "true" if order.displayed else "false")

    def _choose_folder(self) -> None:
        dialog = QFileDialog(self, "Export into this folder", self.folder.text() or str(Path.home()))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._use_folder)
        dialog.open()

    def _use_folder(self, folder: str) -> None:
        self.folder.setText(folder)
        self.change()

    # -- construction ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.heading = QLabel("Export")
        self.heading.setObjectName("heading")
        self.names = ElidedLabel("muted")
        self.archive_problem, self.format_problem, self.layer_problem = ProblemLabel(), ProblemLabel(), ProblemLabel()
        self.frame_problem, self.film_problem, self.folder_problem = ProblemLabel(), ProblemLabel(), ProblemLabel()
        self.refusal_label = ProblemLabel()
        self.formats, self.part, self.film = FormatList(), PartFields(), FilmFields()
        self.summary, self.missing, self.outcome = muted(""), QLabel(), QLabel()
        for label in (self.missing, self.outcome):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
            label.hide()
        set_style(self.missing, "tone", "warning")
        left = QVBoxLayout()
        left.addWidget(_title("Formats"))
        left.addWidget(scrolled(self.formats), 1)
        left.addWidget(self.format_problem)
        formats = card(left)
        formats.setMinimumWidth(_FORMATS_PX)
        right = QVBoxLayout()
        right.setSpacing(8)
        right.addWidget(_group("What", self.part, self.layer_problem, self.frame_problem))
        right.addWidget(_group("Films", self.film, self.film_problem))
        right.addWidget(_group("Where", self._folder_row(), self.overwrite, self.folder_problem))
        right.addStretch(1)
        columns = QHBoxLayout()
        columns.setSpacing(GAP_PX)
        columns.addWidget(formats, 1)
        side = QWidget()
        side.setLayout(right)
        right.setContentsMargins(0, 0, 0, 0)
        columns.addWidget(side, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GAP_PX, GAP_PX, GAP_PX, GAP_PX)
        layout.setSpacing(8)
        layout.addWidget(self.heading)
        layout.addWidget(self.names)
        layout.addWidget(self.archive_problem)
        layout.addLayout(columns, 1)
        for widget in (self.summary, self.missing, self.refusal_label, self.outcome):
            layout.addWidget(widget)
        layout.addLayout(self._button_row())
        self.resize(*_SIZE_PX)

    def _folder_row(self) -> QWidget:
        self.folder = QLineEdit()
        self.folder.setPlaceholderText("The folder 'export' of each recording")
        self.folder.setAccessibleName("Folder of the files")
        self.folder.setToolTip("Where the files go; empty: into the folder 'export' of each recording. It is remembered")
        self.choose_button = QPushButton("Choose…")
        self.choose_button.setToolTip("Choose the folder of the files")
        self.overwrite = QCheckBox("Replace files that exist")
        self.overwrite.setToolTip("Each is replaced only when the new one is complete")
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.folder, 1)
        layout.addWidget(self.choose_button)
        return row

    def _button_row(self) -> QHBoxLayout:
        self.progress = QProgressBar()
        self.progress.setAccessibleName("Progress of the export")
        self.stop_button = QPushButton("Stop")
        self.stop_button.setToolTip("End the export; complete files stay, nothing half-done is left")
        self.folder_button = QPushButton("Open folder")
        self.folder_button.setIcon(icon("folder"))
        self.folder_button.setToolTip("Show the exported files")
        self.export_button = QPushButton("Export")
        self.export_button.setIcon(icon("export"))
        self.export_button.setDefault(True)
        self.close_button = QPushButton("Close")
        self.close_button.setToolTip("Close this panel; an export that is running goes on")
        row = QHBoxLayout()
        row.addWidget(self.folder_button)
        row.addWidget(self.progress, 1)
        row.addWidget(self.stop_button)
        row.addStretch(0)
        row.addWidget(self.export_button)
        row.addWidget(self.close_button)
        for widget in (self.progress, self.stop_button, self.folder_button):
            widget.hide()
        for button in (self.choose_button, self.stop_button, self.folder_button, self.close_button):
            button.setAutoDefault(False)
        return row

    def _connect(self) -> None:
        self.formats.changed.connect(self.change)
        self.part.changed.connect(self.change)
        self.film.changed.connect(self.change)
        self.folder.textChanged.connect(self.change)
        self.overwrite.toggled.connect(self.change)
        self.choose_button.clicked.connect(self._choose_folder)
        self.export_button.clicked.connect(self.start)
        self.stop_button.clicked.connect(self.stop)
        self.folder_button.clicked.connect(self.open_folder)
        self.close_button.clicked.connect(self.close)


def _title(text: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName("heading")
    return label


def _group(title: str, *widgets: QWidget) -> QWidget:
    layout = QVBoxLayout()
    layout.setSpacing(4)
    layout.addWidget(_title(title))
    for widget in widgets:
        layout.addWidget(widget)
    return card(layout)
