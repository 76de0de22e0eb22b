"""The part of hostile inputs: it has enough of them, and it notices every way in which one can be accepted."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.benchmarks.reliability.budget import Budget
from app.benchmarks.reliability.hostile import judge as judges
from app.benchmarks.reliability.hostile import measure
from app.benchmarks.reliability.hostile.attack import CANARY, Attack
from app.benchmarks.reliability.hostile.campaign import ATTACKS, summary
from app.benchmarks.reliability.hostile.judge import Judgement, Verdict, judge
from app.benchmarks.reliability.samples import Sample, SampleKind
from app.instrument import devices
from app.instrument.config import load_config
from drivers.base import SpeckleScopeError


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    (tmp_path / "instrument").mkdir()
    (tmp_path / "instrument" / "instrument.yaml").write_text("name: sample\n", "utf-8")
    return Sample(
        title="instrument",
        kind=SampleKind.INSTRUMENT,
        folder=tmp_path / "instrument",
        name="instrument.yaml",
        reader=lambda path: load_config(path).model_dump(mode="json"),
    )


def refuses(path: Path) -> None:
    raise SpeckleScopeError(f"{path} is refused")


def runs(path: Path) -> None:
    (path.parents[1] / "outside" / CANARY).touch()
    refuses(path)


def writes_outside(path: Path) -> None:
    (path.parents[1] / "outside" / "anything").touch()
    refuses(path)


def fails(path: Path) -> None:
    raise KeyError("unforeseen")


def hangs(path: Path) -> None:
    time.sleep(60)


def eats(path: Path) -> None:
    assert sum(bytearray(b"1") * 50_000_000)
    refuses(path)


def prints(path: Path) -> None:
    print("\x1b[2J")
    refuses(path)


@pytest.mark.parametrize(
    ("read", "verdict"),
    [
        (refuses, Verdict.REFUSED),
        (load_config, Verdict.READ),
        (runs, Verdict.RAN),
        (writes_outside, Verdict.RAN),
        (fails, Verdict.UNFORESEEN),
        (hangs, Verdict.GREEDY),
        pytest.param(eats, Verdict.GREEDY, marks=pytest.mark.slow),  # not in a process that has had more memory already
        (prints, Verdict.PRINTED),
    ],
)
def test_every_way_to_accept_an_input_is_noticed(
    read: Callable[[Path], object], verdict: Verdict, sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judges, "MOST_BYTES", 20_000_000)
    most_s = 1.0 if read is hangs else 5.0
    attack = Attack(name="x", kind=SampleKind.INSTRUMENT, spoil=lambda _: None, read=read, most_s=most_s)
    judgement = judge(attack, sample, tmp_path / "input")
    assert judgement.verdict is verdict, judgement
    assert judgement.verdict.is_accepted is (verdict is not Verdict.REFUSED)
    assert not (tmp_path / "input").exists()


def test_without_the_check_of_consent_the_program_runs_and_is_noticed(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [attack] = [attack for attack in ATTACKS if attack.name == "instrument: a program as interpreter"]
    assert judge(attack, sample, tmp_path / "input").verdict is Verdict.REFUSED
    monkeypatch.setattr(devices, "check_trust", lambda config: None)
    assert judge(attack, sample, tmp_path / "input").verdict is Verdict.RAN


def test_a_pipe_in_the_place_of_an_instrument_file_is_refused_at_once(sample: Sample, tmp_path: Path) -> None:
    [attack] = [attack for attack in ATTACKS if attack.name == "instrument: a pipe"]
    judgement = judge(attack, sample, tmp_path / "input")
    assert judgement.verdict is Verdict.REFUSED
    assert "is a pipe or a device" in judgement.text


def test_there_are_enough_inputs_and_each_has_its_name() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 90


def test_the_numbers_name_what_was_accepted() -> None:
    good = Judgement(name="good", verdict=Verdict.REFUSED)
    bad = Judgement(name="bad", verdict=Verdict.RAN, text="the canary is there")
    assert summary([good])["hostile_accepted"] == 0
    numbers = summary([good, bad])
    assert (numbers["hostile_inputs"], numbers["hostile_accepted"]) == (2, 1)
    assert numbers["hostile_findings"] == ["ran: bad: the canary is there"]


@pytest.mark.slow
def test_a_quick_run_gives_every_number() -> None:
    numbers = measure(Budget(quick=True, quick_s=0.0), lambda *_: None)
    assert numbers["hostile_inputs"] == 1
    assert numbers["hostile_accepted"] == 0
