"""While garbage collection is paused nothing is collected, and afterwards it is as it was."""

from __future__ import annotations

import gc
import threading

import pytest

from acquisition.streams.collection_pause import collection_paused


def test_collection_goes_on_when_the_last_of_two_threads_has_ended() -> None:
    inside, leave = threading.Event(), threading.Event()

    def work() -> None:
        with collection_paused():
            inside.set()
            leave.wait()

    other = threading.Thread(target=work)
    with collection_paused():
        other.start()
        inside.wait()
        assert not gc.isenabled()
    assert not gc.isenabled()
    leave.set()
    other.join()
    assert gc.isenabled()


def test_collection_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with pytest.raises(ValueError, match="inside"), collection_paused():
            raise ValueError("inside")
        assert not gc.isenabled()
    finally:
        gc.enable()
