"""Threads of an engine go after the window."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from app.thread_priority import leave_the_processor_to_the_window


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, a priority belongs to the whole process")
def test_only_the_calling_thread_and_those_that_it_starts_go_last() -> None:
    niceness: list[int] = []

    def note() -> None:
        niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    def work() -> None:
        leave_the_processor_to_the_window()
        note()
        inner = threading.Thread(target=note)
        inner.start()
        inner.join()

    outer = threading.Thread(target=work)
    outer.start()
    outer.join()
    note()
    engine, started, window = niceness
    assert engine == started > window
