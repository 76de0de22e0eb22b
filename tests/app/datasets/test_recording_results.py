"""Results lie beside what was recorded: the same model gives exactly the recorded phase, others are refused with a sentence."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.recorder import ROW_NOT_RECONSTRUCTED
from acquisition.archive.recording_faults import ROW_MARKS
from acquisition.archive.references import StoredReference
from acquisition.archive.results.stored_result import RESULTS, ResultKind, stored_results
from acquisition.archive.rows import StorageError
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from app.datasets import recording_results
from app.datasets.recorded_methods import RecordingOptions
from app.datasets.recording_results import reconstruct_again, reconstruct_skipped, segment_again
from calibration.reference_state import ReferenceState
from drivers.base import SpeckleScopeError
from reconstruction.engines.choose import open_engine
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.live.live_reconstructor import ModelMethod
from reconstruction.live.pairs_method import PairsMethod
from reconstruction.models.model import Model
from reconstruction.segmentation.config import SegmentationConfig
from reconstruction.segmentation.threshold_watershed import ThresholdSettings, ThresholdWatershed, segment
from tests.app.datasets.test_recording_phase import pairs_state, speckle
from tests.helpers.archives.library_archive import dataset, end, writing_process
from tests.helpers.small_disk import small_disk
from tests.helpers.small_instrument import FRAME_PX, GRID_PX, small_mean_flow, small_model

FRAMES = 6
SKIPPED = {1, 4}
AS_RECORDED = RecordingOptions(as_recorded=True)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    small_model(folder / "small")
    small_mean_flow(folder / "flow")
    return folder


def loaded(folder: Path) -> Model:
    from reconstruction.models.model import load_model

    return load_model(folder)


@dataclass(frozen=True, kw_only=True)
class Live:
    """How the live view has reconstructed."""

    engine: str = "torch"
    fibre: str | None = None
    #: The pairs are used from this frame on.
    pairs_from: int = FRAMES
    #: So many frames were still waiting for their reconstruction when the next reference came.
    early: int = 0


def recorded(
    root: Path, model: Model, *states: ReferenceState, live: Live = Live(), segmentation: dict[str, object] | None = None
) -> Path:
    """Write what the live view would; some frames are skipped."""
    shape, grid = (FRAME_PX, FRAME_PX), (GRID_PX, GRID_PX)
    has_sigma = model.network.gives_sigma
    arrays = [ArraySpec("speckle", shape, "uint8"), ArraySpec("phase", grid, "float32"), ArraySpec("labels", grid, "uint16")]
    arrays += [ArraySpec("uncertainty", grid, "float32")] if has_sigma else []
    card = model.card
    metadata = {"fibre": card.fibre if live.fibre is None else live.fibre, "model": card.name, "model_id": model.id}
    metadata |= {} if segmentation is None else {"segmentation": segmentation}
    method = ModelMethod(model, TorchEngine(model) if live.engine == "torch" else open_engine(model, live.engine))
    references = [state.stored(30 + 3 * number) for number, state in enumerate(states)]
    with ArchiveWriter.create(
        root, ArchiveSpec(kind=ArchiveKind.RECORDING, name="cells", arrays=arrays, metadata=metadata), FRAMES
    ) as writer:
        for reference in references:
            writer.add_reference(reference)
        for number in range(FRAMES):
            frame = np.random.default_rng(number).integers(0, 255, shape, np.uint8)
            state = states[min((number + live.early) // 3, len(states) - 1)] if states else ReferenceState(speckle=speckle(1))
            used = PairsMethod(state.pairs, GRID_PX) if number >= live.pairs_from and state.pairs else method
            assert state.speckle is not None
            phase, sigma = (
                used.run_with_sigma(frame, state.speckle) if used is method else (used.run(frame, state.speckle), None)
            )
            phase = np.where(used.mask, phase, np.float32(0))
            images = {"speckle": frame, "phase": phase, "labels": segment(phase, used.mask)}
            if has_sigma:
                images["uncertainty"] = np.where(used.mask, sigma, np.float32(0))
            extra = {}
            facts = {"model_id": used.id, "engine": used.engine}
            if number in SKIPPED:
                images |= {name: np.full_like(images[name], np.nan) for name in images.keys() & {"phase", "uncertainty"}}
                extra, facts = {ROW_NOT_RECONSTRUCTED: 1}, {"model_id": "", "engine": "none"}
            writer.append(images, PairRow(frame_index=30 + number, t_ns=number * 10**7, exposure_s=0.002, extra=extra, **facts))
        writer.complete()
        return writer.path


def blobs(root: Path, frames: int = 6) -> Path:
    """Write a recording of two objects that touch, with its labels; one frame is dark and has none."""
    rows, columns = np.mgrid[:GRID_PX, :GRID_PX]
    mask = np.hypot(rows - 15.5, columns - 15.5) < 15
    shapes = {"speckle": ((FRAME_PX, FRAME_PX), "uint8"), "phase": ((GRID_PX, GRID_PX), "float32")}
    arrays = [ArraySpec(name, *known) for name, known in shapes.items()] + [ArraySpec("labels", (GRID_PX, GRID_PX), "uint16")]
    with ArchiveWriter.create(root, ArchiveSpec(kind=ArchiveKind.RECORDING, name="blobs", arrays=arrays), frames) as writer:
        for number in range(frames):
            noise = np.random.default_rng(number).normal(0, 0.02, mask.shape)
            near = (np.hypot(rows - 12, columns - column) < 5 for column in (8 + number, 20))
            phase = np.where(mask, noise + 2 * np.logical_or(*near), 0).astype(np.float32)
            is_dark = number == 2
            labels = np.zeros(mask.shape, np.uint16) if is_dark else segment(phase, mask)
            images = {"speckle": np.full((FRAME_PX, FRAME_PX), 9, np.uint8), "phase": phase, "labels": labels}
            extra = {ROW_MARKS: "dark,frozen"} if is_dark else {}
            writer.append(images, PairRow(frame_index=number, t_ns=number, exposure_s=0.002, model_id="gone", extra=extra))
        writer.complete()
        return writer.path


def content(path: Path) -> dict[str, bytes]:
    """Return the bytes of everything that was recorded."""
    return {
        str(f): f.read_bytes() for f in path.rglob("*") if f.is_file() and RESULTS not in f.parts and f.name != "writer.lock"
    }


@pytest.mark.parametrize(
    ("kind", "engine"),
    [
        ("small", "torch"),
        ("flow", "torch"),
        *(
            pytest.param(kind, engine, marks=pytest.mark.slow)
            for kind in ("small", "flow")
            for engine in ("onnxruntime", "openvino fp32")
        ),
    ],
)
def test_the_same_model_and_engine_give_exactly_the_recorded_phase(
    tmp_path: Path, models: Path, kind: str, engine: str
) -> None:
    model = loaded(models / kind)
    path = recorded(
        tmp_path, model, ReferenceState(speckle=speckle(1)), ReferenceState(speckle=speckle(2)), live=Live(engine=engine)
    )
    before = content(path)
    result = reconstruct_again(path, RecordingOptions(as_recorded=True, models=(models / "small", models / "flow")))
    assert result is not None
    assert content(path) == before
    archive = Archive.open(path)
    assert result.rows == tuple(range(FRAMES))
    for layer in archive.arrays[1:]:
        for row in set(range(FRAMES)) - SKIPPED:
            np.testing.assert_array_equal(result.read(layer, row), archive.read(layer, row))
    facts = result.card.facts
    assert (facts["frames_compared"], facts["frames_equal"], facts["largest_difference_rad"]) == (4, 4, 0.0)
    assert (result.card.method, result.card.method_id) == (model.card.name, model.id)
    assert result.card.engine == archive.row(0).engine
    assert all(np.isfinite(result.read("phase", row)).all() for row in SKIPPED)


def test_skipped_frames_get_the_phase_that_the_live_view_would_have_computed(tmp_path: Path, models: Path) -> None:
    model = loaded(models / "small")
    states = ReferenceState(speckle=speckle(1)), ReferenceState(speckle=speckle(2))
    path = recorded(tmp_path, model, *states)
    steps: list[tuple[int, int]] = []
    options = RecordingOptions(as_recorded=True, models=(models / "small",))
    result = reconstruct_skipped(path, options, lambda done, total: steps.append((done, total)))
    assert result is not None
    assert (result.card.kind, result.rows, steps) == (ResultKind.SKIPPED_FRAMES, (1, 4), [(0, 2), (1, 2), (2, 2)])
    method = ModelMethod(model, TorchEngine(model))
    for row, state in zip((1, 4), states, strict=True):
        assert state.speckle is not None
        expected = np.where(method.mask, method.run(Archive.open(path).read("speckle", row), state.speckle), np.float32(0))
        np.testing.assert_array_equal(result.read("phase", row), expected)
        np.testing.assert_array_equal(result.read("labels", row), segment(expected, method.mask))
    assert 0 not in result
    with pytest.raises(StorageError, match="has no phase of row 0"):
        result.read("phase", 0)


@pytest.mark.parametrize("is_known", [True, False])
def test_labels_are_made_again_by_the_segmenter_of_the_recording(
    tmp_path: Path, models: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, *, is_known: bool
) -> None:
    model = loaded(models / "small")
    segmenter = ThresholdWatershed(ThresholdSettings(threshold_rad=0.2, min_area_px=30))
    settings = dict(segmenter.settings()) | ({} if is_known else {"segmenter": "theirs"})
    path = recorded(tmp_path, model, ReferenceState(speckle=speckle(1)), segmentation=settings)
    rows, columns = np.mgrid[:GRID_PX, :GRID_PX]
    phase = (0.3 * (np.hypot(rows - 15, columns - 15) < 2.5)).astype(np.float32)  # larger than the default's smallest cell
    monkeypatch.setattr(recording_results, "_estimate", lambda method, pixels, reference: (phase, None))
    result = reconstruct_again(path, RecordingOptions(as_recorded=True, models=(models / "small",)))
    assert result is not None
    expected = segmenter if is_known else ThresholdWatershed()
    labels = expected.segment(phase, ModelMethod(model, TorchEngine(model)).mask).labels
    np.testing.assert_array_equal(result.read("labels", 0), labels)
    assert result.card.facts["segmentation"] == [expected.settings()]
    assert bool(labels.max()) is not is_known
    assert ("by the default segmenter, and not as recorded: no segmenter is named 'theirs'" in caplog.text) is not is_known


def test_a_frame_that_waited_while_a_new_reference_came_is_the_recorded_one_too(tmp_path: Path, models: Path) -> None:
    states = ReferenceState(speckle=speckle(1)), ReferenceState(speckle=speckle(2))
    path = recorded(tmp_path, loaded(models / "small"), *states, live=Live(early=1))
    result = reconstruct_again(path, RecordingOptions(as_recorded=True, models=(models / "small",)))
    assert result is not None
    assert (result.card.facts["frames_compared"], result.card.facts["frames_equal"]) == (4, 4)


def test_pairs_that_came_while_a_frame_waited_are_used_for_it(tmp_path: Path, models: Path) -> None:
    path = recorded(
        tmp_path, loaded(models / "small"), ReferenceState(speckle=speckle(1)), pairs_state(5), live=Live(pairs_from=2, early=1)
    )
    result = reconstruct_again(path, RecordingOptions(as_recorded=True, models=(models / "small",)))
    assert result is not None
    assert (result.card.facts["frames_compared"], result.card.facts["frames_equal"]) == (4, 4)


def test_frames_that_the_reference_pairs_reconstructed_come_from_the_pairs_again(tmp_path: Path, models: Path) -> None:
    path = recorded(tmp_path, loaded(models / "small"), pairs_state(5), live=Live(pairs_from=3))
    result = reconstruct_again(path, RecordingOptions(as_recorded=True, models=(models / "small",)))
    assert result is not None
    assert (result.card.facts["frames_compared"], result.card.facts["frames_equal"]) == (4, 4)


def test_a_result_knows_its_disc_and_is_segmented_in_the_recorded_one(tmp_path: Path, models: Path) -> None:
    model = loaded(models / "small")
    path = recorded(tmp_path, model, ReferenceState(speckle=speckle(1)))
    result = reconstruct_again(path, RecordingOptions(as_recorded=True, models=(models / "small",)))
    assert result is not None
    assert result.disc is not None
    np.testing.assert_array_equal(result.disc, model.mask)
    nowhere = np.zeros((GRID_PX, GRID_PX), np.bool_)
    nowhere[4:24, 4:24] = True
    with ArchiveWriter.resume(path) as writer:
        writer.add_disc(model.id, nowhere)
    again = segment_again(path)
    assert again is not None
    assert not any(again.read("labels", row)[~nowhere].any() for row in again.rows)


def test_segmented_again_gives_the_recorded_labels_and_other_settings_give_others(tmp_path: Path) -> None:
    path = blobs(tmp_path)
    result = segment_again(path)
    assert result is not None
    archive = Archive.open(path)
    assert (result.layers, result.rows) == (("labels",), tuple(range(6)))
    for row in result.rows:
        np.testing.assert_array_equal(result.read("labels", row), archive.read("labels", row))
    assert result.read("labels", 0).max() == 2
    assert result.read("labels", 2).max() == 0
    other = segment_again(path, SegmentationConfig(min_area_px=10_000))
    assert other is not None
    assert not any(other.read("labels", row).any() for row in other.rows)
    assert other.card.facts["min_area_px"] == 10_000
    results, problems = stored_results(path)
    assert ([known.card.kind for known in results], problems) == ([ResultKind.SEGMENTATION] * 2, [])


def test_frames_without_a_phase_are_not_segmented(tmp_path: Path, models: Path) -> None:
    result = segment_again(recorded(tmp_path, loaded(models / "small"), ReferenceState(speckle=speckle(1))))
    assert result is not None
    assert result.rows == (0, 2, 3, 5)


def test_another_model_lies_beside_the_first_and_the_recording_is_as_it_was(tmp_path: Path, models: Path) -> None:
    path = recorded(tmp_path, loaded(models / "small"), ReferenceState(speckle=speckle(1)))
    before = content(path)
    for _ in range(2):
        result = reconstruct_again(path, RecordingOptions(model=str(models / "flow")))
        assert result is not None
    assert content(path) == before
    assert result.layers == ("phase", "uncertainty", "labels")
    assert (result.card.method, result.card.facts["frames_compared"]) == ("flow", 0)
    assert len(Archive.open(path).results()[0]) == 2
    assert Archive.open(path).verify().ok


def test_refusals_are_sentences_and_leave_nothing(tmp_path: Path, models: Path) -> None:
    model, state = loaded(models / "small"), ReferenceState(speckle=speckle(1))
    path = recorded(tmp_path, model, state)
    with pytest.raises(SpeckleScopeError, match=f"model 'small' .{model.id}. of .* is not on this computer; choose another"):
        reconstruct_again(path, RecordingOptions(as_recorded=True, models=(models / "flow", models / "gone")))
    with pytest.raises(SpeckleScopeError, match="no model at"):
        reconstruct_again(path, RecordingOptions(model=str(models / "gone")))
    other = recorded(tmp_path, model, state, live=Live(fibre="another fibre"))
    with pytest.raises(SpeckleScopeError, match=r"was trained for fibre '.*', the instrument has 'another fibre'"):
        reconstruct_skipped(other, RecordingOptions(model=str(models / "small")))
    bare = recorded(tmp_path, model)
    with pytest.raises(SpeckleScopeError, match="holds no reference"):
        reconstruct_again(bare, RecordingOptions(model=str(models / "small")))
    with pytest.raises(SpeckleScopeError, match="is a dataset, whose phases are patterns"):
        segment_again(dataset(tmp_path))
    for folder in (path, other, bare):
        assert not (folder / RESULTS).exists()


def test_a_recording_that_runs_is_refused(tmp_path: Path) -> None:
    process, path = writing_process(tmp_path)
    try:
        with pytest.raises(StorageError, match="is being recorded; wait for its end"):
            segment_again(path)
    finally:
        end(process)


def test_a_recording_without_skipped_frames_says_so(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "SKIPPED", set())
    path = recorded(tmp_path, loaded(models / "small"), ReferenceState(speckle=speckle(1)))
    with pytest.raises(StorageError, match=r"every frame of .* has a phase"):
        reconstruct_skipped(path, AS_RECORDED)


def test_a_stopped_result_leaves_nothing(tmp_path: Path) -> None:
    path = blobs(tmp_path)
    stop = threading.Event()
    assert segment_again(path, None, lambda done, total: stop.set(), stop) is None
    assert stored_results(path) == ([], [])
    assert [file.name for file in (path / RESULTS).iterdir()] == ["results.lock"]


def test_a_full_disk_ends_with_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    path = blobs(tmp_path)
    with small_disk(6000), pytest.raises(StorageError, match=r"no result was stored in .*: File too large; check"):
        segment_again(path)
    assert [file.name for file in (path / RESULTS).iterdir()] == ["results.lock"]
    assert segment_again(path) is not None


_CHILD = """
import os, signal, sys
from pathlib import Path
from app.datasets.recording_results import segment_again
def killed(done, total):
    if done == 2:
        os.kill(os.getpid(), signal.SIGKILL)
