"""The handling of SIGINT and SIGTERM, with real signals to this process."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from app.signals import SIGNALS, InterruptionError, interruptible, kept_on_interruption, stop_on_signal


@pytest.fixture(autouse=True)
def handlers_restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
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
