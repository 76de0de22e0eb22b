"""Memory that is freed and allocated again is not fetched from the system each time."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Prints the page faults while sets of fields are allocated and freed twenty times.
_FAULTS = """
import resource
import numpy as np
from app.malloc_tuning import keep_freed_memory
{first}
def allocate_and_free():
    fields = [np.ones((3, 576, 576), np.complex64) for _ in range(4)]
    return sum(field.nbytes for field in fields)
allocate_and_free()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    allocate_and_free()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_kept_memory_is_used_again() -> None:
    def faults(first: str) -> int:
        command = [sys.executable, "-c", _FAULTS.format(first=first)]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert faults("assert keep_freed_memory()") < 1000 < faults("")
