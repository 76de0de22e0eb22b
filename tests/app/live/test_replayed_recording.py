"""A replayed recording brings its own phase, labels, pixel size, fibre and reference; nothing is measured that it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.recorder import ROW_NOT_SEGMENTED
from acquisition.archive.references import StoredReference
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from acquisition.patterns.sources import BLANK
from app.instrument.config import InstrumentConfig, checked
from app.instrument.opening import open_rig
from app.instrument.replayed import Replayed
from app.live.capture import CaptureSettings, LiveCapture
from app.live.segmentation import segmented
from app.live.session import Session
from app.status import LiveView, Message
from calibration.reference_state import ReferenceState
from drivers.base import Frame
from tests.helpers.small_instrument import small_model, until

FRAMES, PERIOD_MS = 4, 10
ONE_REFERENCE: Mapping[int, float] = {0: 900.0}
METADATA = {"fibre": "probe 7", "pixel_um": 0.34, "phase_range_rad": 5.5, "bit_depth": 12, "model": "of the clinic"}


def images() -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(3)
    labels = np.zeros((FRAMES, 16, 16), np.uint16)
    labels[:, 2:5, 2:5] = np.arange(1, FRAMES + 1)[:, None, None]
    return {
        "speckle": rng.integers(100, 4000, (FRAMES, 32, 32), np.uint16),
        "phase": rng.random((FRAMES, 16, 16), np.float32),
        "labels": labels,
    }


def disc() -> np.ndarray[Any, Any]:
    return np.hypot(*np.mgrid[-7.5:8, -7.5:8]) < 7


def recording(
    root: Path,
    kind: ArchiveKind = ArchiveKind.RECORDING,
    references: Mapping[int, float] = {0: 900.0},
    metadata: Mapping[str, object] = METADATA,
    period_ms: int = PERIOD_MS,
) -> Path:
    """Write an archive of four frames; the second has neither phase nor labels."""
    content = images()
    specs = [ArraySpec(name, array.shape[1:], array.dtype.name) for name, array in content.items()]
    spec = ArchiveSpec(kind=kind, name="old", arrays=specs, metadata=metadata)
    with ArchiveWriter.create(root, spec, FRAMES) as writer:
        for first_frame, counts in references.items():
            speckle = np.full((32, 32), counts, np.float32)
            writer.add_reference(StoredReference(first_frame=50 + first_frame, arrays={"speckle": speckle}))
        writer.add_disc("abc", disc())
        for number in range(FRAMES):
            extra = {"not_reconstructed": 1, "not_segmented": 1} if number == 1 else {}
            row = PairRow(
                frame_index=50 + number,
                t_ns=number * period_ms * 10**6,
                exposure_s=0.002,
                pattern_name=BLANK if number == 2 else "",
                model_id="" if number == 1 else "abc",
                extra=extra,
            )
            writer.append({name: array[number] for name, array in content.items()}, row)
        writer.complete()
        return writer.path


def replaying(path: Path, root: Path, **settings: object) -> InstrumentConfig:
    if not (root / "other").exists():
        small_model(root / "other")  # of another fibre
    replay = {"camera": "replay", "slm": "none", "replay": {"path": str(path)}, "archive": str(root / "new")}
    return checked({**replay, "model": str(root / "other"), "live": {"reference_shots": 2}, **settings}, "test")


def all_views(session: Session) -> dict[int, LiveView]:
    """Return a view of every recorded frame."""
    views: dict[int, LiveView] = {}
    session.watch(lambda view: views.update({view.frame.recorded_index or 0: view}))
    until(lambda: session.poll_view() is None and len(views) == FRAMES)
    return views


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with Session.open(replaying(recording(tmp_path / "old"), tmp_path)) as session:
        session.start_live()
        yield session


def test_the_recorded_phase_and_labels_are_shown_when_no_model_fits(session: Session) -> None:
    content = images()
    for number, view in all_views(session).items():
        if number == 1:
            assert view.reconstruction is None
            continue
        assert view.reconstruction is not None
        assert np.array_equal(view.reconstruction.phase_rad, content["phase"][number])
        assert np.array_equal(segmented(view).labels, content["labels"][number])
        assert view.reconstruction.model_id == "abc"
        assert view.reconstruction.mask is not None
        assert np.array_equal(view.reconstruction.mask, disc())
    assert session.live_status().model_name == "recorded phase (of the clinic)"
    texts = [message.text for message in session.pop_messages()]
    assert any(text.endswith("until then, the recorded phase is shown") for text in texts)


def test_pixel_size_range_and_bit_depth_are_those_of_the_recording(session: Session) -> None:
    assert session.field_um == pytest.approx(32 * 0.34)
    assert session.display_range_rad == (0.0, 5.5)
    assert session.frame_full_scale == 4095


def test_a_replay_that_is_recorded_again_keeps_everything(session: Session) -> None:
    content = images()
    all_views(session)
    session.start_recording("again")
    until(lambda: session.recording_status().frames_recorded >= 2 * FRAMES)
    session.stop_recording()
    until(lambda: not session.recording_status().active)
    path = session.recording_status().path
    assert path is not None
    again = Archive.open(path)
    assert {key: again.metadata[key] for key in ("fibre", "pixel_um", "phase_range_rad", "bit_depth")} == {
        key: METADATA[key] for key in ("fibre", "pixel_um", "phase_range_rad", "bit_depth")
    }
    assert np.array_equal(again.discs()["abc"], disc())
    speckle = ReferenceState.read(again.references()[0]).speckle
    assert speckle is not None
    assert np.unique(speckle).tolist() == [900.0]
    done = [row.index for row in again.rows() if row.model_id]
    assert done
    for index in done:
        number = next(k for k in range(FRAMES) if np.array_equal(content["speckle"][k], again.read("speckle", index)))
        assert np.array_equal(again.read("phase", index), content["phase"][number])
        if ROW_NOT_SEGMENTED not in again.rows()[index].extra:
            assert np.array_equal(again.read("labels", index), content["labels"][number])


def measured(config: InstrumentConfig) -> tuple[list[float], list[str]]:
    """Play a recording twice through; return the means of the references in turn, and the messages."""
    replayed = Replayed.of(config)
    assert replayed is not None
    messages: list[Message] = []
    settings = CaptureSettings(scene=None, reference_shots=2, phase_range_rad=2.85, stored_reference=replayed.reference)
    rig, _ = open_rig(config)
    capture = LiveCapture(rig, settings, messages.append)
    heard: list[float] = []
    frames: list[Frame] = []
    capture.references.subscribe(lambda reference: heard.append(float(reference.mean())))
    capture.frames.subscribe(frames.append)
    capture.start()
    until(lambda: len(frames) >= 2 * FRAMES)
    capture.request_stop()
    assert capture.stage.join(20)
    rig.close()
    return heard, [*replayed.problems, *(message.text for message in messages)]


def test_a_stored_reference_holds_from_its_own_frame_on(tmp_path: Path) -> None:
    means, texts = measured(replaying(recording(tmp_path / "old", references={0: 900.0, 2: 1200.0}), tmp_path))
    assert means[:4] == [900.0, 1200.0, 900.0, 1200.0]
    assert "the reference is the one that is stored in the recording" in texts


def test_a_recording_without_a_reference_is_measured_as_before(tmp_path: Path) -> None:
    means, texts = measured(replaying(recording(tmp_path / "old", references={}), tmp_path))
    assert means == [pytest.approx(images()["speckle"][:2].mean(), rel=1e-4)]
    assert any("the first 2 frames are the reference" in text for text in texts)


def test_a_damaged_reference_is_named_and_measured_instead(tmp_path: Path) -> None:
    path = recording(tmp_path / "old")
    (path / "references" / "000000" / "speckle.npy").write_bytes(b"")
    means, texts = measured(replaying(path, tmp_path))
    assert means == [pytest.approx(images()["speckle"][:2].mean(), rel=1e-4)]
    assert any("cannot be used" in text and "speckle.npy" in text for text in texts)


def test_the_flat_frames_of_a_dataset_are_its_reference_and_its_patterns_are_no_result(tmp_path: Path) -> None:
    path = recording(tmp_path / "old", ArchiveKind.DATASET, references={})
    means, _ = measured(replaying(path, tmp_path))
    assert means == [pytest.approx(images()["speckle"][2].mean(), rel=1e-4)]
    with Session.open(replaying(path, tmp_path)) as session:
        session.start_live()
        assert all(view.reconstruction is None for view in all_views(session).values())
        assert any(message.text.endswith("only the camera frame is shown") for message in session.pop_messages())


def test_what_the_recording_says_replaces_what_the_instrument_file_says_and_that_is_told(tmp_path: Path) -> None:
    path = recording(tmp_path / "old")
    with Session.open(replaying(path, tmp_path, pixel_um=2.0, fibre="probe 7")) as session:
        assert session.field_um == pytest.approx(32 * 0.34)
        texts = [message.text for message in session.pop_messages()]
    assert "the instrument file states pixel_um 2.0, the recording 0.34: that of the recording is used" in texts
    assert not any("states fibre" in text for text in texts)


def test_a_recording_of_one_frame_an_hour_says_how_it_is_played_faster(tmp_path: Path) -> None:
    path = recording(tmp_path / "old", period_ms=3_600_000)
    with Session.open(replaying(path, tmp_path)) as session:
        texts = [message.text for message in session.pop_messages()]
    assert any("a frame every 3600 s" in text and "replay: {path: ..., period_s: 0.1}" in text for text in texts)
    with Session.open(replaying(path, tmp_path, replay={"path": str(path), "period_s": 0.01})) as session:
        session.start_live()
        assert set(all_views(session)) == set(range(FRAMES))
        assert not any("a frame every" in message.text for message in session.pop_messages())


def test_what_a_recording_does_not_say_stays_as_the_instrument_file_says(tmp_path: Path) -> None:
    path = recording(tmp_path / "old", metadata={"bit_depth": 12})
    with Session.open(replaying(path, tmp_path, pixel_um=2.0)) as session:
        assert session.field_um == pytest.approx(64)
        assert session.frame_full_scale == 4095
