"""Runs the command ``specklescope``: in a process of its own, or, much cheaper, in this one."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from app.cli.main import main
from tests.conftest import ROOT


def run_process(*arguments: object, cwd: Path, timeout_s: float = 100) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own; its exit status is not checked."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **_environment(cwd)}
    environment.pop("DISPLAY", None)
    command = [sys.executable, "-m", "specklescope", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False)


def run_here(*arguments: object, cwd: Path) -> str:
    """Run the command in this process; it has to succeed. Return what it printed to stdout."""
    status, output, errors = _call(*arguments, cwd=cwd)
    assert not status, errors
    return output


def refused(*arguments: object, cwd: Path, code: int = 1) -> str:
    """Run the command in this process; it has to fail with one line on stderr, which is returned."""
    status, _, errors = _call(*arguments, cwd=cwd)
    assert status == code, errors
    lines = [line for line in errors.strip().splitlines() if not re.search(r": \d+ of \d+", line)]
    assert len(lines) == 1, errors
    assert lines[0].startswith("specklescope: ")
    return lines[0]


def _environment(cwd: Path) -> dict[str, str]:
    folders = {"SPECKLESCOPE_CACHE": str(cwd / "cache"), "SPECKLESCOPE_LOG_FOLDER": str(cwd / "logs")}
    return {**folders, "COLUMNS": "200"}


def _call(*arguments: object, cwd: Path) -> tuple[int | str | None, str, str]:
    """Return exit status, stdout and stderr."""
    output, errors = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
        mock.patch.dict(os.environ, {**_environment(cwd), "DISPLAY": ""}),
        _signals_restored(),
    ):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as ended:
            return ended.code, output.getvalue(), errors.getvalue()
    raise AssertionError(f"the command did not end with an exit status: {errors.getvalue()}")


@contextlib.contextmanager
def _signals_restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
