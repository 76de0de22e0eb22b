"""The player shows what was recorded, at its true times, and says what is missing."""

from __future__ import annotations

import shutil
import threading

import numpy as np
import pytest
from PyQt6 import sip
from PyQt6.QtWidgets import QApplication

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.recorder import ROW_NOT_RECONSTRUCTED
from app.gui.image_view.contents import Content
from app.gui.pages.page import PageContext
from app.gui.player.head import Panel
from app.gui.player.player import Player
from app.gui.player.transport import Link, Move
from app.jobs.job_list import JobList
from app.playback.frame_reader import READER
from app.playback.playhead import EVEN_PACE, PACES, TRUE_PACE, PlayState
from tests.app.gui.player.conftest import TIMES_S, settle, texts
from tests.helpers.archives.library_archive import append, dataset, open_writer
from tests.helpers.archives.played_recording import RecordingPlan

FAST = next(pace for pace in PACES if pace.speed == 8)


def message_in(player, content: Content) -> str:
    return player.left.pictures.showing(content).canvas.annotations.message


def at(qtbot, player, position: int):
    player.seek(position)
    settle(qtbot, player)
    player.refresh_numbers()
    return player.left.pictures


def test_every_pane_holds_what_was_recorded_bit_by_bit(qtbot, opened, path):
    player, archive = opened(path), Archive.open(path)
    for row in archive.rows():
        pictures = at(qtbot, player, row.index)
        speckle = pictures.showing(Content.SPECKLE)
        assert speckle.image.tobytes() == archive.read("speckle", row.index).tobytes()
        assert f"frame {row.frame_index}," in speckle.subtitle.full_text
        if ROW_NOT_RECONSTRUCTED in row.extra:
            continue
        assert pictures.showing(Content.PHASE).image.tobytes() == archive.read("phase", row.index).tobytes()
        if row.index != 3:
            overlay = pictures.showing(Content.OVERLAY)
            assert overlay.shown.labels.tobytes() == archive.read("labels", row.index).tobytes()
            assert overlay.shown.frame_index == row.frame_index


def test_frames_without_phase_or_labels_say_so_in_their_panes(qtbot, opened, path):
    player = opened(path)
    at(qtbot, player, 2)
    assert [message_in(player, content) for content in (Content.PHASE, Content.OVERLAY)] == ["Not reconstructed"] * 2
    assert message_in(player, Content.SPECKLE) == ""
    at(qtbot, player, 3)
    assert message_in(player, Content.PHASE) == ""
    assert message_in(player, Content.OVERLAY) == "Not segmented"
    at(qtbot, player, 4)
    assert message_in(player, Content.OVERLAY) == ""


def test_a_picture_of_a_fibre_that_has_moved_is_stamped_as_when_it_was_recorded(qtbot, opened, path):
    pictures = at(qtbot, opened(path), 5)
    assert pictures.showing(Content.PHASE).canvas.annotations.stamp == "FIBRE MOVED"


def test_the_place_is_said_with_the_true_times(qtbot, opened, path):
    player = opened(path)
    at(qtbot, player, 4)
    player.refresh_numbers()
    assert player.transport.place.text().startswith("Frame 5 of 8   1.300 s of 1.600 s   ")
    assert "8 frames" in player.head.info.full_text
    assert "2 not reconstructed" in player.head.info.full_text
    player.step(-1)
    assert "gap follows: no frame for 1.000 s" in player.transport.note.full_text


def test_the_uncertainty_is_shown_where_it_was_recorded(qtbot, opened, tmp_path):
    path = RecordingPlan(times_s=(0.0, 0.1), uncertainty=True).record(tmp_path)
    player = opened(path)
    shown = player.left.pictures.showing(Content.UNCERTAINTY).image
    assert shown.tobytes() == Archive.open(path).read("uncertainty", 0).tobytes()


def test_a_dataset_shows_its_patterns(qtbot, opened, tmp_path):
    path = dataset(tmp_path)
    player = opened(path)
    assert [pane.content for pane in player.left.pictures.panes] == [Content.SPECKLE, Content.SLM]
    assert player.left.pictures.showing(Content.SLM).image.tobytes() == Archive.open(path).read("phase", 0).tobytes()


def test_keys_go_frame_by_frame_to_the_ends_and_to_the_markers(qtbot, opened, path, operator):
    player = opened(path)
    operator.activate(player)
    places = []
    for key in ("Right", "Right", "Left", "End", "Home", "Next", "Next", "Next", "Prior"):
        operator.key(key)
        places.append(player.playhead.position)
    assert places == [1, 2, 1, 7, 0, 4, 7, 7, 4]
    operator.key("shift+Left")
    assert player.playhead.position == 0
    settle(qtbot, player)
    assert player.left.shown.position == 0


