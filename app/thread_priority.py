"""Which thread goes first when there are more of them than processor cores."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

#: Enough that the window waits for no thread of the engine, and little enough that other programs hardly slow the engine.
_NICENESS = 5


def leave_the_processor_to_the_window() -> None:
    """Let all other threads of this process go before the calling one and the threads that it starts from now on.

    The engine computes on all cores. A window that had to wait for one showed a phase up to a hundredth of a second later.
    Linux only: elsewhere, a priority belongs to the whole process.
    """
    if sys.platform == "linux":
        with suppress(OSError):  # a container can forbid it; then all threads are equal, as before
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
