"""An idle process with the heartbeat of the window: a pause that both have comes from the computer, not from the window."""

from __future__ import annotations

import json
import sys
import threading
import time

PERIOD_S = 0.01


def main() -> None:
    """Beat until standard input is closed; then print the pauses as JSON: end and length, in seconds of the monotonic clock."""
    ended = threading.Event()
    threading.Thread(target=_set_at_end_of_input, args=(ended,), daemon=True).start()
    pauses: list[tuple[float, float]] = []
    last_s = time.monotonic()
    while not ended.wait(PERIOD_S):
        now_s = time.monotonic()
        if now_s - last_s > 2 * PERIOD_S:
            pauses.append((now_s, now_s - last_s))
        last_s = now_s
    print(json.dumps(pauses))


def _set_at_end_of_input(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


if __name__ == "__main__":
    main()
