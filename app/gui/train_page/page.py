"""Trains models: a queue that survives the program, curves, all models, and the comparison before one is used."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QHBoxLayout, QTabWidget, QVBoxLayout, QWidget

from app.gui.pages.page import Page, PageContext
from app.gui.session_protocol import SessionLike
from app.gui.train_page.data_choices import DatasetSearch
from app.gui.train_page.model_search import ModelSearch
from app.gui.train_page.models_panel import ModelsPanel
from app.gui.train_page.queue_control import NEEDS, QueueControl
from app.gui.train_page.queue_panel import QueuePanel
from app.gui.train_page.run_view import RunView
from app.gui.train_page.training_form import TrainedInstrument, TrainingForm, models_folder
from app.gui.widgets.questions import Question, ask
from app.jobs.job_list import BEGINS_AGAIN, Job, JobOrder
from app.status import Message, MessageLevel, Topic
from app.training.compile_job import CompileJob
from app.training.model_comparison import ComparisonOrder, ModelComparison, compare_models
from app.training.model_list import ListedModel, reference_of
from app.training.process import TrainingOrder, dataset_of, stop_run
from app.training.training_queue import QueueState, TrainingQueue
from app.training.verdict import Judgement, Verdict
from drivers.base import SpeckleScopeError
from reconstruction.models.model import DEFAULT_MODEL

_QUEUE_MS = 500
_FILE = "trainings.json"
_COMPARE = "Compare"
_FORM_PX = 330


class TrainPage(Page):
    """The page of the window; see :mod:`app.gui.train_page`."""

    title: ClassVar[str] = "Train"
    icon_name: ClassVar[str] = "train"

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self.queue = TrainingQueue(_queue_file(context))
        self.control = QueueControl(self.queue, context.jobs)
        self.form = TrainingForm()
        self.queue_panel = QueuePanel()
        self.run_view = RunView()
        self.models = ModelsPanel()
        self.sheets = QTabWidget()
        self._datasets = DatasetSearch()
        self._model_search = ModelSearch()
        self._seen = False
        self._wanted: Path | None = None  # a model to show that is not in the list yet
        self._results: deque[ModelComparison] = deque()  # filled by threads
        self._followed: dict[str, Job] = {}  # comparisons and compilations, by their names
        self._states: dict[Path, QueueState] = {one.folder: one.state for one in self.queue.trainings}
        self._build()
        self._connect()
        self._timer = QTimer(self)  # also while the page is not seen: the next training begins when one has ended
        self._timer.timeout.connect(self.refresh)
        self._timer.start(_QUEUE_MS)
        self._show_all()

    # -- called by the window -------------------------------------------------------------------------------------

    def use_session(self, session: SessionLike | None) -> None:
        """Train for another instrument, or for none."""
        super().use_session(session)
        self._datasets.end()
        self._datasets = DatasetSearch()
        if session is None:
            self.form.use_instrument(None)
        else:
            sources = tuple(session.pattern_sources)
            self.form.use_instrument(TrainedInstrument(config=session.config, fibre=session.fibre, sources=sources))
        self._look()
        self._show_all()

    def enter(self) -> None:
        """Begin to refresh."""
        self._seen = True
        self._look()
        self._show_all()

    def leave(self) -> None:
        """Refresh nothing but the queue."""
        self._seen = False
        self._datasets.end()

    def release(self) -> None:
        """Begin nothing any more: the window closes."""
        self.control.paused = True
        self.stop_polling()

    def stop_polling(self) -> None:
        """Stop refreshing by the timer; what is shown stays."""
        self._timer.stop()

    # -- called by the timer --------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Let the queue go on, and show what is new if the page is seen."""
        self.queue.refresh()
        self.control.look()
        self._tell_what_ended()
        self._tell_what_failed()
        if self._seen:
            self._show_all()

    def _show_all(self) -> None:
        trainings, progress = self.queue.trainings, self.control.progress
        self.queue_panel.show_queue(trainings, progress, paused=self.control.paused, obstacle=self.control.obstacle)
        self.form.show_taken(training.folder for training in trainings)
        self._show_run()
        datasets = self._datasets.poll()
        if datasets is not None:
            self.form.show_datasets(datasets, self._datasets.problem)
        models = self._model_search.poll()
        if models is not None:
            self.form.show_models(models)
            session = self.session
            present = reference_of(session.config.model) if session is not None else ""
            self.models.show_models(models, present, session.fibre if session is not None else "")
            self._show_wanted()
        while self._results:
            self.models.show_comparison(self._results.popleft())
        comparing = next((name for name, job in self._followed.items() if name.startswith(_COMPARE) and job.running), "")
        obstacle = f"{comparing} is running; the pictures appear here" if comparing else ""
        self.models.show_obstacles(obstacle, self.context.jobs.conflict(NEEDS))

    # -- the queue ------------------------------------------------------------------------------------------------

    def train(self, order: TrainingOrder) -> None:
        """Add a training to the queue, and run the queue."""
        if self._attempt(lambda: self.queue.add(order)):
            self._states[order.folder] = QueueState.WAITING
            self.form.accepted()
            self.control.go_on()
            self._show_all()
            self.queue_panel.select(order.folder)

    def _start_queue(self) -> None:
        self.control.go_on()
        self._show_all()

    def _stop(self) -> None:
        others = self.queue.running if self.control.training is None else None
        if others is not None and not stop_run(others.folder):
            self.report(f"{others.name} is trained by another window of SpeckleScope, which has to stop it")
        self.control.stop()
        self._show_all()

    def _resume(self, folder: Path) -> None:
        if self._attempt(lambda: self.queue.resume(folder)):
            self._start_queue()

    def _move(self, folder: Path, places: int) -> None:
        self._attempt(lambda: self.queue.move(folder, places))
        self._show_all()

    def _remove(self, folder: Path) -> None:
        self._attempt(lambda: self.queue.remove(folder))
        self._show_all()

    def _add_run(self, folder: Path) -> None:
        if self._attempt(lambda: self.queue.add_run(folder)):
            self._show_all()
            self.queue_panel.select(folder)

    def _tell_what_ended(self) -> None:
        """Tell how trainings have ended since the last call, also while the page is not seen."""
        before, self._states = self._states, {one.folder: one.state for one in self.queue.trainings}
        for one in self.queue.trainings:
            was = before.get(one.folder)
            if was is one.state or was is None:
                continue
            if one.state is QueueState.FINISHED:
                text = f"{one.name} is trained. The Train page compares it with the model in use"
                self.reported.emit(Message(MessageLevel.INFO, text))
                self._look_for_models()
            elif one.state is QueueState.FAILED:
                self.report(f"{one.name} was not trained: {one.note}")
            elif one.state is QueueState.STOPPED:
                self._look_for_models()
        while self.queue.warnings:
            self.reported.emit(Message(MessageLevel.WARNING, self.queue.warnings.pop(0)))

    # -- models ---------------------------------------------------------------------------------------------------

    def show_models(self) -> None:
        """Show the list of models; see :class:`app.gui.pages.page.Page`."""
        self.sheets.setCurrentWidget(self.models)

    def show_model(self, folder: Path) -> None:
        """Show a model, and compare it with the one in use."""
        self._wanted = folder
        self.sheets.setCurrentWidget(self.models)
        self._show_wanted()

    def _show_wanted(self) -> None:
        """Show the model that was asked for, as soon as it is in the list."""
        folder = self._wanted
        if folder is None or all(model.folder != folder for model in self.models.shown):
            return
        self._wanted = None
        self.models.select(folder)
        selected = self.models.selected
        if selected is not None and self.models.compare.isEnabled() and self.models.comparison.comparison is None:
            self.compare(selected)

    def compare(self, model: ListedModel) -> None:
        """Compare a model with the one in use, in the background."""
        session = self.session
        if session is None:
            return
        order = ComparisonOrder(
            new=model.reference,
            present=reference_of(session.config.model),
            config=session.config,
            dataset=dataset_of(model.folder),
        )
        results = self._results  # a job that is kept must not keep the page

        def work(report: Callable[[int, int], None], stop: threading.Event) -> None:
            try:
                results.append(compare_models(order, report, stop))
            except SpeckleScopeError:
                if not stop.is_set():
                    raise

        self._start(JobOrder(name=f"{_COMPARE} {model.name}", work=work, resumable=True, if_stopped=BEGINS_AGAIN))

    def compile(self, model: ListedModel) -> None:
        """Compile a model for this computer, in the background."""
        session = self.session
        if session is None:
            return
        config = session.config
        work = CompileJob(
            model=model.reference, config=config.read_from, response=config.response, dataset=dataset_of(model.folder)
        )
        self._start(JobOrder(name=f"Compile {model.name}", work=work, needs=NEEDS, resumable=True, if_stopped=BEGINS_AGAIN))

    def use(self, model: ListedModel, judgement: Judgement) -> None:
        """Let the live view use a model; what speaks against it is asked about first."""
        if judgement.verdict.warns or judgement.verdict is Verdict.UNKNOWN:
            text = f"{model.name}: {judgement.verdict.value}. {judgement.reason}.".replace("..", ".")
            if not ask(Question(text=text, agree="Use it anyway", refuse="Keep the present model"), self):
                return
        self.model_requested.emit(model.reference)

    def _use_shipped(self) -> None:
        self.model_requested.emit(DEFAULT_MODEL)

    def _start(self, order: JobOrder) -> None:
        def start() -> None:
            self._followed[order.name] = self.context.jobs.start(order)

        self._attempt(start)
        self._show_all()

    def _tell_what_failed(self) -> None:
        """Tell why a comparison or a compilation has failed; look at the models again after each."""
        for name, job in list(self._followed.items()):
            if job.running:
                continue
            del self._followed[name]
            if job.stage.error is not None:
                self.report(str(job.stage.error))
            self._look_for_models()

    def _look(self) -> None:
        if self.session is not None and self._seen:
            self._datasets.look(self.session.config.archive.expanduser())
        self._look_for_models()

    def _look_for_models(self) -> None:
        folders = [one.folder for one in self.queue.trainings]
        if self.session is not None:
            config = self.session.config
            folders = [models_folder(config), Path(reference_of(config.model)).absolute(), *folders]
        self._model_search.look(folders)

    # -- parts ----------------------------------------------------------------------------------------------------

    def report(self, text: str) -> None:
        """Say why something was not done."""
        self.reported.emit(Message(MessageLevel.ERROR, text, Topic.COMMAND))

    def _attempt(self, action: Callable[[], object]) -> bool:
        try:
            action()
        except SpeckleScopeError as error:
            self.report(str(error))
            return False
        self.succeeded.emit()
        return True

    def _show_run(self) -> None:
        selected, running = self.queue_panel.selected, self.control.training
        is_ours = selected is not None and running is not None and selected.folder == running.folder
        self.run_view.show_training(selected, self.control.progress if is_ours else None)

    def _build(self) -> None:
        training = QWidget()
        layout = QHBoxLayout(training)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(10)
        self.form.setFixedWidth(_FORM_PX)
        layout.addWidget(self.form)
        right = QVBoxLayout()
        right.setSpacing(8)
        right.addWidget(self.queue_panel, 3)
        right.addWidget(self.run_view, 5)
        layout.addLayout(right, 1)
        self.sheets.addTab(training, "Training")
        self.sheets.addTab(self.models, "Models")
        whole = QVBoxLayout(self)
        whole.setContentsMargins(10, 4, 10, 4)
        whole.addWidget(self.sheets)

    def _connect(self) -> None:
        self.form.train_requested.connect(self.train)
        self.form.refused.connect(self.report)
        panel = self.queue_panel
        panel.chosen.connect(self._show_run)
        panel.start_requested.connect(self._start_queue)
        panel.stop_requested.connect(self._stop)
        panel.resume_requested.connect(self._resume)
        panel.move_requested.connect(self._move)
        panel.remove_requested.connect(self._remove)
        panel.use_requested.connect(self.show_model)
        panel.run_added.connect(self._add_run)
        self.models.use_requested.connect(self.use)
        self.models.compare_requested.connect(self.compare)
        self.models.compile_requested.connect(self.compile)
        self.models.shipped_requested.connect(self._use_shipped)


def _queue_file(context: PageContext) -> Path | None:
    return Path(context.store.fileName()).with_name(_FILE) if context.store is not None else None
