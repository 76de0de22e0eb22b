"""What frames were reconstructed against lies in the recording, with the frame from which it holds, and damage is named."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.reader import Archive
from acquisition.archive.recorder import Recorder, RecordItem
from acquisition.archive.references import StoredReference, reference_at, reference_entries
from acquisition.archive.writer import NotOnDiskError, StorageError
from acquisition.streams.channel import Channel, Overflow, Stage
from drivers.base import Frame


def item(index: int) -> RecordItem:
    pixels = np.full((4, 6), index, np.uint8)
    return RecordItem(Frame(pixels, index, index * 10**7, 0.005), np.zeros((2, 2), np.float32), "model", "engine", 0.0)


def reference(seed: int, first_frame: int | None = None) -> StoredReference:
    rng = np.random.default_rng(seed)
    arrays = {"speckle": rng.random((4, 6), np.float32), "pairs_speckle": rng.integers(0, 4096, (2, 4, 6), np.uint16)}
    return StoredReference(first_frame=first_frame, arrays=arrays, values={"seed": seed, "shape": [4, 6]})


def recorder_of(root: Path, channel: Channel[RecordItem]) -> Recorder:
    return Recorder(root, "cells", {}, channel)


def recorded(root: Path, *references: StoredReference, frames: range = range(7, 12)) -> Path:
    channel: Channel[RecordItem] = Channel("recording", 16, Overflow.FAIL)
    for index in frames:
        channel.put(item(index))
    channel.close()
    recorder = recorder_of(root, channel)
    for one in references:
        recorder.put_reference(one)
    recorder.run(threading.Event())
    assert recorder.path is not None
    return recorder.path


def test_each_reference_comes_back_exactly_with_the_frame_from_which_it_holds(tmp_path: Path) -> None:
    archive = Archive.open(recorded(tmp_path, reference(1), reference(2, 10)))
    first, second = archive.references()
    assert (first.first_frame, second.first_frame) == (7, 10)
    for entry, seed in ((first, 1), (second, 2)):
        stored, written = entry.read(), reference(seed)
        assert stored.values == written.values
        assert stored.arrays.keys() == written.arrays.keys()
        for name, array in written.arrays.items():
            assert stored.arrays[name].dtype == array.dtype
            assert np.array_equal(stored.arrays[name], array)
    entries = archive.references()
    assert [reference_at(entries, index) for index in (6, 7, 9, 10, 99)] == [None, first, first, second, second]
    assert archive.verify().ok


def test_before_the_first_frame_the_newest_reference_counts(tmp_path: Path) -> None:
    (entry,) = Archive.open(recorded(tmp_path, reference(1), reference(2))).references()
    assert entry.values["seed"] == 2
    assert np.array_equal(np.load(entry.folder / "speckle.npy"), reference(2).arrays["speckle"])


def test_a_recording_without_a_reference_has_none(tmp_path: Path) -> None:
    path = recorded(tmp_path)
    assert Archive.open(path).references() == ()
    assert not (path / "references").exists()


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def _link_out(file: Path) -> None:
    elsewhere = file.parents[3] / "elsewhere.npy"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)


@pytest.mark.parametrize("harm", [_flip, Path.unlink], ids=["a bit", "the file"])
def test_damage_is_named_and_the_frames_stay_readable(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    path = recorded(tmp_path, reference(1))
    harm(path / "references" / "000000" / "speckle.npy")
    archive = Archive.open(path)
    (entry,) = archive.references()
    with pytest.raises(StorageError, match=r"000000/speckle\.npy .*; restore it from a copy"):
        entry.read()
    assert np.array_equal(entry.array("pairs_speckle"), reference(1).arrays["pairs_speckle"])
    report = archive.verify()
    assert not report.ok
    assert [text for text in report.damage() if "speckle.npy" in text] == report.damage()
    assert archive.read("speckle", 0)[0, 0] == 7


def test_a_link_out_of_the_recording_is_refused(tmp_path: Path) -> None:
    path = recorded(tmp_path, reference(1))
    _link_out(path / "references" / "000000" / "speckle.npy")
    with pytest.raises(StorageError, match="is refused"):
        Archive.open(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry | {"first_frame": "7"},
        lambda entry: entry | {"sha256": {"../speckle": "0"}},
        lambda entry: entry | {"values": []},
        lambda entry: {key: value for key, value in entry.items() if key != "sha256"},
    ],
    ids=["frame", "name", "values", "no sums"],
)
def test_an_entry_that_describes_no_reference_is_refused(
    tmp_path: Path, change: Callable[[dict[str, object]], dict[str, object]]
) -> None:
    entry = {"first_frame": 7, "sha256": {"speckle": "0"}, "values": {}}
    key = "reference 000000"
    assert len(reference_entries(tmp_path, {key: json.dumps(entry)})) == 1
    with pytest.raises(StorageError, match="'reference 000000' of its journal describes no reference"):
        reference_entries(tmp_path, {key: json.dumps(change(entry))})


def test_a_recording_whose_reference_was_deleted_is_not_called_complete(tmp_path: Path) -> None:
    channel: Channel[RecordItem] = Channel("recording", 16, Overflow.FAIL)
    recorder = recorder_of(tmp_path, channel)
    recorder.put_reference(reference(1))
    stage = Stage("recorder", recorder.run)
    stage.start()
    channel.put(item(0))
    while recorder.path is None or not Archive.open(recorder.path).references():
        threading.Event().wait(0.001)
    (recorder.path / "references" / "000000" / "speckle.npy").unlink()
    channel.close()
    assert stage.join(20)
    assert isinstance(stage.error, NotOnDiskError)
    assert recorder.verdict.startswith("not on the disk: ")
    assert "speckle.npy" in recorder.verdict
