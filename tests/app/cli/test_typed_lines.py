"""Lines that are typed while a command works; `record` makes markers of them."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from acquisition.archive.reader import Archive
from acquisition.archive.recording_faults import markers
from app.cli.typed_lines import TypedLines
from app.datasets.verification import verify
from app.instrument.config import save_config
from tests.helpers.command import run_here
from tests.helpers.small_instrument import small_instrument

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals on Windows")


@pytest.fixture
def terminal() -> Iterator[tuple[int, TextIO]]:
    """A terminal: where its keyboard is written to, and the file that a command reads."""
    keyboard, screen = os.openpty()
    with os.fdopen(screen, encoding="utf-8") as file:
        yield keyboard, file
    os.close(keyboard)


def test_only_whole_lines_come_and_nothing_is_waited_for(terminal: tuple[int, TextIO]) -> None:
    keyboard, file = terminal
    typed = TypedLines(file)
    assert typed.open
    assert typed.pop() == ()
    os.write(keyboard, b"acid added\n\nsecond")
    assert typed.pop() == ["acid added"]
    assert typed.pop() == [""]  # a terminal hands over a line at a time
    os.write(keyboard, " für Zelle 2\n".encode())
    assert typed.pop() == ["second für Zelle 2"]


def test_after_the_end_was_typed_nothing_comes(terminal: tuple[int, TextIO]) -> None:
    keyboard, file = terminal
    typed = TypedLines(file)
    os.write(keyboard, b"\x04")
    assert typed.pop() == ()
    assert not typed.open


def test_what_is_no_terminal_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "words"
    file.write_text("not typed\n")
    with file.open() as opened:
        assert TypedLines(opened).pop() == ()
        assert opened.readline() == "not typed\n"
    closed = file.open()
    closed.close()
    assert TypedLines(closed).pop() == ()


def test_a_command_in_the_background_reads_nothing(terminal: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell would stop it."""
    keyboard, file = terminal
    os.write(keyboard, b"for the shell\n")
    monkeypatch.setattr(os, "tcgetpgrp", lambda number: os.getpgrp() + 1)
    assert TypedLines(file).pop() == ()
    monkeypatch.undo()
    assert TypedLines(file).pop() == ["for the shell"]


@pytest.mark.slow
def test_a_line_that_is_typed_while_recording_is_a_marker(
    terminal: tuple[int, TextIO], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyboard, file = terminal
    save_config(small_instrument(tmp_path), tmp_path / "small.yaml")
    monkeypatch.setattr(sys, "stdin", file)

    def operate() -> None:
        deadline_s = time.monotonic() + 60
        while not list(tmp_path.glob("**/*_recording_x_*/journal.sqlite")) and time.monotonic() < deadline_s:
            time.sleep(0.01)
        os.write(keyboard, b"acid added\n\n" + b"x" * 201 + b"\n")

    operator = threading.Thread(target=operate)
    operator.start()
    run_here("record", "x", "--seconds", "1.5", "--config", "small.yaml", "--json", "out.json", cwd=tmp_path)
    operator.join()
    numbers = json.loads((tmp_path / "out.json").read_text())
    folder = Path(numbers["recording"])
    (stored,) = markers(Archive.open(folder))
    assert stored.text == "acid added"
    assert numbers["markers"] == [f"acid added (frame {stored.frame_index})"]
    assert verify(folder).facts["markers"] == [f"acid added ({stored.utc}, frame {stored.frame_index})"]
