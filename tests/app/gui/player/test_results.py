"""Results beside what was recorded: computed in the background, chosen to look at, and never in place of the first."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from acquisition.archive.reader import Archive
from app.gui.image_view.contents import Content
from app.gui.player.head import Panel
from app.gui.player.player import Player
from app.gui.player.result_jobs import Computation
from app.gui.player.side import AS_RECORDED
from reconstruction.segmentation.config import SegmentationConfig
from tests.app.gui.player.conftest import settle, texts
from tests.helpers.archives.library_archive import dataset
from tests.helpers.archives.played_recording import RecordingPlan
from tests.helpers.x_server.operator import wait_until


@pytest.fixture
def computed(operator) -> Callable[[Player, Computation], None]:
    """Click the button of a computation, and wait until the player says that it has ended."""

    def compute(player: Player, computation: Computation) -> None:
        before = len(player.messages)
        button = player.results.buttons[computation]
        assert button.isEnabled(), player.results.reasons[computation].text()
        operator.click(button, until=lambda: len(player.messages) >= before + 2)

    return compute


@pytest.fixture
def shown(opened, path) -> Player:
    player = opened(path)
    player.toggle_panel(Panel.RESULTS)
    return player


def test_segmented_again_lies_beside_the_recorded_labels_and_can_be_chosen(qtbot, shown, path, operator, computed):
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    computed(shown, Computation.SEGMENT)
    qtbot.waitUntil(lambda: shown.left.results.count() == 2)
    assert "is ready" in texts(shown.messages)[-1]
    assert shown.left.results.currentText() == AS_RECORDED  # what the operator looks at does not change by itself
    assert {file: file.read_bytes() for file in before} == before
    [result] = Archive.open(path).results()[0]
    operator.choose(shown.left.results, 1)
    shown.seek(3)
    settle(qtbot, shown)
    qtbot.waitUntil(lambda: shown.left.pictures.showing(Content.OVERLAY).shown is not None)
    assert shown.left.pictures.showing(Content.OVERLAY).shown.labels.tobytes() == result.read("labels", 3).tobytes()
    shown.refresh_numbers()
    assert shown.results.shown.text().startswith("segmented again, 20")
    assert "6 frames" in shown.results.details.text()


def test_the_settings_of_segment_again_are_chosen_and_kept_with_the_result(qtbot, shown, path, operator, computed):
    panel = shown.results
    assert panel.segmentation == SegmentationConfig()
    operator.fill(panel.threshold, "0.4")
    operator.fill(panel.smallest, "40")
    assert panel.segmentation == SegmentationConfig(threshold=0.4, min_area_px=40)
    computed(shown, Computation.SEGMENT)
    [result] = Archive.open(path).results()[0]
    assert (result.card.facts["threshold_rad"], result.card.facts["min_area_px"]) == (0.4, 40)
    qtbot.waitUntil(lambda: shown.left.results.count() == 2)
    shown.left.choose_result(result.path.name)
    shown.refresh_numbers()
    assert "min_area_px: 40" in panel.details.text()


def test_a_result_is_compared_with_what_was_recorded(qtbot, shown, path, operator, computed):
    computed(shown, Computation.SEGMENT)
    qtbot.waitUntil(lambda: shown.left.results.count() == 2)
    [result] = Archive.open(path).results()[0]
    shown.left.choose_result(result.path.name)
    shown.refresh_numbers()
    operator.click(shown.results.compare)
    shown.seek(1)
    settle(qtbot, shown)
    qtbot.waitUntil(lambda: shown.right.shown is not None and shown.right.shown.position == 1)
    left, right = (side.pictures.showing(Content.OVERLAY).shown for side in (shown.left, shown.right))
    assert left.labels.tobytes() == result.read("labels", 1).tobytes()
    assert right.labels.tobytes() == Archive.open(path).read("labels", 1).tobytes()
    assert shown.left.results.currentText().startswith("segmented again, 20")
    assert shown.right.results.currentText() == AS_RECORDED


def test_what_fails_is_told_in_a_sentence_and_nothing_is_kept(shown, path, computed):
    computed(shown, Computation.AGAIN)  # the recording holds no reference
    assert "has failed" in texts(shown.messages)[-1]
    assert "no reference" in texts(shown.messages)[-1]
    assert Archive.open(path).results() == ([], [])


def test_why_something_cannot_be_computed_stands_beside_it(qtbot, opened, tmp_path):
    player = opened(dataset(tmp_path))
    player.toggle_panel(Panel.RESULTS)
    for computation in Computation:
        assert not player.results.buttons[computation].isEnabled()
        assert "is a dataset" in player.results.reasons[computation].text()
    opened(RecordingPlan(times_s=(0.0, 0.1), name="whole").record(tmp_path))
    player.refresh_numbers()
    assert player.results.reasons[Computation.SKIPPED].text() == "Every frame has a phase: none was skipped"
    assert player.results.buttons[Computation.SEGMENT].isEnabled()
    opened(RecordingPlan(times_s=(0.0, 0.1), name="none", skipped=(0, 1)).record(tmp_path))
    player.refresh_numbers()
    assert "No frame has a phase" in player.results.reasons[Computation.SEGMENT].text()
    assert player.results.buttons[Computation.SKIPPED].text().endswith("(2)")


def test_a_model_folder_that_was_chosen_is_used(shown, tmp_path, operator):
    assert shown.results.options.as_recorded
    shown.results.use_model(tmp_path / "mine")
    assert shown.results.options.model == str(tmp_path / "mine")
    assert shown.results.model.currentText() == "mine"
    operator.choose(shown.results.model, 0)
    assert shown.results.options.model is None


def test_results_can_be_put_side_by_side_from_the_menu(qtbot, shown, operator, computed):
    computed(shown, Computation.SEGMENT)
    qtbot.waitUntil(lambda: shown.left.results.count() == 2)
    operator.choose_in_menu(shown.head.compare, "segmented again, 20")
    settle(qtbot, shown)
    assert shown.is_comparing
    assert shown.right.result.card.name == "segmented again"
    operator.choose_in_menu(shown.head.compare, "End the comparison")
    assert not shown.is_comparing


def test_the_cells_of_a_recording_are_saved_in_the_background(shown, tmp_path):
    file = tmp_path / "numbers.csv"
    shown.results.cells_requested.emit(file)
    wait_until(lambda: f"Saved: {file}" in texts(shown.messages))
    assert "frame,time_s,x_um,y_um,identity" in file.read_text("utf-8")
