"""The training window: the command it starts, what it shows of a run, and what happens when windows close."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from PyQt6.QtCore import Qt

from app.gui.command import Command
from app.gui.training.window import TrainingWindow
from drivers.base import SpeckleScopeError
from reconstruction.models.model import CARD
from reconstruction.training.checkpoint import CHECKPOINT
from reconstruction.training.run import CURVE, PICTURE, RESOLVED, RUN
from tests.helpers.answers import agrees, refuses

#: Stands for the command: prints its arguments, and works until it is asked to stop.
PATIENT = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit("specklescope: stopped at step 7"))
print(*sys.argv[1:], file=sys.stderr, flush=True)
while True: signal.pause()
"""
REFUSING = "import sys; sys.exit('specklescope: no model at nowhere; give a model folder')"


def runs(program: str) -> tuple[str, ...]:
    return (sys.executable, "-c", program)


@pytest.fixture
def page(qtbot, styled, tmp_path):
    """A page whose folder is ``tmp_path / "m"`` and whose timer is stopped."""

    def open_page(program: str = PATIENT, config: Path | None = None) -> TrainingWindow:
        page = TrainingWindow(("cells", "mixed"), config, runs(program))
        page.stop_polling()
        page.folder.setText(str(tmp_path / "m"))
        page.show_folder()
        qtbot.addWidget(page)
        pages.append(page)
        page.show()
        return page

    pages: list[TrainingWindow] = []
    yield open_page
    for page in pages:
        page.shut_down()
        page.wait_closed(30)


def write_run(folder: Path, steps: int = 30) -> None:
    """Write the files of a run with some steps."""
    (folder / RUN).mkdir(parents=True)
    lines = [{"step": step, "loss": 2 / step, "lr": 1e-3, "seconds": step} for step in range(10, steps + 1, 10)]
    score = {"step": steps, "validation": {"ssim": 0.8125, "correlation": 0.9375}}
    (folder / RUN / CURVE).write_text("".join(json.dumps(line) + "\n" for line in [*lines, score]))
    (folder / RUN / PICTURE).write_bytes(cv2.imencode(".png", np.full((40, 90), 200, np.uint8))[1].tobytes())
    (folder / RUN / CHECKPOINT).write_bytes(b"")
    command = f"specklescope train {folder} --kind unet --pairs 99"
    (folder / RUN / RESOLVED).write_text(yaml.safe_dump({"environment": {"command": command}}))


def poll_until(qtbot, page: TrainingWindow, condition) -> None:
    def ready() -> bool:
        page.refresh()
        return bool(condition())

    qtbot.waitUntil(ready, timeout=30_000)


def test_the_form_becomes_the_command_line(page, tmp_path):
    window = page(config=tmp_path / "i.yaml")
    window.kind.setCurrentIndex(window.kind.findData("specdiffusion"))
    window.source.setCurrentText("cells")
    window.pairs.setValue(123)
    window.minutes.setValue(2.5)
    expected = f"train {tmp_path}/m --kind specdiffusion --source cells --pairs 123 --minutes 2.5 --config {tmp_path}/i.yaml"
    assert window.order().arguments() == expected.split()
    window.start.setCurrentText("default-twin")
    window.data.setText(str(tmp_path / "dataset"))
    assert not any(field.isEnabled() for field in (window.kind, window.source, window.pairs))
    expected = f"train {tmp_path}/m --from default-twin --dataset {tmp_path}/dataset --minutes 2.5 --config {tmp_path}/i.yaml"
    assert window.order().arguments() == expected.split()


def test_a_used_folder_or_none_is_refused_before_anything_starts(page, qtbot, tmp_path):
    window = page()
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "thesis.txt").write_text("all of it")
    qtbot.mouseClick(window.train_button, Qt.MouseButton.LeftButton)
    assert "is not empty" in window.banner.text
    window.folder.setText(" ")
    with pytest.raises(SpeckleScopeError, match="no folder"):
        window.order()
    assert not window.running


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM is a POSIX signal")
def test_train_stop_and_resume(page, qtbot, tmp_path):
    window = page()
    assert not window.resume_button.isEnabled()
    qtbot.mouseClick(window.train_button, Qt.MouseButton.LeftButton)
    poll_until(qtbot, window, lambda: "--kind referenced" in window.state.full_text)
    assert not window.train_button.isEnabled()
    assert not window.minutes.isEnabled()
    write_run(tmp_path / "m")
    window.refresh()
    assert "step 30" in window.numbers.text()
    qtbot.mouseClick(window.stop_button, Qt.MouseButton.LeftButton)
    poll_until(qtbot, window, lambda: not window.running)
    assert "Resume continues" in window.state.full_text
    assert window.banner.shown is None
    qtbot.mouseClick(window.resume_button, Qt.MouseButton.LeftButton)
    poll_until(qtbot, window, lambda: "--pairs 99 --resume" in window.state.full_text)
    assert window.running


def test_the_error_of_the_command_is_shown(page, qtbot):
    window = page(REFUSING)
    qtbot.mouseClick(window.train_button, Qt.MouseButton.LeftButton)
    poll_until(qtbot, window, lambda: not window.running)
    assert window.banner.text == "Error: no model at nowhere; give a model folder"
    assert window.train_button.isEnabled()


def test_a_run_in_the_folder_is_shown(page, tmp_path):
    window = page()
    write_run(tmp_path / "m")
    window.show_folder()
    assert "SSIM 0.812, correlation 0.938" in window.numbers.text()
    drawn = window.plots.ssim.getData()
    assert [list(axis) for axis in drawn] == [[30], [0.8125]]
    assert window.plots.picture.grab().toImage().pixelColor(window.plots.picture.width() // 2, 200).red() == 200
    assert window.resume_button.isEnabled()
    assert not window.use_button.isEnabled()


def test_a_finished_model_can_be_used(page, qtbot, tmp_path):
    window = page("pass")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / CARD).write_text("")
    window.show_folder()
    with qtbot.waitSignal(window.model_requested) as requested:
        qtbot.mouseClick(window.use_button, Qt.MouseButton.LeftButton)
    assert requested.args == [str(tmp_path / "m")]


@pytest.fixture
def instrument(qtbot, window, tmp_path):
    """A main window with a training that runs."""
    window.carry_out(Command.TRAIN)
    page = window.training
    page.stop_polling()
    page.program = runs(PATIENT)
    page.folder.setText(str(tmp_path / "m"))
    page.train()
    assert page.running
    return window


def test_closing_the_training_window_lets_it_go_on(instrument):
    page = instrument.training
    page.close()
    assert not page.isVisible()
    assert page.running
    instrument.carry_out(Command.TRAIN)
    assert instrument.training is page
    assert page.isVisible()


def test_closing_the_window_asks_and_stops_the_training(qtbot, instrument):
    page = instrument.training
    operator = refuses()
    instrument.close()
    operator.stop()
    assert instrument.isVisible()
    assert page.running
    operator = agrees()
    instrument.close()
    operator.stop()
    assert "A training is running" in operator.questions[0]

    def closed() -> bool:
        instrument.refresh_numbers()
        return not instrument.isVisible()

    qtbot.waitUntil(closed, timeout=30_000)
    assert not page.running
    assert not page.isVisible()


def test_using_a_model_opens_it_in_the_same_window(qtbot, instrument):
    before = instrument.page
    instrument.training.model_requested.emit("/models/new")
    qtbot.waitUntil(lambda: instrument.page is not None and instrument.page is not before, timeout=10_000)
    assert instrument.host.choice.model == "/models/new"
    assert instrument.isVisible()
    assert instrument.training.running
