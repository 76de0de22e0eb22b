"""Free memory is read as the system states it."""

from __future__ import annotations

import pytest

from acquisition.streams.free_memory import available_bytes, free_memory_bytes

MEMINFO = "MemTotal:       24000000 kB\nMemFree:         9000000 kB\nMemAvailable:   17000000 kB\n"


def test_what_linux_calls_available_is_free() -> None:
    assert available_bytes(MEMINFO) == 17_000_000 * 1024


def test_an_old_linux_does_not_say() -> None:
    with pytest.raises(ValueError, match="MemAvailable"):
        available_bytes(MEMINFO.replace("Available", "Else"))


def test_this_computer_has_memory_left() -> None:
    assert 2**20 < free_memory_bytes() < 2**50
