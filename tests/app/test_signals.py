"""The handling of SIGINT and SIGTERM, with real signals to this process."""

from __future__ import annotations

import contextlib
import importlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app import signals
from app.signals import SIGNALS, InterruptionError, hold, interruptible, kept_on_interruption, stop_on_signal
from drivers.base import SpeckleScopeError
from tests.helpers.small_instrument import until


@pytest.fixture(autouse=True)
def handlers_restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts programs in the background with SIGINT ignored
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_interrupts_a_command_and_is_no_exception(number: signal.Signals, code: int) -> None:
    steps = []

    def work() -> None:
        try:
            with kept_on_interruption(lambda: "3 pairs"):
                signal.raise_signal(number)
        except Exception:  # as a library would
            steps.append("taken for a fault")
        finally:
            signal.raise_signal(number)  # a repeated key press does not disturb the cleaning up
            steps.append("closed")

    with pytest.raises(InterruptionError, match=r"^interrupted; 3 pairs$") as raised, interruptible():
        work()
    assert steps == ["closed"]
    assert raised.value.exit_code == code
    signal.raise_signal(number)  # the process is about to end, so nothing hears it


@pytest.mark.parametrize("number", SIGNALS)
def test_work_that_stops_by_itself_is_only_asked_to(number: signal.Signals) -> None:
    with interruptible():
        with stop_on_signal() as stop:
            assert not stop.wait(0.0)
            stop.check("nothing came")
            signal.raise_signal(number)
            assert stop.is_set()
            assert stop.wait(1000.0)
            other = next(signal_ for signal_ in SIGNALS if signal_ is not number)
            signal.raise_signal(other)  # the first one counts
        with pytest.raises(InterruptionError, match="12 pairs") as raised:
            stop.check("12 pairs")
        assert raised.value.number is number
        with pytest.raises(InterruptionError):
            signal.raise_signal(number)


def test_what_the_parent_wants_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruptible():
        signal.raise_signal(signal.SIGINT)
        with stop_on_signal() as stop:
            signal.raise_signal(signal.SIGINT)
            assert not stop.is_set()
            signal.raise_signal(signal.SIGTERM)
            assert stop.number is signal.SIGTERM
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        with pytest.raises(InterruptionError):
            signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_during_the_start_is_heard_when_the_program_is_imported(number: signal.Signals) -> None:
    held = hold()
    signal.raise_signal(number)
    steps: list[str] = []
    with pytest.raises(InterruptionError) as raised, interruptible(held):
        steps.append("started")
    assert raised.value.number is number
    assert not steps


def interrupted(work: Callable[[], object]) -> InterruptionError:
    """Run a command that a signal interrupts; return how."""
    with pytest.raises(InterruptionError) as raised, interruptible():
        work()
    return raised.value


def test_a_later_key_press_does_not_cut_the_cleaning_up_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_REPEATED_WITHIN_S", 0.0)
    steps = []

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            try:
                raise OSError
            except OSError:
                signal.raise_signal(signal.SIGTERM)
            steps.append("closed")

    assert interrupted(work).number is signal.SIGINT
    assert steps == ["closed"]


def test_a_library_that_swallows_the_interruption_is_interrupted_by_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_REPEATED_WITHIN_S", 0.0)

    def work() -> None:
        with contextlib.suppress(BaseException):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("the second signal has to be heard")

    assert interrupted(work).number is signal.SIGTERM


def test_a_signal_in_a_destructor_is_heard_a_little_later() -> None:
    class Closing:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    def work() -> None:
        closing = Closing()
        del closing  # Python ignores what a destructor raises
        until(lambda: False)

    assert interrupted(work).number is signal.SIGTERM


def test_an_import_is_not_cut_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_to_import.py").write_text("import signal\nsignal.raise_signal(signal.SIGTERM)\nDONE = True\n")
    monkeypatch.syspath_prepend(tmp_path)

    def work() -> None:
        assert importlib.import_module("slow_to_import").DONE
        until(lambda: False)

    assert interrupted(work).number is signal.SIGTERM


def test_an_import_that_does_not_end_is_cut_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "endless_import.py").write_text("import signal\nsignal.raise_signal(signal.SIGTERM)\nraise ValueError\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(signals, "_IMPORT_S", 0.0)
    assert interrupted(lambda: importlib.import_module("endless_import")).number is signal.SIGTERM


@pytest.mark.parametrize(("error", "text"), [(ImportError("cut"), "interrupted"), (SpeckleScopeError("x"), "interrupted; x")])
def test_an_interruption_that_became_another_error_is_an_interruption(error: Exception, text: str) -> None:
    def work() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except InterruptionError as interruption:
            raise error from interruption

    assert str(interrupted(work)) == text
