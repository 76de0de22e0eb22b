"""A part of an archive is exported like a whole one: exactly the chosen frames and layers, as they were recorded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.archive.reader import Archive
from acquisition.archive.recording_faults import markers
from acquisition.archive.results.result_writer import new_result
from acquisition.archive.results.stored_result import ResultCard, ResultKind
from acquisition.exchange.array_files import read_npz
from acquisition.exchange.export import ExportError, export
from acquisition.exchange.formats.excerpt import Excerpt, FrameRange, Part, excerpt_of, frames_between
from tests.helpers.archives.played_recording import RecordingPlan

TIMES_S = (10.0, 10.1, 10.2, 10.3, 11.3, 11.4, 11.5, 11.6)


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    plan = RecordingPlan(times_s=TIMES_S, skipped=(2, 6), unsegmented=(3,), marked={4: "clamped", 7: "released"})
    return plan.record(tmp_path_factory.mktemp("archive"))


ranges = st.tuples(st.integers(0, len(TIMES_S) - 1), st.integers(0, len(TIMES_S) - 1), st.integers(1, 5)).map(
    lambda drawn: FrameRange(first=min(drawn[:2]), last=max(drawn[:2]), every_nth=drawn[2])
)


@settings(max_examples=25, deadline=None)
@given(frames=ranges, layers=st.sets(st.sampled_from(["speckle", "phase", "labels"]), min_size=1))
def test_an_exported_range_equals_the_recorded_frames(recording: Path, tmp_path_factory, frames: FrameRange, layers) -> None:
    archive = Archive.open(recording)
    part = Excerpt(archive, Part(frames=frames, layers=tuple(layers)))
    [file, *_] = export(part, tmp_path_factory.mktemp("out"), ["npz"])
    numbers = list(range(frames.first, (frames.last or 0) + 1, frames.every_nth))
    with np.load(file) as content:
        assert layers == {"speckle", "phase", "labels"} & set(content.files)
        for layer in layers:
            expected = np.stack([archive.read(layer, number) for number in numbers])
            np.testing.assert_array_equal(content[layer], expected)
        rows = [archive.row(number) for number in numbers]
        assert content["t_ns"].tolist() == [row.t_ns for row in rows]
        assert content["frame_index"].tolist() == [row.frame_index for row in rows]
        assert content["host_utc"].tolist() == [row.host_utc for row in rows]


def test_it_says_which_part_it_is_and_how_many_frames_of_it_have_no_phase(recording: Path, tmp_path: Path) -> None:
    part = excerpt_of(recording, Part(frames=FrameRange(first=2, last=5), layers=("speckle", "phase")))
    [file, *_] = export(part, tmp_path, ["hdf5"])
    assert file.is_file()
    [npz, *_] = export(part, tmp_path, ["npz"])
    with np.load(npz) as content:
        metadata = json.loads(str(content["metadata_json"]))
    assert metadata["excerpt"] == {
        "first_frame": 2,
        "last_frame": 5,
        "every_nth_frame": 1,
        "frames_of_archive": 8,
        "layers": ["speckle", "phase"],
    }
    assert metadata["recording"]["frames_not_reconstructed"] == 1
    assert [one["text"] for one in metadata["recording"]["markers"]] == ["clamped"]
    assert read_npz(npz, "").check_sums is not None  # the sums of the part fit its content


def test_the_whole_archive_has_no_word_of_a_part(recording: Path) -> None:
    whole = excerpt_of(recording, Part())
    assert "excerpt" not in whole.metadata
    assert whole.rows() == Archive.open(recording).rows()
    assert len(markers(whole)) == 2


@pytest.mark.parametrize(
    ("start_s", "end_s", "expected"), [(0.0, 0.2, (0, 2)), (0.3, 1.3, (3, 4)), (1.25, None, (4, 7)), (0.1, 0.1, (1, 1))]
)
def test_seconds_after_the_first_frame_choose_frames(recording: Path, start_s, end_s, expected) -> None:
    chosen = frames_between(Archive.open(recording), start_s, end_s)
    assert (chosen.first, chosen.last) == expected


def test_what_is_not_there_is_refused(recording: Path) -> None:
    archive = Archive.open(recording)
    with pytest.raises(ExportError, match=r"no frame from 0.5 s to 0.9 s.*1.6 s long"):
        frames_between(archive, 0.5, 0.9)
    with pytest.raises(ExportError, match="no frames 3 to 8, but frames 0 to 7"):
        Excerpt(archive, Part(frames=FrameRange(first=3, last=8)))
    with pytest.raises(ExportError, match="no layer 'height'; choose from speckle, phase, labels"):
        Excerpt(archive, Part(layers=("height",)))


def test_a_later_result_takes_the_place_of_the_recorded_phase(tmp_path: Path) -> None:
    path = RecordingPlan(times_s=TIMES_S, skipped=(2, 6)).record(tmp_path / "in")
    archive = Archive.open(path)
    shape = archive.spec("phase").shape
    card = ResultCard(
        kind=ResultKind.SKIPPED_FRAMES,
        name="bench-august",
        created_utc="2026-11-30T02:00:00+00:00",
        method_id="feedbeef",
        engine="onnx",
    )
    computed = {number: np.full(shape, number, np.float32) for number in (2, 6)}
    with new_result(path, card, tuple(computed), {"phase": shape, "labels": shape}) as writer:
        for phase in computed.values():
            writer.add({"phase": phase, "labels": np.ones(shape, np.uint16)})
    [result], _ = Archive.open(path).results()
    part = excerpt_of(path, Part(result=result))
    [npz, *_] = export(part, tmp_path / "out", ["npz"])
    with np.load(npz) as content:
        for number in range(len(TIMES_S)):
            expected = computed[number] if number in computed else archive.read("phase", number)
            np.testing.assert_array_equal(content["phase"][number], expected)
        assert content["model_id"][2] == "feedbeef"
        assert content["model_id"][0] == "0123456789ab"
        assert json.loads(str(content["metadata_json"]))["excerpt"]["result"]["name"] == "bench-august"
        assert "not_reconstructed" not in json.loads(str(content["extra_json"][2]))
    assert read_npz(npz, "").check_sums is not None
