"""The benchmark of writers: a second one that is refused is right; one that is accepted or not told who writes is noticed."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

from app.benchmarks.reliability.bench import broken_promises
from app.benchmarks.reliability.budget import Budget
from app.benchmarks.reliability.workbench import build_workbench
from app.benchmarks.reliability.writers import Contest, all_contests, play_contests, second_is_refused

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a process is halted with SIGSTOP")

#: A writer as our commands are: it waits for SIGTERM while it writes.
WRITER = """
import signal, sys
from pathlib import Path
from acquisition.archive.folder import sole_writer
from drivers.base import SpeckleScopeError
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
try:
    with sole_writer(Path("written")):
        signal.pause()
except SpeckleScopeError as error:
    sys.exit(str(error))
"""


def contest(second: str, *, reads: bool = False) -> Contest:
    first, other = ([sys.executable, "-P", "-c", program] for program in (WRITER, second))
    return Contest(name="small", play=partial(second_is_refused, ".written.lock", first, other), reads=reads)


@pytest.mark.slow
def test_each_wrong_contest_is_counted(tmp_path: Path) -> None:
    contests = [
        contest(WRITER),
        contest("print('written twice')"),
        contest(WRITER.replace("str(error)", "'it is in use'")),
        Contest(name="reader", play=lambda folder: [], reads=True),
        Contest(name="slow reader", play=lambda folder: ["it waited"], reads=True),
    ]
    numbers = play_contests(contests, tmp_path, Budget(), lambda *_: None)
    findings = numbers["writers_findings"]
    assert isinstance(findings, list)
    assert [finding.partition(":")[2].partition(":")[0] for finding in findings] == [
        " the second process was accepted",
        " the second process was not told who writes",
        " it waited",
    ]
    assert {key: number for key, number in numbers.items() if key != "writers_findings"} == {
        "double_writers": 3,
        "double_writers_accepted": 2,
        "readers_while_writing": 2,
        "readers_blocked": 1,
    }
    assert broken_promises(numbers) == ["double_writers_accepted is 2 instead of 0"]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_second_writer_is_accepted(tmp_path: Path) -> None:
    numbers = play_contests(all_contests(build_workbench(tmp_path / "bench")), tmp_path, Budget(), lambda *_: None)
    assert numbers["writers_findings"] == []
    assert numbers["double_writers"] == 11
    assert numbers["readers_while_writing"] == 1
