"""The Train page: the queue, its curves, the models, and what is asked before one is used."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from PyQt6.QtCore import QSettings
from PyQt6.QtWidgets import QPushButton

from app.gui.pages.page import PageContext
from app.gui.train_page.page import TrainPage
from app.gui.train_page.plots import TrainingPlots
from app.instrument.config import InstrumentConfig
from app.jobs.job_list import JobList, JobOrder, Need
from app.library.entry import Entry, EntryEnd, EntryKind
from app.status import MessageLevel
from app.training.compiled_engines import remember_compilation
from app.training.model_list import ListedModel, ModelOrigin
from app.training.process import Curve
from app.training.training_queue import QueueState, TrainingQueue
from app.training.verdict import Judgement, Verdict
from reconstruction.models.model import DEFAULT_MODEL, ModelCard, save_model
from reconstruction.training.checkpoint import CHECKPOINT
from reconstruction.training.run import CURVE, PICTURE, RESOLVED, RUN
from tests.helpers.scripted_session import ScriptedSession
from tests.helpers.small_instrument import small_instrument, small_model, small_network
from tests.helpers.x_server.answers import Answer, agrees, refuses
from tests.helpers.x_server.operator import XOperator

#: Stands for the command: says how far it is, and works until it is asked to stop.
PATIENT = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit("specklescope: interrupted"))
print("simulating pairs: 30 of 100", file=sys.stderr, flush=True)
while True: signal.pause()
"""
FAILING = "import sys; sys.exit('specklescope: the disk is full; free space')"
Opener = Callable[..., TrainPage]


def runs(program: str) -> tuple[str, ...]:
    return (sys.executable, "-c", program)


@pytest.fixture
def session(tmp_path: Path) -> ScriptedSession:
    session = ScriptedSession()
    session.config = InstrumentConfig(archive=tmp_path / "archive")
    return session


@pytest.fixture
def open_page(qtbot, styled, tmp_path, session) -> Iterator[Opener]:
    """Opens a page on the scripted session, whose timer is stopped: tests refresh by hand."""
    pages: list[TrainPage] = []

    def make(program: str = PATIENT) -> TrainPage:
        store = QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)
        page = TrainPage(PageContext(jobs=JobList(), store=store))
        page.stop_polling()
        page.control.program = runs(program)
        page.messages = []
        page.reported.connect(page.messages.append)
        qtbot.addWidget(page)
        pages.append(page)
        page.use_session(session)
        page.enter()
        page.resize(1260, 600)
        page.show()
        wait(qtbot, page, lambda: page.models.list.rowCount() > 0)
        return page

    yield make
    for page in pages:
        page.leave()
        page.context.jobs.stop_resumable()
        qtbot.waitUntil(lambda page=page: not page.context.jobs.running, timeout=30_000)


def wait(qtbot, page: TrainPage, condition: Callable[[], object]) -> None:
    def ready() -> bool:
        page.refresh()
        return bool(condition())

    qtbot.waitUntil(ready, timeout=30_000)


def click(operator: XOperator, button: QPushButton) -> None:
    assert button.isEnabled(), button.toolTip()
    operator.click(button)


def answered(operator: XOperator, button: QPushButton, answer: Answer) -> str:
    """Click a button that asks; return the question, after the answer."""
    operator.click(button, until=lambda: bool(answer.questions))
    answer.stop()
    return answer.questions[0]


def state_of(page: TrainPage, name: str) -> QueueState | None:
    return next((one.state for one in page.queue.trainings if one.name == name), None)


def trained(operator: XOperator, page: TrainPage, *names: str) -> None:
    for name in names:
        page.form.name.setText(name)
        click(operator, page.form.train_button)


