"""The export panel: what it says before it starts, what it writes, and what it does when something stands in the way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QSettings, QUrl
from PyQt6.QtGui import QDesktopServices

from acquisition.archive.reader import Archive
from acquisition.exchange.export import ExportFormat
from app.gui.export_panel.panel import ExportPanel
from app.gui.export_panel.part_fields import RangeKind
from app.gui.pages.page import PageContext
from app.jobs.job_list import JobList, JobOrder
from app.status import JobState
from tests.helpers.archives.played_recording import RecordingPlan
from tests.helpers.x_server.operator import wait_exposed

TIMES_S = (10.0, 10.1, 10.2, 10.3, 11.3, 11.4, 11.5, 11.6)
PanelOf = Callable[..., ExportPanel]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return RecordingPlan(times_s=TIMES_S, skipped=(2, 6)).record(tmp_path / "archive")


@pytest.fixture
def store(tmp_path: Path) -> QSettings:
    return QSettings(str(tmp_path / "store.ini"), QSettings.Format.IniFormat)


@pytest.fixture
def panel_of(qtbot, styled, store: QSettings) -> PanelOf:
    def make(*paths: Path) -> ExportPanel:
        jobs = JobList()
        panel = ExportPanel(PageContext(jobs=jobs, store=store))
        panel.messages = []
        panel.reported.connect(panel.messages.append)
        panel.jobs = jobs
        qtbot.addWidget(panel)
        panel.open_for(paths)
        wait_exposed(panel)
        settle(qtbot, panel)
        return panel

    return make


def settle(qtbot, panel: ExportPanel) -> None:
    """Wait until the panel knows what the export will take, or why it cannot be known."""
    qtbot.waitUntil(lambda: not panel.refusal().startswith("Reading"))
    panel.poll()


def export(qtbot, panel: ExportPanel) -> None:
    settle(qtbot, panel)
    panel.start()
    assert panel.is_running
    qtbot.waitUntil(lambda: not panel.is_running, timeout=20_000)


def choose(panel: ExportPanel, *formats: ExportFormat, folder: Path) -> None:
    panel.formats.choose(formats, displayed=False)
    panel.folder.setText(str(folder))
    panel.change()


def test_it_says_what_an_export_will_take_before_it_starts(qtbot, panel_of: PanelOf, path: Path, tmp_path: Path) -> None:
    panel = panel_of(path)
    assert "8 frames. About" in panel.summary.text()
    assert "are free" in panel.summary.text()
    assert panel.missing.text().startswith("2 frames of these have no phase")
    panel.part.layers["phase"].setChecked(False)
    settle(qtbot, panel)
    assert panel.missing.isHidden()
    assert not list(path.glob("export"))


def test_an_export_goes_into_the_chosen_folder_and_can_be_shown(
    qtbot, panel_of: PanelOf, path: Path, monkeypatch, operator
) -> None:
    panel, out, shown = panel_of(path), path.parent / "out", []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: shown.append(url))
    choose(panel, ExportFormat.NPZ, folder=out)
    settle(qtbot, panel)
    operator.click(panel.export_button)
    qtbot.waitUntil(lambda: bool(panel.messages), timeout=20_000)
    with np.load(out / f"{path.name}.npz") as content:
        assert len(content["phase"]) == len(TIMES_S)
    assert panel.outcome.text() == f"Exported 1 file in {out}"
    assert [message.text for message in panel.messages] == [panel.outcome.text()]
    operator.click(panel.folder_button)
    assert shown == [QUrl.fromLocalFile(str(out))]
    assert not panel.export_button.isEnabled()
    assert panel.jobs.statuses()[-1].state is JobState.FINISHED
    again = panel_of(path)
    assert again.folder.text() == str(out)
    assert again.formats.chosen == (ExportFormat.NPZ,)


def test_a_range_by_frames_or_by_time_is_exported_exactly(
    qtbot, panel_of: PanelOf, path: Path, tmp_path: Path, operator
) -> None:
    panel, archive = panel_of(path), Archive.open(path)
    for kind, start, end, numbers in ((RangeKind.FRAMES, 3, 7, [3, 5, 7]), (RangeKind.SECONDS, 0.1, 1.3, [1, 3])):
        choose(panel, ExportFormat.NPZ, folder=tmp_path / kind.name)
        operator.choose(panel.part.kind, panel.part.kind.findData(kind))
        panel.part.start.setValue(start)
        panel.part.end.setValue(end)
        panel.part.every_nth.setValue(2)
        export(qtbot, panel)
        with np.load(tmp_path / kind.name / f"{path.name}.npz") as content:
            np.testing.assert_array_equal(content["speckle"], [archive.read("speckle", number) for number in numbers])
            assert content["t_ns"].tolist() == [archive.row(number).t_ns for number in numbers]


def test_several_recordings_and_a_film_as_displayed_in_one_export(qtbot, panel_of: PanelOf, path: Path, tmp_path: Path) -> None:
    other = RecordingPlan(times_s=TIMES_S[:3], name="other").record(tmp_path / "archive")
    panel = panel_of(path, other)
    assert panel.heading.text() == "Export 2 recordings or datasets"
    panel.formats.choose(["viewing-mp4"], displayed=True)
    panel.folder.setText(str(tmp_path / "out"))
    panel.change()
    export(qtbot, panel)
    names = {file.name for file in (tmp_path / "out").glob("*.mp4")}
    assert names == {f"{one.name}_{kind}.mp4" for one in (path, other) for kind in ("phase_viewing", "displayed")}


def test_what_stands_in_the_way_is_told_beside_it_and_nothing_is_written(
    qtbot, panel_of: PanelOf, path: Path, tmp_path: Path
) -> None:
    panel, out = panel_of(path), tmp_path / "out"
    out.mkdir()
    (out / f"{path.name}.npz").write_text("mine")
    choose(panel, ExportFormat.NPZ, folder=out)
    settle(qtbot, panel)
    assert panel.folder_problem.isVisible()
    assert "exists there" in panel.folder_problem.text()
    assert not panel.export_button.isEnabled()
    panel.formats.choose([], displayed=False)
    settle(qtbot, panel)
    assert panel.format_problem.text() == "Choose at least one format"
    panel.formats.choose(["viewing-mp4"], displayed=False)
    panel.film.automatic.setChecked(False)
    panel.film.low.setValue(7)
    settle(qtbot, panel)
    assert "not above the low level 7" in panel.film_problem.text()
    assert not panel.export_button.isEnabled()
    assert [file.name for file in out.iterdir()] == [f"{path.name}.npz"]
    choose(panel, ExportFormat.NPZ, folder=out)
    panel.film.automatic.setChecked(True)
    panel.overwrite.setChecked(True)
    export(qtbot, panel)
    assert panel.outcome.text().startswith("Exported")


def test_a_recording_that_has_gone_is_told_and_the_panel_goes_on(qtbot, panel_of: PanelOf, path: Path, tmp_path: Path) -> None:
    panel = panel_of(path, tmp_path / "gone")
    assert "gone" in panel.archive_problem.text()
    assert not panel.export_button.isEnabled()
    panel.open_for((path,))
    settle(qtbot, panel)
    assert panel.archive_problem.isHidden()
    assert panel.export_button.isEnabled()


def test_another_job_on_the_recording_is_told_before_the_click(qtbot, panel_of: PanelOf, path: Path, tmp_path: Path) -> None:
    panel, go_on = panel_of(path), threading.Event()
    job = panel.jobs.start(
        JobOrder(name="Reconstruct again", work=lambda progress, stop: go_on.wait(10) and None, folders=frozenset({path}))
    )
    panel.poll()
    assert "Reconstruct again is running" in panel.refusal_label.text()
    assert not panel.export_button.isEnabled()
    go_on.set()
    job.stage.join(10)
    panel.poll()
    assert panel.export_button.isEnabled()


def test_stop_leaves_nothing_half_done(qtbot, panel_of: PanelOf, tmp_path: Path, operator) -> None:
    path = RecordingPlan(times_s=tuple(0.1 * k for k in range(120))).record(tmp_path / "archive")
    panel, out = panel_of(path), tmp_path / "out"
    panel.formats.choose([], displayed=True)
    panel.folder.setText(str(out))
    panel.change()
    settle(qtbot, panel)
    panel.start()
    qtbot.waitUntil(lambda: panel.progress.value() > 3)
    operator.click(panel.stop_button)
    qtbot.waitUntil(lambda: not panel.is_running, timeout=20_000)
    assert panel.outcome.text().startswith("Stopped. Complete: 0 files")
    assert not list(out.glob("*.mp4*"))
    assert not list(out.glob(".*part*"))
