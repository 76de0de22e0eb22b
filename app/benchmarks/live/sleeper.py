"""A laptop that sleeps: stops a process, and lets it go on after a while."""

from __future__ import annotations

import os
import signal
import sys
import time


def main() -> None:
    """At the end of input, stop the process with the number in the first argument for the seconds in the second."""
    process, seconds = int(sys.argv[1]), float(sys.argv[2])
    sys.stdin.read()
    os.kill(process, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(process, signal.SIGCONT)


if __name__ == "__main__":
    main()