def write_run(folder: Path, steps: int = 300) -> None:
    """Write the files of a run with some steps."""
    (folder / RUN).mkdir(parents=True, exist_ok=True)
    lines = [{"step": step, "loss": 2 / step, "lr": 1e-3, "seconds": step} for step in range(10, steps + 1, 10)]
    score = {"step": steps, "validation": {"ssim": 0.8125, "correlation": 0.9375}}
    (folder / RUN / CURVE).write_text("".join(json.dumps(line) + "\n" for line in [*lines, score]))
    (folder / RUN / PICTURE).write_bytes(cv2.imencode(".png", np.full((40, 90), 200, np.uint8))[1].tobytes())
    (folder / RUN / CHECKPOINT).write_bytes(b"")
    command = f"specklescope train {folder} --kind unet --pairs 99"
    (folder / RUN / RESOLVED).write_text(yaml.safe_dump({"environment": {"command": command}}))


# -- the form ---------------------------------------------------------------------------------------------------------


def test_the_form_becomes_an_order_for_this_instrument(open_page, tmp_path, session) -> None:
    session.config = InstrumentConfig(archive=tmp_path / "archive", response=tmp_path / "response")
    form = open_page().form
    form.name.setText("liver")
    form.start.setCurrentIndex(0)
    form.kind.setCurrentIndex(form.kind.findData("specdiffusion"))
    form.source.setCurrentText("cells")
    form.pairs.setValue(123)
    form.minutes.setValue(2.5)
    form.refresh()
    folder = tmp_path / "models" / "liver"
    expected = f"train {folder} --kind specdiffusion --source cells --pairs 123 --minutes 2.5 --response {tmp_path}/response"
    assert form.order().arguments() == expected.split()
    assert "in all" in form.estimate.text()


def test_a_training_learns_on_from_the_model_in_use(open_page) -> None:
    form = open_page().form
    assert form.order().start == DEFAULT_MODEL
    assert not form.kind.isEnabled()
    assert "The model that it starts from has this kind" in form.kind_text.text()
    form.start.setCurrentIndex(0)
    form.refresh()
    assert form.order().start == ""
    assert form.kind.isEnabled()


def test_what_is_wrong_stands_beside_the_button_and_nothing_begins(open_page, tmp_path) -> None:
    page = open_page()
    form = page.form
    for name, reason in (("", "Give the model a name"), ("a/b", "without / and"), ("used", "is not empty; choose another")):
        (tmp_path / "models" / "used").mkdir(parents=True, exist_ok=True)
        (tmp_path / "models" / "used" / "card.yaml").write_text("")
        form.name.setText(name)
        assert reason in form.problem.text()
        assert not form.train_button.isEnabled()
        assert reason in form.train_button.toolTip()
    page.use_session(None)
    assert "Open an instrument first" in form.problem.text()
    assert page.queue.trainings == ()


def test_datasets_of_the_archive_are_offered_with_their_fibre(open_page, tmp_path, session) -> None:
    form = open_page().form
    datasets = []
    for name, fibre in (("liver", session.fibre), ("foreign", "another fibre")):
        (tmp_path / name).mkdir()
        kind, end = EntryKind.DATASET, EntryEnd.COMPLETE
        datasets.append(Entry(path=tmp_path / name, kind=kind, name=name, end=end, fibre=fibre, pairs=60))
    form.show_datasets(datasets, "")
    assert [form.data.itemText(number) for number in range(3)] == ["Simulated pairs", "liver (60 pairs)", "foreign (60 pairs)"]
    form.data.setCurrentIndex(1)
    form.refresh()
    assert form.order().dataset == tmp_path / "liver"
    assert not form.source.isVisible()
    assert "60 pairs of fibre 'twin 1" in form.data_text.text()
    assert form.train_button.isEnabled()  # it learns on from the model in use
    form.start.setCurrentIndex(0)
    form.refresh()
    assert "about 48 of its 60 pairs are for training" in form.problem.text()
    form.data.setCurrentIndex(2)
    form.refresh()
    assert "foreign is a dataset of fibre 'another fibre', and this instrument has 'twin 1" in form.problem.text()
    assert not form.train_button.isEnabled()


def test_a_number_out_of_range_is_refused_in_words(open_page, operator) -> None:
    page = open_page()
    box = page.form.minutes
    operator.click(box)
    operator.key("ctrl+a")
    operator.type("0", until=lambda: box.lineEdit().text().startswith("0"))
    operator.key("Return")
    assert "The time to train cannot be 0 min: 0.1 to 20160 min is possible" in page.messages[-1].text
    assert box.value() == 30


