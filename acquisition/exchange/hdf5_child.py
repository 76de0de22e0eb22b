"""The program of :mod:`acquisition.exchange.child_reader`: it reads the HDF5 files that its standard input names."""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from acquisition.exchange.child_reader import ChildAnswer
from acquisition.exchange.containers.array_file import check_image
from acquisition.exchange.containers.hdf5_file import open_hdf5
from drivers.limits import MAX_READ_STALL_S, MAX_READER_BYTES

#: How often progress is noted, in seconds.
_TICK_S = 0.5


def main() -> None:
    """Answer every line of stdin with one line; end when stdin closes."""
    _limit_memory()
    parent = os.getppid()
    for line in sys.stdin:
        path = json.loads(line)
        # A thread that needs no interpreter ends this process, whatever a library does.
        faulthandler.dump_traceback_later(MAX_READ_STALL_S, exit=True)
        answer = ChildAnswer.READ
        try:
            noted_s = time.monotonic()
            content = open_hdf5(Path(path))
            for name, (shape, _) in content.arrays.items():
                check_image(shape[1:])
                for _ in content.read(name):
                    if time.monotonic() - noted_s > _TICK_S:
                        if os.getppid() != parent:
                            return
                        noted_s = time.monotonic()
                        faulthandler.dump_traceback_later(MAX_READ_STALL_S, exit=True)
        except MemoryError:
            answer = ChildAnswer.MEMORY
        except Exception as error:  # noqa: BLE001 this process reads the file for its death only; the other one explains errors
            answer = ChildAnswer.MEMORY if "alloc" in str(error) else ChildAnswer.READ
        finally:
            faulthandler.cancel_dump_traceback_later()
        print(answer.value, flush=True)


def _limit_memory() -> None:
    """Allow so much memory more than the program has now; other systems than Linux have no such limit."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        most = pages * resource.getpagesize() + MAX_READER_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
