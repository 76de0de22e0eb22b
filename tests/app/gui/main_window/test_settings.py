"""What the window remembers, and that damaged settings cannot prevent it from starting."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PyQt6.QtWidgets import QWidget

from app.gui.image_view.contents import Content, PaneFacts
from app.gui.image_view.pane_grid import PaneGrid
from app.gui.main import first_instrument
from app.gui.main_window import settings
from app.gui.main_window.session_host import SessionHost
from app.gui.main_window.window import MainWindow
from app.gui.main_window.window_state import fit_to_screen, remember_instrument
from app.gui.widgets.formatting import count, duration, number, round_length
from app.status import MessageLevel


def opened(session, store) -> MainWindow:
    host = SessionHost(lambda choice: lambda: session)
    host.adopt(session)
    window = MainWindow(host, store)
    window.stop_polling()
    return window


def test_levels_names_and_size_come_back(qtbot, session, store):
    first = opened(session, store)
    first.resize(1300, 820)
    first.page.pictures.set_number(4)
    first.page.pictures.showing(Content.SPECKLE).strip.levels.set_by_hand(10.0, 99.0)
    first.page.pictures.showing(Content.PHASE).strip.levels.set_by_hand(-0.5, 1.25)
    first.show()
    first.shut_down()
    assert first.wait_closed(5.0)
    first.deleteLater()
    second = opened(session, store)
    assert second.banner.shown is None
    assert len(second.page.pictures.panes) == 4
    assert second.page.pictures.showing(Content.SPECKLE).strip.levels.pair == (10.0, 99.0)
    assert second.page.pictures.showing(Content.OVERLAY).strip.levels.pair == (-0.5, 1.25)
    qtbot.addWidget(second)


def test_levels_of_another_camera_are_not_taken_over(qtbot, session, store):
    other = PaneGrid(PaneFacts(field_um=400.0, full_scale=4095, display_range_rad=(0.0, 2.6)))
    qtbot.addWidget(other)
    other.showing(Content.SPECKLE).strip.levels.set_by_hand(100.0, 200.0)
    settings.save(store, settings.WindowSettings(panes=json.dumps(other.state())))
    window = opened(session, store)
    qtbot.addWidget(window)
    assert window.page.pictures.showing(Content.SPECKLE).strip.levels.pair == (0.0, 255.0)
    assert window.banner.shown is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("geometry", "not hexadecimal"),
        ("geometry", "00ff00ff"),
        ("panes", "[1, 2]"),
        ("panes", "{"),
        ("panes", ["1", "2"]),
        ("recording_name", "a" * 500),
        ("version", "99"),
        ("version", "soon"),
    ],
)
def test_damaged_settings_warn_and_give_the_defaults(qtbot, session, store, key, value):
    settings.save(store, settings.WindowSettings())
    store.setValue(key, value)
    window = opened(session, store)
    qtbot.addWidget(window)
    assert window.page.pictures.showing(Content.SPECKLE).strip.levels.pair == (0.0, 255.0)
    assert window.page.pictures.showing(Content.PHASE).strip.levels.pair == session.display_range_rad
    if value != "00ff00ff":  # bytes that Qt itself refuses in silence
        assert window.banner.shown.level is MessageLevel.WARNING
        assert "default" in window.banner.text


def test_a_file_that_is_no_settings_file_does_not_block(qtbot, session, tmp_path, store):
    (tmp_path / "window.ini").write_bytes(bytes(range(256)) * 20)
    store.sync()
    window = opened(session, store)
    qtbot.addWidget(window)
    assert window.page.controls.recording_name.text() == "recording"


def test_numbers_are_written_for_people():
    assert [duration(s) for s in (0, 59.9, 61, 3723, None, float("nan"))] == [
        "0:00",
        "0:59",
        "1:01",
        "1:02:03",
        "–",
        "–",
    ]
    assert number(float("nan"), 1) == "–"
    assert count(1234567) == "1\N{NARROW NO-BREAK SPACE}234\N{NARROW NO-BREAK SPACE}567"
    assert [round_length(x) for x in (0.7, 1.0, 4.99, 112.0, 2000.0)] == [0.5, 1.0, 2.0, 100.0, 2000.0]


def test_the_instrument_of_this_folder_comes_first_then_the_last_one(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given, last = tmp_path / "given.yaml", tmp_path / "lab" / "last.yaml"
    path, note = first_instrument(None, store)
    assert path is None
    assert "simulated instrument" in note
    last.parent.mkdir()
    last.write_text("name: last")
    remember_instrument(last, store)
    path, note = first_instrument(None, store)
    assert path == last
    assert str(last) in note
    (tmp_path / "instrument.yaml").write_text("name: here")
    path, note = first_instrument(None, store)
    assert path == Path("instrument.yaml")
    assert "this folder" in note
    assert first_instrument(given, store) == (given, "")
    (tmp_path / "instrument.yaml").unlink()
    last.unlink()
    assert first_instrument(None, store)[0] is None


def test_a_window_larger_than_the_screen_fills_it_at_the_start(qtbot) -> None:
    large, small = QWidget(), QWidget()
    for window, side_px in ((large, 5000), (small, 300)):
        qtbot.addWidget(window)
        window.resize(side_px, side_px)
        fit_to_screen(window)
        window.show()
    assert large.isMaximized()
    assert not small.isMaximized()


def test_what_a_page_remembers_stays_when_the_window_stores_its_own(store) -> None:
    store.setValue("rig/recent", "[]")
    store.setValue("from_long_ago", "1")
    settings.save(store, settings.WindowSettings(recording_name="liver"))
    assert store.value("rig/recent") == "[]"
    assert store.value("from_long_ago") is None
    assert settings.load(store)[0].recording_name == "liver"


def test_a_store_that_holds_only_what_a_page_remembers_gives_no_warning(store) -> None:
    store.setValue("rig/recent", "[]")
    assert settings.load(store) == (settings.WindowSettings(), [])