def test_buttons_do_the_same_and_are_off_where_there_is_nothing_to_go_to(opened, path, operator):
    player = opened(path)
    buttons = player.transport.moves
    assert not buttons[Move.PREVIOUS].isEnabled()
    assert not buttons[Move.PREVIOUS_MARKER].isEnabled()
    operator.click(buttons[Move.NEXT_MARKER])
    assert player.playhead.position == 4
    operator.click(buttons[Move.LAST])
    assert player.playhead.position == 7
    assert not buttons[Move.NEXT].isEnabled()
    assert not buttons[Move.NEXT_MARKER].isEnabled()


def test_it_plays_to_the_end_and_stops_there(qtbot, opened, path, operator):
    player = opened(path)
    player.set_pace(FAST)
    shown = []
    player.left.frame_shown.connect(lambda side: shown.append(side.shown.position))
    operator.activate(player)
    operator.key("space")
    assert player.playhead.state is PlayState.PLAYING
    assert player.transport.play.text() == "Pause"
    qtbot.waitUntil(lambda: player.playhead.state is PlayState.PAUSED)
    settle(qtbot, player)
    assert shown == sorted(shown)
    assert player.left.shown.position == 7
    assert player.transport.play.text() == "Play"


def test_looping_is_an_option_that_is_off(qtbot, opened, path, operator):
    player = opened(path)
    assert not player.transport.loop.isChecked()
    operator.click(player.transport.loop)
    player.set_pace(FAST)
    player.seek(6)
    player.toggle_play()
    qtbot.waitUntil(lambda: player.playhead.position < 6)
    assert player.playhead.state is PlayState.PLAYING


def test_leaving_the_page_pauses(opened, path):
    player = opened(path)
    player.toggle_play()
    player.leave()
    assert player.playhead.state is PlayState.PAUSED


def test_a_recording_of_an_image_every_hour_is_played_evenly_at_first(opened, tmp_path):
    player = opened(RecordingPlan(times_s=(0.0, 3600.0, 7200.0)).record(tmp_path))
    assert player.transport.pace is EVEN_PACE
    assert player.playhead.pace is EVEN_PACE
    player = opened(RecordingPlan(times_s=(0.0, 0.1, 0.2), name="fast").record(tmp_path))
    assert player.transport.pace is TRUE_PACE


def test_a_missing_shard_is_said_in_its_pane_and_the_player_goes_on(qtbot, opened, path):
    for file in (path / "data.zarr" / "phase").glob("c.*"):
        file.unlink()
    player = opened(path)
    assert "phase" in message_in(player, Content.PHASE)
    assert message_in(player, Content.SPECKLE) == ""
    at(qtbot, player, 1)
    assert player.left.pictures.showing(Content.SPECKLE).image is not None


def test_a_disk_that_was_pulled_out_comes_back(qtbot, opened, path):
    player = opened(path)
    away = path.with_name("away")
    path.rename(away)
    at(qtbot, player, 7)
    player.left.pictures.refresh_numbers()
    player.left.try_again()
    qtbot.waitUntil(lambda: "connect its disk again" in message_in(player, Content.SPECKLE))
    away.rename(path)
    player.look_again()
    qtbot.waitUntil(lambda: message_in(player, Content.SPECKLE) == "")


def test_what_cannot_be_opened_says_why_and_opens_when_it_is_there(qtbot, opened, player, path):
    away = path.with_name("away")
    path.rename(away)
    opened(path)
    assert "No archive" in message_in(player, Content.SPECKLE)
    assert "No archive" in player.head.problem.full_text
    assert not player.transport.play.isEnabled()
    away.rename(path)
    player.look_again()
    qtbot.waitUntil(lambda: player.left.shown is not None)
    assert player.head.problem.full_text == ""
    assert player.transport.play.isEnabled()


def test_a_recording_that_grows_shows_its_new_frames(qtbot, opened, tmp_path):
    with open_writer(tmp_path, "growing", ArchiveKind.RECORDING) as writer:
        append(writer, 0)
        append(writer, 1)
        writer.flush()
        player = opened(writer.path)
        assert "further frames come" in player.head.info.full_text
        assert not player.head.live.isEnabled()
        at(qtbot, player, 1)
        append(writer, 2)
        writer.flush()
        player.look_again()
        qtbot.waitUntil(lambda: player.playhead.last == 2)
        assert player.playhead.position == 1
        assert player.left.shown.position == 1
        writer.complete()
    player.look_again()
    qtbot.waitUntil(lambda: "further frames" not in player.head.info.full_text)


