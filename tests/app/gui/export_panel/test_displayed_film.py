"""A film as displayed looks like the pane: colours, levels, outlines, scale bar, orientation; every frame at its time."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PyQt6.QtWidgets import QApplication

from acquisition.exchange.export import ExportFormat
from acquisition.exchange.formats.excerpt import FrameRange
from acquisition.streams.channel import Stage
from app.exporting.order import ExportOrder, Opened
from app.exporting.run import ExportReport, carry_out
from app.gui.export_panel.displayed_film import DisplayedFilm, HiddenPane, look_of, pixels_of
from app.gui.image_view.colour_maps import ColourMap
from app.gui.image_view.contents import Content, PaneFacts
from app.gui.image_view.drawing.software_item import SoftwarePictureItem
from app.gui.image_view.orientation import Orientation
from app.gui.image_view.pane_grid import PaneGrid
from app.gui.image_view.pane_options import PaneOptions
from app.gui.player.moment import moment_of, pane_facts
from app.playback.played_archive import PlayedArchive
from tests.helpers.archives.played_recording import RecordingPlan
from tests.helpers.x_server.operator import wait_exposed

TIMES_S = (10.0, 10.1, 10.2, 10.3, 11.3, 11.4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return RecordingPlan(times_s=TIMES_S, skipped=(2,)).record(tmp_path)


def film_of(qtbot, path: Path, look, **more) -> tuple[ExportReport, Path]:
    """Export a film as displayed in a thread, as the panel does."""
    order = ExportOrder(paths=(path,), formats=(), displayed=True, out=path.parent / "out", **more)
    film, reports = DisplayedFilm(look), []
    stage = Stage("film", lambda stop: reports.append(carry_out(Opened((path,)), order, write_film=film.write)))
    stage.start()
    qtbot.waitUntil(lambda: not stage.running, timeout=20_000)
    assert stage.error is None, stage.error
    return reports[0], order.displayed_film(path)


@pytest.mark.parametrize("content", [Content.SPECKLE, Content.OVERLAY])
def test_each_picture_is_the_one_of_the_pane(qtbot, styled, path: Path, content: Content) -> None:
    archive = PlayedArchive(path)
    facts: PaneFacts = pane_facts(archive)
    grid = PaneGrid(facts, SoftwarePictureItem)
    qtbot.addWidget(grid)
    grid.set_number(1)
    grid.resize(620, 620)
    grid.show()
    wait_exposed(grid)
    pane = grid.current
    options = replace(PaneOptions.of(content), colours=ColourMap.MAGMA, orientation=Orientation(quarter_turns=1))
    pane.set_options(options)
    moment = moment_of(archive.load(1), facts)
    grid.show_moment(moment)
    pane.strip.levels.set_by_hand(*((20.0, 200.0) if content is Content.SPECKLE else (0.2, 1.9)))
    grid.refresh_numbers()
    QApplication.processEvents()
    look = look_of(pane)
    assert look is not None
    pictures: list[np.ndarray] = []
    hidden = HiddenPane(facts, look, pictures.append)
    hidden.show_moment(moment)
    [picture] = pictures
    expected = pixels_of(pane.copied().toImage())
    assert expected.std() > 20
    np.testing.assert_array_equal(picture, expected)
    hidden.close()


def test_a_film_has_every_frame_at_its_time_and_says_where_there_is_no_phase(qtbot, styled, path: Path) -> None:
    report, file = film_of(qtbot, path, None)
    assert (report.failed, report.stopped) == ((), False)
    with av.open(str(file)) as container:
        frames = [(frame.time, frame.to_ndarray(format="gray")) for frame in container.decode(video=0)]
    assert [time for time, _ in frames] == pytest.approx([t - TIMES_S[0] for t in TIMES_S], abs=1e-5)
    bright = [float((picture > 128).mean()) for _, picture in frames]
    assert bright[2] < 0.5 * min(bright[:2] + bright[3:])  # the words 'Not reconstructed' on an empty pane
    assert file.with_name(f"{file.name}.json").is_file()
    assert file.with_name(f"{file.name}.sha256").is_file()


def test_a_part_of_the_frames_is_filmed(qtbot, styled, path: Path) -> None:
    report, file = film_of(qtbot, path, None, frames=FrameRange(first=1, last=5, every_nth=2))
    assert not report.failed
    with av.open(str(file)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 3


def test_a_film_that_is_stopped_leaves_nothing(qtbot, styled, path: Path) -> None:
    out, stop = path.parent / "out", threading.Event()
    order = ExportOrder(paths=(path,), formats=(ExportFormat.NPZ,), displayed=True, out=out)
    film, reports = DisplayedFilm(None), []

    def progress(done: int, total: int) -> None:
        if done >= 20:  # NPZ reads 18 images
            stop.set()

    stage = Stage("film", lambda _: reports.append(carry_out(Opened((path,)), order, progress, stop, film.write)))
    stage.start()
    qtbot.waitUntil(lambda: not stage.running, timeout=20_000)
    assert reports[0].stopped
    assert not [file for file in out.iterdir() if "displayed" in file.name]
    assert [file.suffix for file in out.iterdir() if file.is_file() and file.suffix == ".npz"]
