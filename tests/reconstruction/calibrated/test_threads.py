"""Work beside an engine: in threads of one core each, without gradients, with results in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from reconstruction.calibrated.threads import beside_engine, shared


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_results_come_in_order_from_several_threads_of_one_core() -> None:
    met = threading.Barrier(3, timeout=30)

    def work(item: int) -> tuple[int, int, int, bool]:
        if item < 3:  # the first three run at the same time
            met.wait()
        return item, threading.get_ident(), torch.get_num_threads(), torch.is_grad_enabled()

    results = beside_engine(lambda: shared(work, range(7)))
    assert [item for item, *_ in results] == list(range(7))
    assert len({thread for _, thread, *_ in results}) == 3
    assert threading.get_ident() not in {thread for _, thread, *_ in results}
    assert {(cores, gradients) for *_, cores, gradients in results} == {(1, False)}
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_failure_in_any_thread_comes_back(failing: int) -> None:
    def work(item: int) -> int:
        if item == failing:
            raise ValueError("broken")
        return item

    with pytest.raises(ValueError, match="broken"):
        beside_engine(lambda: shared(work, range(3)))
    assert beside_engine(lambda: shared(abs, [-1, -2])) == [1, 2], "the threads go on"


def test_with_one_core_the_caller_computes() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert beside_engine(threading.get_ident) == threading.get_ident()
        assert beside_engine(lambda: shared(lambda _: threading.get_ident(), [1, 2])) == [threading.get_ident()] * 2
    finally:
        torch.set_num_threads(before)
