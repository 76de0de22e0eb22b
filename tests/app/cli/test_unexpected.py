"""Errors that nobody foresaw: one line on the terminal, the traceback in a log file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.cli.main import app
from drivers.base import SpeckleScopeError
from tests.helpers.command import refused


class _LibraryError(Exception):
    """An error of a library that no code of ours knows."""


@pytest.fixture
def broken() -> Iterator[Callable[[Exception], None]]:
    """Add a command ``broken`` to the program that reads the file ``frames.dat`` and fails with the given error."""

    def register(error: Exception) -> None:
        def command() -> None:
            _parse(Path("frames.dat"), error)

        app.command(command, name="broken")

    yield register
    del app["broken"]


def _parse(path: Path, error: Exception) -> None:
    raise error


def _log_of(line: str) -> str:
    return Path(re.search(r"the details are in (\S+\.log);", line)[1]).read_text("utf-8")  # type: ignore[index]


@pytest.mark.parametrize("error", [_LibraryError("bad\nmagic"), RecursionError("bad magic"), AssertionError("bad magic")])
def test_a_foreign_error_ends_in_one_line_and_a_log(
    error: Exception, broken: Callable[[Exception], None], tmp_path: Path
) -> None:
    broken(error)
    line = refused("broken", cwd=tmp_path)
    assert f"specklescope: frames.dat: {type(error).__name__}: bad magic; " in line
    log = _log_of(line)
    assert "Traceback (most recent call last)" in log
    assert "in _parse" in log


def test_a_group_with_a_foreign_error_ends_the_same_way(broken: Callable[[Exception], None], tmp_path: Path) -> None:
    inner = ExceptionGroup("pair", [SpeckleScopeError("camera lost; plug it in"), _LibraryError("bad magic")])
    broken(ExceptionGroup("session", [SpeckleScopeError("no frames; start again"), inner]))
    line = refused("broken", cwd=tmp_path)
    assert "_LibraryError: bad magic; " in line
    assert "camera lost; plug it in" in _log_of(line), "the log holds the whole group"


def test_a_group_of_our_errors_needs_no_log(broken: Callable[[Exception], None], tmp_path: Path) -> None:
    inner = ExceptionGroup("pair", [SpeckleScopeError("camera lost; plug it in")])
    broken(ExceptionGroup("session", [SpeckleScopeError("no frames; start again"), inner]))
    assert refused("broken", cwd=tmp_path) == "specklescope: no frames; start again; camera lost; plug it in"
    assert not (tmp_path / "logs").exists()


def test_a_log_folder_that_cannot_be_written_is_named(broken: Callable[[Exception], None], tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file, not a folder")
    broken(_LibraryError("bad magic"))
    line = refused("broken", cwd=tmp_path)
    assert "_LibraryError: bad magic" in line
    assert "set SPECKLESCOPE_LOG_FOLDER" in line


def test_only_the_newest_logs_are_kept(broken: Callable[[Exception], None], tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    for number in range(30):
        (tmp_path / f"logs/error-20200101-0000{number:02}.log").touch()
    broken(_LibraryError("bad magic"))
    newest = Path(re.search(r"\S+\.log", refused("broken", cwd=tmp_path))[0])  # type: ignore[index]
    kept = sorted((tmp_path / "logs").iterdir())
    assert len(kept) == 20
    assert kept[-1] == newest
