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


#: Prints the resident megabytes that threads have left behind, one after the other, before and after giving memory back.
_LEFT = """
import threading
import numpy as np
from app.benchmarks.process_usage import resident_mb
from app.malloc_tuning import give_back_freed_memory, keep_freed_memory
{first}
together = threading.Barrier(12)
def work():
    small = [np.ones(20_000) for _ in range(60)]  # 10 MB
    together.wait()
    del small
    together.wait()
before = resident_mb()
for _ in range(3):
    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
kept = resident_mb() - before
give_back_freed_memory()
print(kept, resident_mb() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_kept_memory_is_given_back() -> None:
    command = [sys.executable, "-c", _LEFT.format(first="assert keep_freed_memory()")]
    kept_mb, left_mb = map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    assert 50 < kept_mb < 250, "what twelve threads need at the same time is kept once"
    assert left_mb < kept_mb / 2


#: Prints into how many pools the memory of many threads went.
_POOLS = """
import ctypes, re, tempfile, threading
from app.malloc_tuning import keep_freed_memory
assert keep_freed_memory()
together = threading.Barrier(24)
threads = [threading.Thread(target=together.wait) for _ in range(24)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
libc.fopen.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.fclose.argtypes = [ctypes.c_void_p]
with tempfile.NamedTemporaryFile() as file:
    stream = libc.fopen(file.name.encode(), b"w")
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    print(len(re.findall("<heap nr=", file.read().decode())))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_threads_share_few_pools() -> None:
    command = [sys.executable, "-c", _POOLS]
    assert int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) <= 2


def test_collections_skip_what_was_there_at_the_first_call_only() -> None:
    script = (
        "import gc; from app.malloc_tuning import collect_only_new_objects\n"
        "collect_only_new_objects(); first = gc.get_freeze_count(); later = [[] for _ in range(1000)]\n"
        "collect_only_new_objects(); print(first > 1000, gc.get_freeze_count() <= first)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "True"]