# -- the queue --------------------------------------------------------------------------------------------------------


def test_trainings_run_one_after_another_while_the_page_is_not_seen(open_page, qtbot, operator) -> None:
    page = open_page("pass")
    page.leave()
    trained(operator, page, "first", "second")
    wait(qtbot, page, lambda: state_of(page, "second") is QueueState.FINISHED)
    assert state_of(page, "first") is QueueState.FINISHED
    texts = [message.text for message in page.messages]
    assert [text.split(".")[0] for text in texts] == ["first is trained", "second is trained"]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM is a POSIX signal")
def test_a_training_is_watched_stopped_and_resumed(open_page, qtbot, operator, tmp_path) -> None:
    page = open_page()
    trained(operator, page, "m", "next")
    page.queue_panel.select(tmp_path / "models" / "m")
    wait(qtbot, page, lambda: "simulating pairs" in page.run_view.state.full_text)
    assert "left, everything included" in page.run_view.left.text()
    assert "30 of 100" in page.run_view.state.full_text
    assert "left" in page.queue_panel.list.item(0, 4).text()
    assert page.context.jobs.conflict(frozenset({Need.COMPUTER})).startswith("Train m is running")
    write_run(tmp_path / "models" / "m")
    click(operator, page.queue_panel.stop)
    wait(qtbot, page, lambda: state_of(page, "m") is QueueState.STOPPED)
    page.refresh()
    assert state_of(page, "next") is QueueState.WAITING
    assert "The queue is paused" in page.queue_panel.hint.full_text
    click(operator, page.queue_panel.resume)
    wait(qtbot, page, lambda: page.control.training is not None)
    assert page.control.training.name == "m"


def test_the_error_of_a_training_is_said_and_the_queue_goes_on(open_page, qtbot, operator) -> None:
    page = open_page(FAILING)
    trained(operator, page, "a", "b")

    def errors() -> list[str]:
        return [message.text for message in page.messages if message.level is MessageLevel.ERROR]

    wait(qtbot, page, lambda: len(errors()) > 1)
    assert errors() == [f"{name} was not trained: the disk is full; free space" for name in "ab"]
    assert state_of(page, "b") is QueueState.FAILED


def test_the_queue_is_reordered_and_emptied(open_page, operator, tmp_path) -> None:
    page = open_page()
    for name in "abc":
        page.queue.add(replace(page.form.order(), folder=tmp_path / "models" / name))
    page.refresh()
    panel = page.queue_panel
    panel.select(tmp_path / "models" / "c")
    click(operator, panel.earlier)
    click(operator, panel.earlier)
    assert [one.name for one in page.queue.trainings] == ["c", "a", "b"]
    assert panel.selected.name == "c"
    assert not panel.earlier.isEnabled()
    click(operator, panel.remove)
    assert [one.name for one in page.queue.trainings] == ["a", "b"]


def test_after_a_restart_nothing_begins_unasked_and_the_interrupted_training_can_be_resumed(
    open_page, qtbot, operator, tmp_path
) -> None:
    queue = TrainingQueue(tmp_path / "trainings.json")
    order = open_page("pass").form.order()
    for name in "ab":
        queue.add(replace(order, folder=tmp_path / "models" / name))
    write_run(tmp_path / "models" / "a")
    queue.end(tmp_path / "models" / "a", QueueState.STOPPED, "The program ended while it trained")
    page = open_page("pass")
    page.refresh()
    assert [one.state for one in page.queue.trainings] == [QueueState.STOPPED, QueueState.WAITING]
    assert "Start queue" in page.queue_panel.hint.full_text
    page.queue_panel.select(tmp_path / "models" / "a")
    assert len(page.run_view.curve.steps) == 30
    click(operator, page.queue_panel.resume)
    wait(qtbot, page, lambda: all(one.state is QueueState.FINISHED for one in page.queue.trainings))


