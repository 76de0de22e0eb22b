"""After a crash it is said what is safe, and a repair gives the entry an ending without changing what is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from acquisition.archive.journal.writer import Journal
from acquisition.archive.kinds import ArchiveKind, EventKind, FinishReason
from acquisition.archive.reader import DATA, JOURNAL, Archive
from acquisition.archive.rows import StorageError
from acquisition.archive.writer import ArchiveWriter
from app.library.cut_off import CutOff, cut_off_entries, look, repair
from app.library.entry import EntryEnd
from app.library.folder_reader import read_entry
from tests.helpers.archives.library_archive import append, cut_off, dataset, end, recording, writing_process


def test_what_was_cut_off_is_told_with_what_is_safe(tmp_path: Path) -> None:
    lost = cut_off(tmp_path, frames=4)
    entries = [read_entry(path) for path in (lost, recording(tmp_path), dataset(tmp_path, complete=False))]
    [(entry, known)] = cut_off_entries(entries)
    assert entry.path == lost
    assert known == CutOff(path=lost, kind=ArchiveKind.RECORDING, safe=4)
    assert isinstance(known, CutOff)
    assert known.text == "4 frames are safe; frames of about the last second are lost"


def test_frames_that_the_journal_still_names_are_counted_as_lost(tmp_path: Path) -> None:
    path = cut_off(tmp_path, frames=4)  # the last safe frame has the number 13
    with Journal.open(path / JOURNAL) as journal:
        journal.event(EventKind.FRAME_DARK, "3 times: next to no light (2026-11-30, frames 14-16)")
    assert look(path).lost == 3
    assert look(path).text == "4 frames are safe; at least 3 frames are lost"


def test_the_image_that_was_written_last_is_read_before_it_is_called_safe(tmp_path: Path) -> None:
    path = cut_off(tmp_path, frames=4)
    [file] = (path / DATA / "speckle").glob("c.0.*")
    content = bytearray(file.read_bytes())
    content[3 * 256 + 5] ^= 1  # a pixel of the last of four images
    file.write_bytes(content)
    assert (look(path).safe, look(path).damaged) == (3, 1)
    assert look(path).text.startswith("3 frames are safe, 1 damaged frame is withdrawn by a repair; ")
    assert repair(path).safe == 3
    assert Archive.open(path).verify().ok


def test_a_repair_gives_a_recording_its_ending(tmp_path: Path) -> None:
    path = cut_off(tmp_path, frames=4)
    before = [Archive.open(path).read("speckle", number).tobytes() for number in range(4)]
    assert repair(path) == look(path)
    archive, entry = Archive.open(path), read_entry(path)
    assert [archive.read("speckle", number).tobytes() for number in range(4)] == before
    assert archive.finish_reason is FinishReason.FAILED
    assert (entry.end, entry.ended) == (EntryEnd.FAILED, "cut off at frame 4: the program or the computer stopped")
    assert (entry.frames, entry.frames_without_phase, entry.is_unfinished) == (4, 0, False)
    assert archive.verify().ok


def test_a_dataset_is_repaired_and_can_still_be_resumed(tmp_path: Path) -> None:
    path = cut_off(tmp_path, frames=4, kind=ArchiveKind.DATASET)
    assert repair(path).text == "4 pairs are safe; pairs of about the last second are lost"
    assert read_entry(path).is_unfinished
    with ArchiveWriter.resume(path) as writer:
        append(writer, 4)
        writer.complete()
    assert (read_entry(path).end, read_entry(path).pairs) == (EntryEnd.COMPLETE, 5)


def test_a_recording_without_a_safe_frame_says_so(tmp_path: Path) -> None:
    path = cut_off(tmp_path, frames=0)
    assert look(path).text == "no frame is safe; frames of about the last second are lost"
    assert repair(path).safe == 0
    assert read_entry(path).end is EntryEnd.FAILED


def test_what_is_being_written_is_not_repaired(tmp_path: Path) -> None:
    process, path = writing_process(tmp_path)
    try:
        with pytest.raises(StorageError, match="is being written by process"):
            repair(path)
        assert cut_off_entries([read_entry(path)]) == ()
    finally:
        end(process)


def test_an_entry_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    path = cut_off(tmp_path)
    entry = read_entry(path)
    (path / "metadata.yaml").unlink()
    [(_, problem)] = cut_off_entries([entry])
    assert "is not an archive: metadata.yaml is missing" in str(problem)


def test_an_entry_that_ended_by_itself_keeps_its_ending(tmp_path: Path) -> None:
    path = recording(tmp_path)
    with pytest.raises(StorageError, match="was not cut off"):
        repair(path)
    assert read_entry(path).ended == "complete"
