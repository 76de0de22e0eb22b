"""Memory that comes and goes is not fetched from the system each time."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Page faults while twenty sets of three fields come and go.
_FAULTS = """
import resource
import numpy as np
from app.malloc_tuning import keep_freed_memory
{first}
def come_and_go():
    fields = [np.ones((3, 576, 576), np.complex64) for _ in range(4)]
    return sum(field.nbytes for field in fields)
come_and_go()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    come_and_go()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_kept_memory_is_used_again() -> None:
    def faults(first: str) -> int:
        words = [sys.executable, "-c", _FAULTS.format(first=first)]
        return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)

    assert faults("assert keep_freed_memory()") < 1000 < faults("")