def test_what_cannot_run_side_by_side_is_said_before_it_is_started(open_page, qtbot, operator) -> None:
    page = open_page("pass")
    order = JobOrder(
        name="Compile other", work=lambda report, stop: stop.wait(), needs=frozenset({Need.COMPUTER}), resumable=True
    )
    other = page.context.jobs.start(order)
    trained(operator, page, "m")
    page.refresh()
    assert "The next training waits: Compile other is running" in page.queue_panel.hint.full_text
    assert "Compile other is running" in page.models.compile.toolTip()
    assert not page.models.compile.isEnabled()
    other.stop()
    wait(qtbot, page, lambda: state_of(page, "m") is QueueState.FINISHED)


# -- curves -----------------------------------------------------------------------------------------------------------


def test_curves_show_all_points_of_a_run_linear_and_logarithmic(qtbot, styled) -> None:
    plots = TrainingPlots()
    qtbot.addWidget(plots)
    steps = list(range(10, 50_001, 10))
    loss = [1000.0 if step == 10 else 2 / step for step in steps]
    curve = Curve(steps=steps, loss=loss, rate=[1e-3] * len(steps), validated=[50_000], ssim=[-0.03], correlation=[0.01])
    plots.show_curve(curve)
    drawn = plots.single.getOriginalDataset()
    assert list(drawn[0]) == steps
    assert list(drawn[1]) == loss
    low, high = plots.loss.getViewBox().viewRange()[1]
    assert low < min(loss)
    assert high > max(loss)
    assert plots.scores.getViewBox().viewRange()[1][0] < -0.03
    plots.logarithmic.setChecked(True)
    low, high = plots.loss.getViewBox().viewRange()[1]
    assert low < np.log10(min(loss))
    assert high > 3
    assert list(plots.single.getOriginalDataset()[0]) == steps


# -- models -----------------------------------------------------------------------------------------------------------


def test_every_model_is_listed_with_its_card_in_words(open_page) -> None:
    panel = open_page().models
    names = [panel.list.item(row, 0).text() for row in range(panel.list.rowCount())]
    assert names[0] == DEFAULT_MODEL
    assert "unet-twin" in names
    assert panel.list.item(0, 2).text() == "in use"
    assert panel.verdict.text() == "The live view uses this model"
    assert not panel.use.isEnabled()
    panel.list.setCurrentCell(names.index("unet-twin"), 0)
    assert panel.verdict.text().startswith("Has learned nothing. Its pictures have nothing in common with the truth: SSIM 0.30")
    assert panel.use.isEnabled()


def bad_model(folder: Path, session: ScriptedSession) -> ListedModel:
    scores = {"ssim": -0.03, "correlation": 0.01, "mae_rad": 0.9}
    card = ModelCard(name="bad", fibre=session.fibre, field_radius=1.0, phase_range_rad=2.85, network={}, scores=scores)
    return ListedModel(folder=folder, origin=ModelOrigin.TRAINED, card=card)


def test_a_model_that_has_learned_nothing_warns_and_the_safe_answer_is_the_default(
    open_page, operator, session, tmp_path
) -> None:
    page = open_page()
    requested: list[str] = []
    page.model_requested.connect(requested.append)
    page.models.show_models([bad_model(tmp_path / "bad", session)], DEFAULT_MODEL, session.fibre)
    operator.show_tab(page.sheets, 1)
    question = answered(operator, page.models.use, refuses(operator))
    assert question.startswith("bad: has learned nothing. Its pictures have nothing in common with the truth: SSIM -0.03")
    assert requested == []
    answered(operator, page.models.use, agrees(operator))
    assert requested == [str(tmp_path / "bad")]


def test_a_better_model_is_used_without_a_question(open_page, session, tmp_path) -> None:
    page = open_page()
    requested: list[str] = []
    page.model_requested.connect(requested.append)
    page.use(bad_model(tmp_path / "good", session), Judgement(Verdict.BETTER, "SSIM 0.9 instead of 0.8"))
    assert requested == [str(tmp_path / "good")]


def test_one_click_goes_back_to_the_shipped_model(open_page, qtbot, operator, session, tmp_path) -> None:
    page = open_page()
    requested: list[str] = []
    page.model_requested.connect(requested.append)
    assert not page.models.shipped.isEnabled()
    session.config = InstrumentConfig(archive=tmp_path / "archive", model="unet-twin")
    page.use_session(session)
    wait(qtbot, page, lambda: page.models.shipped.isEnabled())
    operator.show_tab(page.sheets, 1)
    click(operator, page.models.shipped)
    assert requested == [DEFAULT_MODEL]