segment_again(Path(sys.argv[1]), None, killed)
"""


def test_kill_9_leaves_nothing_that_looks_like_a_result_and_the_next_one_tidies_up(tmp_path: Path) -> None:
    path = blobs(tmp_path)
    subprocess.run([sys.executable, "-c", _CHILD, str(path)], cwd=Path(__file__).parents[3], check=False)
    assert stored_results(path) == ([], [])
    assert len(list((path / RESULTS).glob(".*.part"))) == 1
    result = segment_again(path)
    assert result is not None
    assert {file.name for file in (path / RESULTS).iterdir()} == {result.path.name, "results.lock"}


@pytest.mark.parametrize("file", ["result.yaml", "rows.npy", "crc32.npy", "labels.npy", "manifest.sha256"])
def test_damage_is_named_and_never_shown(tmp_path: Path, file: str) -> None:
    path = blobs(tmp_path)
    result = segment_again(path)
    assert result is not None
    assert list(result.damage()) == []
    target = result.path / file
    target.write_bytes(target.read_bytes()[:-1] + b"\x00\x01"[target.read_bytes()[-1] == 0 :][:1])
    results, problems = stored_results(path)
    if file == "labels.npy":
        assert "labels.npy differs from what was written (SHA-256); compute it again" in next(results[0].damage())
        with pytest.raises(StorageError, match=r"row 5 of .* differs from what was written"):
            results[0].read("labels", 5)
        assert results[0].read("labels", 0).shape == (GRID_PX, GRID_PX)
    else:
        assert results == []
        assert "cannot be read" in problems[0]
    shutil.rmtree(result.path)
    assert stored_results(path) == ([], [])


def test_a_reference_of_another_size_is_refused(tmp_path: Path, models: Path) -> None:
    path = recorded(tmp_path, loaded(models / "small"))
    with ArchiveWriter.resume(path) as writer:
        writer.add_reference(StoredReference(first_frame=30, arrays={"speckle": np.ones((8, 8), np.float32)}))
    with pytest.raises(StorageError, match=r"needs a reference of \(128, 128\) px, there is one of \(8, 8\)"):
        reconstruct_again(path, RecordingOptions(model=str(models / "small")))
