"""The fuzzing part: it is reproducible, it reads every valid sample, and it notices every kind of fault."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest

from app.benchmarks.reliability.budget import Budget
from app.benchmarks.reliability.fuzz import campaign, worker
from app.benchmarks.reliability.fuzz.judge import Outcome, Result
from app.benchmarks.reliability.fuzz.more_samples import write_all
from app.benchmarks.reliability.fuzz.mutations import changed, copy_sample
from app.benchmarks.reliability.fuzz.readers import READERS, Reader
from app.benchmarks.reliability.fuzz.workers import Worker
from drivers.base import SpeckleScopeError

COUNTS = ("fuzz_accepted", "fuzz_refused", "reached_last_resort", "tracebacks", "hangs", "memory_blowups")


def read_by(read: Callable[[Path], object], folder: Path) -> Result:
    """What the worker says about a reader whose sample is one file of text."""
    (folder / "texts").mkdir(exist_ok=True)
    (folder / "texts" / "a.txt").write_text("1\n2\n")
    reader = Reader(name="text", folder="texts", target="a.txt", read=lambda path, random: read(path), files=("*",))
    return worker.read_damaged(reader, 1, folder)


def read_command(folder: Path, seed: int) -> SpeckleScopeError | None:
    """Return the refusal of a command line, or None where it was accepted; every other error is a finding."""
    try:
        READERS["command line"].read(folder, Random(seed))
    except SpeckleScopeError as refusal:
        return refusal
    return None


def raises(error: Exception) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        raise error

    return read


@pytest.mark.parametrize("name", ["a.yaml", "a.json", "a.npy", "a.npz", "a.png", "a.safetensors", "a.flist", "a.bin"])
def test_a_seed_always_makes_the_same_damage_and_most_damage_is_some(name: str) -> None:
    data = b'{"shape": [2, 3], "name": "x"}\n' * 20
    first = [changed(data, name, Random(seed)) for seed in range(40)]
    assert first == [changed(data, name, Random(seed)) for seed in range(40)]
    assert sum(content != data for content in first) > 30


def test_refusals_are_told_from_what_only_the_last_resort_would_catch(tmp_path: Path) -> None:
    assert read_by(Path.read_bytes, tmp_path).outcome is Outcome.ACCEPTED
    assert read_by(raises(SpeckleScopeError("a.txt is damaged")), tmp_path).outcome is Outcome.REFUSED
    assert read_by(raises(FileNotFoundError(2, "no such file", "a.txt")), tmp_path).outcome is Outcome.REFUSED
    nameless = [OSError("it did not work"), ValueError("x"), ExceptionGroup("two", [SpeckleScopeError("a"), KeyError("b")])]
    for error in nameless:
        result = read_by(raises(error), tmp_path)
        assert result.outcome is Outcome.LAST_RESORT
        assert type(error).__name__ in result.text


@pytest.mark.slow  # not in a process that has had more memory for other tests
def test_memory_that_a_reader_takes_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "MOST_GROWTH_BYTES", 50_000_000)
    monkeypatch.setattr(worker, "_limit_address_space", lambda: None)  # it would stay for the tests that follow
    assert read_by(lambda path: np.ones(10_000_000).sum(), tmp_path).outcome is Outcome.MEMORY
    assert read_by(lambda path: np.ones(10_000).sum(), tmp_path).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("program", "outcome"),
    [
        ("import sys; sys.stdin.readline(); input()", Outcome.HANG),
        ("import os; input(); os.abort()", Outcome.TRACEBACK),
        (
            "import sys; input(); print('Traceback (most recent call last):', file=sys.stderr, flush=True);"
            """print('{"outcome": "accepted", "text": "", "seconds": 0}', flush=True)""",
            Outcome.TRACEBACK,
        ),
    ],
)
def test_a_worker_that_hangs_dies_or_prints_a_traceback_is_noticed(program: str, outcome: Outcome, tmp_path: Path) -> None:
    with Worker(tmp_path, tmp_path / "scratch", watchdog_s=0.2) as process:
        process.command = [sys.executable, "-c", program]
        process.first_s = 10.0 if outcome is not Outcome.HANG else 0.5
        assert process.read("text", 1).outcome is outcome


@pytest.mark.slow
def test_every_reader_accepts_its_sample_unless_it_is_damaged(tmp_path: Path) -> None:
    write_all(tmp_path)
    for number, reader in enumerate(READERS.values()):
        if reader.name != "command line":  # its values are absurd even where no file is damaged
            copy = copy_sample(tmp_path / reader.folder, tmp_path / f"copy-{number}")
            reader.read(reader.target_in(copy), Random(3))


@pytest.mark.slow
def test_an_absurd_command_line_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("source: cells\npairs: 3\n")
    outcomes = [read_command(tmp_path, seed) for seed in range(25)]
    refusals = [str(outcome) for outcome in outcomes if outcome is not None]
    assert len(refusals) > 10
    assert all(len(text.splitlines()) == 1 for text in refusals)


@pytest.mark.slow
def test_a_small_run_writes_every_number_and_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "_INPUTS", 90)
    numbers = campaign.measure(Budget(), lambda *_: None)
    assert numbers["fuzz_inputs"] == 90
    assert sum(int(str(numbers[key])) for key in COUNTS) == 90
    assert numbers["fuzz_findings"] == []
    assert all(int(str(numbers[key])) == 0 for key in COUNTS[2:])
    assert numbers["fuzz_accepted"]
    assert numbers["fuzz_refused"]


@pytest.mark.slow
def test_a_finding_can_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Reader(
        name="plan", folder="plan", target="plan.yaml", read=lambda path, random: raises(KeyError(1))(path), files=("*",)
    )
    monkeypatch.setitem(READERS, "plan", broken)  # type: ignore[arg-type]  # a dict, for everybody else read-only
    result = campaign.reproduce("plan", 7)
    assert (result.outcome, result.seed) == (Outcome.LAST_RESORT, 7)
    assert "reader 'plan', seed 7" in str(result)