def test_a_model_of_another_fibre_cannot_be_used_and_says_why(open_page, qtbot, session) -> None:
    session.fibre = "liver fibre"
    page = open_page()
    assert page.models.list.item(0, 2).text() != "in use"
    assert "this instrument has 'liver fibre'" in page.models.verdict.text()
    assert not page.models.use.isEnabled()


def test_a_comparison_is_shown_with_its_pictures_scores_and_verdict(open_page, qtbot, operator, session, tmp_path) -> None:
    page = open_page()
    session.config = small_instrument(tmp_path)
    model = small_model(tmp_path / "models" / "mine")
    save_model(tmp_path / "models" / "mine", small_network(seed=1), model.card)
    session.fibre = model.card.fibre
    page.use_session(session)
    wait(qtbot, page, lambda: "mine" in [one.name for one in page.models.shown])
    page.show_model(tmp_path / "models" / "mine")
    wait(qtbot, page, lambda: page.models.comparison.comparison is not None)
    panel = page.models
    view = panel.comparison
    assert panel.verdict.text().startswith("Has learned nothing. ")  # random weights
    assert [label.text() for label in view.captions] == ["truth", "small-model", "mine", "error of the new one"]
    assert not any(tile.is_empty for tiles in view.tiles for tile in tiles)
    comparison = view.comparison
    assert view.scores[0][1].text() == f"{np.mean([one.new.ssim for one in comparison.pictures]):.3f}"
    assert view.number.text() == "1 to 2 of 12"
    click(operator, view.after)
    assert view.number.text() == "3 to 4 of 12"


def test_the_engines_of_a_model_are_a_table(open_page, qtbot, session, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SPECKLESCOPE_CACHE", str(tmp_path / "cache"))
    page = open_page()
    panel = page.models
    assert "Not compiled on this computer yet" in panel.engines.summary.text()
    rows = [
        {"engine": "torch fp32", "state": "ready", "note": "", "ms": 55.0, "max_abs_diff_rad": 0.0},
        {"engine": "openvino bf16", "state": "ready", "note": "", "ms": 11.5, "max_abs_diff_rad": 0.002},
        {"engine": "tensorrt fp16", "state": "refused", "note": "no GPU", "ms": None},
    ]
    numbers = {"evaluated_on": "real frames", "rows": rows, "chosen_engine": "openvino bf16"}
    remember_compilation(panel.selected.id, numbers)
    panel.show_models(panel.shown, DEFAULT_MODEL, session.fibre)
    table = panel.engines.table
    cells = [[table.item(row, column).text() for column in range(5)] for row in range(3)]
    assert cells[1] == ["openvino bf16", "ready", "11.5", "2.0e-03 rad at most", "the live view uses it"]
    assert cells[2] == ["tensorrt fp16", "refused", "\N{EN DASH}", "\N{EN DASH}", "no GPU"]
    assert "openvino bf16 is the fastest, 11.5 ms" in panel.engines.summary.text()


def test_a_run_from_a_terminal_is_added_and_shown(open_page, tmp_path) -> None:
    page = open_page()
    write_run(tmp_path / "friday")
    page.queue_panel.run_added.emit(tmp_path / "friday")
    assert page.messages[-1].text.endswith("resume it in a terminal")  # an old run without its settings
    configuration = {"kind": "unet", "training": {"minutes": 5.0}, "data": {"source": "cells", "pairs": 99}}
    resolved = tmp_path / "friday" / RUN / RESOLVED
    content = yaml.safe_load(resolved.read_text()) | {"configuration": configuration}
    resolved.write_text(yaml.safe_dump(content))
    page.queue_panel.run_added.emit(tmp_path / "friday")
    assert state_of(page, "friday") is QueueState.STOPPED
    assert page.run_view.curve.steps[-1] == 300
    assert page.queue_panel.resume.isEnabled()
