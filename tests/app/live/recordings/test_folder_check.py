"""A folder that can hold no recording is refused before anything begins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.live.recording import LiveRecording, RecordingSettings
from app.live.recordings.folder_check import check_folder
from app.live.recordings.options import RecordingOptionsError


def test_a_folder_that_is_not_there_yet_is_made(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_file_in_place_of_the_folder_begins_no_recording(tmp_path: Path) -> None:
    file = tmp_path / "archive"
    file.write_text("kept")
    with pytest.raises(RecordingOptionsError, match=r"cannot record into .*archive: File exists; choose another folder"):
        LiveRecording(file, "cells", {}, 4, RecordingSettings(8))
    assert file.read_text() == "kept"
    with pytest.raises(RecordingOptionsError, match="Not a directory"):
        check_folder(file / "below")


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_folder_without_rights_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(RecordingOptionsError, match="you have no right to write there"):
            check_folder(tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_is_refused_with_what_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.live.recordings.folder_check.free_bytes", lambda folder: 5_000_000)
    with pytest.raises(RecordingOptionsError, match=r"its disk is full \(5 MB free\)"):
        check_folder(tmp_path)
