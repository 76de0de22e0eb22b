"""The benchmark of signals counts good ends as good, and notices each way to end badly."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.benchmarks.reliability import children
from app.benchmarks.reliability.bench import broken_promises
from app.benchmarks.reliability.budget import Budget
from app.benchmarks.reliability.signals import SIGNALS, Case, Command, Send, Tally, all_cases, commands, interrupt

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the handlers are read from /proc")

#: A program that ends as a command should; the tests break it.
PROGRAM = """
import subprocess, sys, tempfile
from pathlib import Path
from app.signals import InterruptionError, hold, interruptible
held = hold()
import select
try:
    with interruptible(held):
        # begin
        select.select([], [], [], 1.0)
        # middle
        Path("numbers.json").write_text("{}")
except InterruptionError as interruption:
    # end
    print(f"specklescope: {interruption}", file=sys.stderr)
    sys.exit(interruption.exit_code)
"""


def case(program: str, number: signal.Signals = signal.SIGTERM, fraction: float = 0.4, send: Send = Send.ONCE) -> Case:
    command = Command(name="small", program=(sys.executable, "-P", "-c", program))
    return Case(command=command, number=number, fraction=fraction, send=send)


def interrupted(cases: Sequence[Case], folder: Path) -> Tally:
    return interrupt(cases, folder, Budget(), lambda *_: None)


@pytest.mark.slow
def test_good_ends_are_good(tmp_path: Path) -> None:
    cases = [
        case(PROGRAM, signal.SIGINT),
        case(PROGRAM),
        case(PROGRAM, fraction=0.0),
        case(PROGRAM, signal.SIGINT, 0.5, Send.TWICE),
        case(PROGRAM, signal.SIGINT, 0.5, Send.GROUP),
    ]
    tally = interrupted(cases, tmp_path)
    assert not tally.findings
    numbers = tally.numbers()
    assert (numbers["signals"], numbers["bad_ends"]) == (5, 0)
    assert set(numbers) == {
        *("signals", "bad_ends", "signals_before_start", "signals_after_end", "signals_slowest_end_s", "signals_findings")
    }
    assert not broken_promises(numbers)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "code", "finding"),
    [
        ("# end", "print('more', file=sys.stderr)", "not one line 'interrupted'"),
        ("# end", "raise", "Traceback"),
        ("# end", "sys.exit(0)", "exit code 0 without numbers.json"),
        ("# begin", "Path('numbers.json').write_text('{')", "half-written: numbers.json"),
        ("# end", "tempfile.mkdtemp()", "left in TMPDIR"),
        ("# begin", "Path('.x.part').touch()", "left: .x.part"),
        ("# end", "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])", "a child is alive"),
        ("held = hold()", "held = None", "it heard no signal"),
    ],
    ids=["text", "traceback", "success", "half", "temporary", "hidden", "child", "deaf"],
)
def test_a_bad_end_is_noticed(place: str, code: str, finding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_GRACE_S", 0.1)
    broken = PROGRAM.replace(place, code)
    if finding == "it heard no signal":
        broken = broken.replace("interruptible(held)", "__import__('contextlib').nullcontext()")
    if place == "# begin":  # not in the undisturbed run, which has to succeed
        broken = broken.replace("# middle", "Path('.x.part').unlink(missing_ok=True)")
    tally = interrupted([case(broken)], tmp_path)
    assert tally.bad_ends == 1
    assert finding in tally.findings[0]
    assert "bad_ends is 1 instead of 0" in broken_promises(tally.numbers())


@pytest.mark.slow
def test_a_command_that_ends_otherwise_is_a_bad_end(tmp_path: Path) -> None:
    tally = interrupted([case(PROGRAM.replace("# end", "sys.exit(1)"))], tmp_path)
    assert tally.bad_ends == 1
    assert "exit code 1 instead of 143" in tally.findings[0]
    assert "bad_ends is 1 instead of 0" in broken_promises(tally.numbers())


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_command_ends_well(tmp_path: Path) -> None:
    """Each command once in its middle, with one of both signals; the benchmark does all moments."""
    listed = commands(tmp_path / "bench")
    cases = all_cases(listed, 0)
    number = {name: SIGNALS[k % 2] for k, name in enumerate(command.name for command in listed)}
    chosen = [one for one in cases[: 2 * len(listed)] if one.number is number[one.command.name]]
    chosen += [one for one in cases if one.send is not Send.ONCE and one.command.name in ("acquire", "train")]
    tally = interrupted(chosen, tmp_path / "runs")
    assert tally.signals >= len(listed)
    assert not tally.findings
