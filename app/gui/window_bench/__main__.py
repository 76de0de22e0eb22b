"""``python -m app.gui.window_bench SCENARIO FOLDER RESULT [--quick]``: one scenario in a window; started by the benchmark."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from acquisition.archive.atomic_files import write_bytes
from app.benchmarks.live import control
from app.gui.window_bench.scenarios import QUICK, SCENARIOS, WHOLE


def main() -> None:
    """Run the scenario beside an idle process, and write its numbers as JSON."""
    scenario, folder, result = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    amounts = QUICK if "--quick" in sys.argv else WHOLE
    command = [sys.executable, "-P", "-m", control.__name__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as idle:
        numbers = SCENARIOS[scenario](folder, amounts)
        shared, _ = idle.communicate("")
    pauses = numbers.pop("pauses", None)
    if pauses is not None:
        own, both = _separated(pauses, json.loads(shared))  # type: ignore[arg-type]  # a list of pairs
        numbers["gui_stall_ms_max"] = 1e3 * max(own, default=0.0)
        numbers["gui_stall_shared_ms_max"] = 1e3 * max(both, default=0.0)
    write_bytes(result, json.dumps(numbers).encode(), "check the folder and its free space")


def _separated(pauses: list[tuple[float, float]], idle_pauses: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Return the lengths of the pauses of the window alone, and of those during which the idle process paused too."""
    own: list[float] = []
    both: list[float] = []
    for end_s, length_s in pauses:
        # What the idle process could not do either, at the same time, is the computer's.
        shared_s = sum(
            max(0.0, min(end_s, idle_end_s) - max(end_s - length_s, idle_end_s - idle_length_s))
            for idle_end_s, idle_length_s in idle_pauses
        )
        (both if shared_s > length_s / 2 else own).append(length_s)
    return own, both


if __name__ == "__main__":
    main()