def test_another_recording_takes_the_place_of_the_first(qtbot, opened, path, tmp_path):
    player = opened(path)
    at(qtbot, player, 6)
    other = RecordingPlan(times_s=(0.0, 0.1), name="other").record(tmp_path)
    opened(other)
    assert player.playhead.position == 0
    assert player.left.pictures.showing(Content.SPECKLE).image.tobytes() == Archive.open(other).read("speckle", 0).tobytes()
    assert player.head.name.full_text == "other"


def test_two_recordings_stand_side_by_side_at_the_same_time_or_frame(qtbot, opened, path, tmp_path, operator):
    player = opened(path)
    other = RecordingPlan(times_s=(0.0, 0.65, 1.3, 1.4), name="other").record(tmp_path)
    player.compare_with(other)
    settle(qtbot, player)
    player.seek(4)  # 1.3 s after its first frame
    settle(qtbot, player)
    assert (player.left.shown.position, player.right.shown.position) == (4, 2)
    operator.choose(player.transport.link, tuple(Link).index(Link.FRAME))
    player.seek(1)
    settle(qtbot, player)
    assert (player.left.shown.position, player.right.shown.position) == (1, 1)
    player.seek(7)
    settle(qtbot, player)
    assert player.right.shown.position == 3
    assert player.right.name.full_text == "other (it ends here)"
    assert [pane.content for pane in player.right.pictures.panes] == [Content.PHASE, Content.OVERLAY]
    operator.click(player.right.close_button)
    assert not player.is_comparing
    assert player.right.isHidden()


def test_two_sides_play_together(qtbot, opened, path, tmp_path):
    player = opened(path)
    copy = tmp_path / "copy"
    shutil.copytree(path, copy)
    player.compare_with(copy)
    settle(qtbot, player)
    player.set_pace(FAST)
    player.toggle_play()
    qtbot.waitUntil(lambda: player.playhead.state is PlayState.PAUSED)
    settle(qtbot, player)
    assert (player.left.shown.position, player.right.shown.position) == (7, 7)
    left, right = (side.pictures.showing(Content.PHASE).image for side in (player.left, player.right))
    assert left is not right
    assert np.array_equal(left, right)


def test_the_whole_field_is_shown_again_by_a_key(opened, path, operator):
    player = opened(path)
    canvas = player.left.pictures.showing(Content.PHASE).canvas
    whole_um = canvas.visible_um
    canvas.zoom(3)
    operator.activate(player)
    operator.key("f")
    assert canvas.visible_um.width() == pytest.approx(whole_um.width())


def test_both_sides_zoom_together_while_panes_are_linked(qtbot, opened, path, operator):
    player = opened(path)
    player.compare_with(path)
    settle(qtbot, player)
    left, right = (side.pictures.showing(Content.PHASE).canvas for side in (player.left, player.right))
    QApplication.processEvents()  # both sides wait to be laid out
    whole_um = right.visible_um.width()
    left.zoom(4)
    zoomed_um = right.visible_um.width()
    assert zoomed_um < 0.7 * whole_um
    operator.click(left.viewport)  # two sides have the same keys: they act where the focus is
    operator.key("l")
    left.zoom(2)
    assert right.visible_um.width() == zoomed_um


def test_panes_measure_what_is_played(opened, path, operator):
    player = opened(path)
    operator.activate(player)
    operator.key("F4")
    assert player.measure.isVisible()
    assert player.head.panels[Panel.MEASURE].isChecked()
    operator.key("F4")
    assert not player.measure.isVisible()


@pytest.mark.parametrize("comparing", [False, True])
def test_everything_fits_on_a_small_screen(qtbot, opened, path, comparing):
    player = opened(path)
    player.toggle_panel(Panel.RESULTS)
    if comparing:
        player.compare_with(path, "")
        settle(qtbot, player)
    smallest = player.minimumSizeHint()
    assert smallest.width() <= 1366 - 90  # beside the rail
    assert smallest.height() <= 600


def test_the_live_view_is_asked_to_play_it(opened, path, operator):
    player = opened(path)
    wanted = []
    player.play_requested.connect(wanted.append)
    operator.click(player.head.live)
    assert wanted == [path]


def test_nothing_is_read_after_the_end(qtbot, opened, path):
    player = opened(path)
    player.close_archive()
    assert player.left.archive is None
    assert player.transport.place.text() == ""
    assert len(player.playhead.timeline) == 0
    assert texts(player.messages) == []
    assert TIMES_S[0] == 10.0


def test_the_threads_of_a_player_that_is_deleted_end(qtbot, styled):
    before = set(threading.enumerate())
    player = Player(PageContext(jobs=JobList()))
    threads = {one for one in threading.enumerate() if one.name == READER} - before
    assert len(threads) == 2
    sip.delete(player)
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
