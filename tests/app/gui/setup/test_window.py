"""The setup page: it writes what it shows, and names a wrong entry before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QSettings, Qt, QTimer
from PyQt6.QtWidgets import QApplication, QWidget

from app.gui.setup.form import SectionForm, described, title
from app.gui.setup.trust_question import TrustQuestion
from app.gui.setup.window import SetupWindow
from app.gui.widgets.picture import Picture
from app.instrument.config import InstrumentConfig, checked, load_config
from app.instrument.devices import DetectedDevice
from app.instrument.trust import not_trusted
from tests.helpers.small_instrument import small_instrument


@pytest.fixture
def page(qtbot, styled, tmp_path):
    """A page on the small twin."""

    def open_page(config: InstrumentConfig | None = None, problem: str = "") -> SetupWindow:
        page = SetupWindow(config or small_instrument(tmp_path), tmp_path / "instrument.yaml", problem)
        qtbot.addWidget(page)
        pages.append(page)
        page.show()
        return page

    pages: list[SetupWindow] = []
    yield open_page
    for page in pages:
        page.reject()
        assert page.wait_closed(20)
        qtbot.waitUntil(lambda page=page: not page.search.running, timeout=20_000)


@pytest.mark.parametrize(
    "section", ["basler", "opencv", "slmsuite_camera", "replay", "panel", "screen", "slmpy", "slmpy_window"]
)
def test_a_form_returns_what_it_was_given(qtbot, section):
    config = checked({"slmsuite_slm": {"arguments": {"resolution": [1, 2], "name": "x"}}}, "test")
    form = SectionForm(getattr(config, section))
    qtbot.addWidget(form)
    again = checked({section: form.values()}, "form")
    assert getattr(again, section) == getattr(config, section)


def test_every_setting_is_explained(qtbot):
    config = InstrumentConfig()
    for section in ("basler", "opencv", "slmsuite_camera", "panel", "screen", "slmpy", "slmpy_window", "slmsuite_slm"):
        texts = described(type(getattr(config, section)))
        assert {field.name for field in fields(getattr(config, section))} <= set(texts), section


@pytest.mark.parametrize(
    ("name", "label"),
    [("exposure_s", "Exposure (s)"), ("bandwidth_bytes_per_s", "Bandwidth (bytes/s)"), ("lut_file", "Lut file")],
)
def test_field_names_become_labels_with_units(name, label):
    assert title(name) == label


def test_saving_writes_what_is_shown(page, qtbot, tmp_path):
    window = page(checked({"camera": "basler", "slm": "screen", "panel": {"zoom": 2}}, "test"))
    window.fibre.setText("MCF no. 3")
    window.camera.forms["basler/basler"].show_values({"serial": "40012345", "width": 512, "height": 512})
    window.slm.forms["screen/panel"].show_values({"pattern_shape": (256, 256), "offset_px": (10, -20)})
    qtbot.mouseClick(window.save_button, Qt.MouseButton.LeftButton)
    assert "Saved as" in window.banner.text
    config = load_config(tmp_path / "instrument.yaml")
    assert config == window.config()
    assert (config.fibre, config.basler.serial, config.basler.width) == ("MCF no. 3", "40012345", 512)
    assert (config.panel.zoom, config.panel.pattern_shape, config.panel.offset_px) == (2, (256, 256), (10, -20))


@pytest.mark.parametrize(
    ("form", "values", "message"),
    [
        ("basler/basler", {"exposure_s": "long"}, "Exposure (s) = 'long': give a number"),
        (
            "basler/basler",
            {"bit_depth": 9},
            "page: Bit depth of a Basler camera must be 8, 10, 12, 14 or 16, got 9",
        ),
    ],
)
def test_a_mistake_is_named_and_nothing_written(page, tmp_path, form, values, message):
    window = page(checked({"camera": "basler", "slm": "screen"}, "test"))
    window.camera.forms[form].show_values(values)
    assert not window.save()
    assert message in window.banner.text
    marked = [editor for editor in window.camera.forms[form].findChildren(QWidget) if editor.property("tone") == "wrong"]
    assert [editor.accessibleName() for editor in marked] == [title(name) for name in values]
    window.try_devices()
    assert window.preview is None
    assert not (tmp_path / "instrument.yaml").exists()
    window.camera.forms[form].show_values(dict.fromkeys(values))
    assert window.save()
    assert not any(editor.property("tone") == "wrong" for editor in marked)
    assert "Error" not in window.banner.text


def test_devices_that_do_not_fit_are_refused(page):
    window = page()
    window.slm.kind.setCurrentIndex(window.slm.kind.findData("screen"))
    assert not window.save()
    assert "sees only the simulated SLM" in window.banner.text


def test_a_detected_device_fills_the_form(page, qtbot):
    window = page(checked({"camera": "basler", "slm": "screen"}, "test"))
    qtbot.waitUntil(lambda: not window.search.running, timeout=20_000)
    window.search.cameras["basler"] = [DetectedDevice("acA1920 40012345", {"basler": {"serial": "40012345"}})]
    window.search.slms["screen"] = "Qt is broken; install it"
    window.refresh()
    assert window.slm.devices.currentText() == "Qt is broken; install it"
    window.camera.devices.setCurrentIndex(1)
    window.camera.devices.activated.emit(1)
    assert window.config().basler.serial == "40012345"
    assert window.try_button.property("tone") == "primary"


def test_trying_shows_the_live_device_and_the_bytes_on_the_slm(page, qtbot):
    window = page()
    assert not window.card_button.isEnabled()
    qtbot.mouseClick(window.try_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "frames/s" in window.camera.state.text(), timeout=20_000)
    qtbot.mouseClick(window.card_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not window.slm.picture.is_empty, timeout=20_000)
    assert "patterns of 128 x 128 px" in window.slm.state.text()
    first = window.preview
    qtbot.mouseClick(window.try_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.preview not in (None, first), timeout=20_000)
    assert not first.status.running, "the devices of the first try were still held"


def test_save_and_open_releases_the_devices_first(page, qtbot, tmp_path):
    window = page()
    window.try_devices()
    qtbot.waitUntil(lambda: not window.camera.picture.is_empty, timeout=20_000)
    preview = window.preview
    with qtbot.waitSignal(window.accepted, timeout=20_000):
        qtbot.mouseClick(window.use_button, Qt.MouseButton.LeftButton)
    assert not preview.status.running
    assert (tmp_path / "instrument.yaml").exists()


def test_the_reason_for_being_here_is_shown(page):
    assert "camera unplugged" in page(problem="camera unplugged; plug it in").banner.text


def test_a_picture_is_grey_and_whole(qtbot):
    picture = Picture("nothing yet")
    qtbot.addWidget(picture)
    picture.resize(200, 100)
    picture.show_grey(np.full((50, 50), 200, np.uint8))
    image = picture.grab().toImage()
    assert image.pixelColor(100, 50).getRgb()[:3] == (200, 200, 200)
    assert image.pixelColor(10, 50).getRgb()[:3] != (200, 200, 200)
    picture.show_grey(None)
    assert picture.grab().toImage().pixelColor(100, 10).getRgb()[:3] != (200, 200, 200)


def test_an_instrument_that_does_not_open_ends_a_start_without_screen(tmp_path: Path, capsys):
    from app.gui import main

    (tmp_path / "bad.yaml").write_text("camera: kodak")
    assert main.run_instrument(tmp_path / "bad.yaml") == 2
    assert "'camera' = 'kodak'" in capsys.readouterr().err


def _operator(act: Callable[[QWidget], object]) -> QTimer:
    """Look every 50 ms at the windows on the screen."""
    timer = QTimer()
    timer.timeout.connect(lambda: [act(widget) for widget in QApplication.topLevelWidgets() if widget.isVisible()])
    timer.start(50)
    return timer


def test_from_the_window_to_the_setup_page_and_back_in_one_window(qtbot, styled, tmp_path, monkeypatch):
    from app.gui import main
    from app.gui.main_window.window import MainWindow
    from app.instrument.config import save_config

    save_config(small_instrument(tmp_path), tmp_path / "instrument.yaml")
    store = QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)
    monkeypatch.setattr(main, "default_store", lambda: store)
    seen: list[str] = []
    windows: set[int] = set()

    def act(widget: QWidget) -> None:
        if isinstance(widget, MainWindow) and widget.page is not None:
            windows.add(id(widget))
            seen.append(widget.windowTitle())
            widget.close() if "second" in seen[-1] else widget.instruments.go_to_setup()
        elif isinstance(widget, SetupWindow) and widget.isEnabled():
            seen.append("setup")
            widget.name.setText("second")
            widget.use()

    timer = _operator(act)
    assert main.run_instrument(tmp_path / "instrument.yaml") == 0
    timer.stop()
    file = tmp_path / "instrument.yaml"
    assert list(dict.fromkeys(seen)) == [
        f"SpeckleScope: small instrument (simulated) [{file}]",
        "setup",
        f"SpeckleScope: second (simulated) [{file}]",
    ]
    assert len(windows) == 1
    assert load_config(file).name == "second"


def test_a_broken_instrument_is_told_in_the_window_which_stays(qtbot, styled, tmp_path, monkeypatch):
    from app.gui import main
    from app.gui.main_window.window import MainWindow

    (tmp_path / "bad.yaml").write_text("camera: kodak")
    store = QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)
    monkeypatch.setattr(main, "default_store", lambda: store)
    monkeypatch.setattr(QApplication, "platformName", lambda *_: "xcb")
    texts: list[str] = []

    def act(widget: QWidget) -> None:
        if isinstance(widget, MainWindow) and "kodak" in widget.empty_page.text.text():
            texts.append(widget.empty_page.text.text())
            widget.close()

    timer = _operator(act)
    assert main.run_instrument(tmp_path / "bad.yaml") == 0
    timer.stop()
    assert "'camera' = 'kodak'" in texts[0]


@pytest.fixture
def account(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "account"))


@pytest.mark.parametrize("agree", [True, False])
def test_a_program_that_came_with_the_file_is_asked_about(page, qtbot, account, tmp_path, agree):
    (tmp_path / "slmPy").mkdir()
    config = checked(
        {"camera": "basler", "slm": "slmpy-window", "slmpy_window": {"slmpy_path": str(tmp_path / "slmPy")}},
        "test",
        tmp_path / "foreign.yaml",
    )
    window = page(config)
    asked = []

    def answer() -> None:
        (question,) = window.findChildren(TrustQuestion)
        asked.append((question.text(), question.defaultButton() is question.refuse_button))
        qtbot.mouseClick(question.trust_button if agree else question.refuse_button, Qt.MouseButton.LeftButton)

    QTimer.singleShot(0, answer)
    assert window.save() is agree, window.banner.text
    ((text, refuses_by_default),) = asked
    assert f"{tmp_path / 'foreign.yaml'} wants to" in text
    assert f"run code from the folder {tmp_path / 'slmPy'} " in text
    assert refuses_by_default
    assert (tmp_path / "instrument.yaml").exists() is agree
    assert bool(not_trusted(config)) is not agree


def test_a_program_that_the_operator_chose_on_the_page_is_trusted(page, account, tmp_path):
    (tmp_path / "slmPy").mkdir()
    window = page(checked({"camera": "basler", "slm": "slmpy-window"}, "test"))
    window.slm.forms["slmpy-window/slmpy_window"].show_values({"slmpy_path": str(tmp_path / "slmPy")})
    assert window.save(), window.banner.text
    assert not not_trusted(load_config(tmp_path / "instrument.yaml"))
