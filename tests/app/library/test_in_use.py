"""Who reads an entry for long keeps it in its place; who moves it is alone. Locks end with their process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from acquisition.archive.rows import StorageError
from app.library.in_use import kept_in_place, sole_user
from app.library.trash import move_to_trash
from app.live.recordings.export_job import export_recording
from app.status import Message
from tests.conftest import ROOT
from tests.helpers.archives.library_archive import recording

_READER = """
import sys
from pathlib import Path
from app.library.in_use import kept_in_place
with kept_in_place(Path(sys.argv[1])):
    print("reading", flush=True)
    sys.stdin.read()
"""


def test_a_reader_in_another_process_keeps_the_entry_in_its_place_until_it_is_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command, pipe = [sys.executable, "-c", _READER, str(tmp_path)], subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        with pytest.raises(StorageError, match="is in use, for instance by an export; wait for its end"), sole_user(tmp_path):
            pass
        with kept_in_place(tmp_path):
            pass
        reader.kill()
    with sole_user(tmp_path), pytest.raises(StorageError, match="is being moved or renamed"), kept_in_place(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_recording_that_is_exported_stays_where_it_is(tmp_path: Path) -> None:
    path = recording(tmp_path)
    messages: list[Message] = []
    refusals: list[str] = []

    def moved(done: int, total: int) -> None:
        try:
            move_to_trash(tmp_path, path)
        except StorageError as error:
            refusals.append(str(error))

    export_recording(path, messages.append, lambda done, total: moved(done, total) if done < total else None, threading.Event())
    assert len(refusals) > 2  # at each image
    assert all("is in use, for instance by an export" in text for text in refusals)
    assert [message.text.partition(" to ")[0] for message in messages] == ["exported 3 files"]
    move_to_trash(tmp_path, path)
    assert not path.exists()
