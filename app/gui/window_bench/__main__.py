"""``python -m app.gui.window_bench SCENARIO[,SCENARIO ...] FOLDER RESULT [--quick]``: scenarios, one after the other.

The benchmark starts it. Each scenario opens windows of its own; what they share is the start of this process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from operator import itemgetter
from pathlib import Path
from typing import Any

from acquisition.archive.atomic_files import write_bytes
from app.benchmarks.live import control
from app.gui.window_bench.amounts import QUICK, WHOLE, Numbers
from app.gui.window_bench.scenarios import SCENARIOS

#: End and length of a pause, in seconds; the end on :func:`time.monotonic`.
Pause = tuple[float, float]

#: The window has to answer within this time, in milliseconds.
_ANSWER_MS = 100.0
#: So many of the longest pauses are listed, with the time since this process began.
_LISTED = 5
OK = "ok"


def main() -> None:
    """Run the scenarios beside an idle process, and write their numbers as JSON."""
    started_s = time.monotonic()
    scenarios, folder, result = sys.argv[1].split(","), Path(sys.argv[2]), Path(sys.argv[3])
    amounts = QUICK if "--quick" in sys.argv else WHOLE
    command = [sys.executable, "-P", "-m", control.__name__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as idle:
        numbers: Numbers = {}
        for scenario in scenarios:
            numbers.update(SCENARIOS[scenario](folder / scenario, amounts))
        shared, _ = idle.communicate("")
    idle_pauses: list[Pause] = json.loads(shared)
    pauses = numbers.pop("pauses", None)
    if pauses is not None:
        own, both = _separated(pauses, idle_pauses)  # type: ignore[arg-type]  # a list of pairs
        numbers["gui_stall_ms_max"] = _longest_ms(own)
        numbers["gui_stall_shared_ms_max"] = _longest_ms(both)
        longest = sorted(own, key=itemgetter(1), reverse=True)[:_LISTED]
        numbers["gui_stalls"] = [
            {"at_s": round(end_s - started_s, 1), "ms": round(1e3 * length_s)} for end_s, length_s in longest
        ]
    cases = numbers.get("robust_cases")
    if isinstance(cases, list):
        numbers["robust_cases"] = verdicts = [_with_verdict(case, idle_pauses) for case in cases]
        numbers["robust_failed"] = sum(case["verdict"] != OK for case in verdicts)
        numbers["robust_answer_ms_max"] = max(case["answer_ms"] for case in verdicts)
    write_bytes(result, json.dumps(numbers).encode(), "check the folder and its free space")


def _with_verdict(case: dict[str, Any], idle_pauses: list[Pause]) -> dict[str, Any]:
    """Return name, times and verdict of a case; the time that this process was stopped is no pause of the window."""
    slept_s = case["slept_s"]
    pauses = [
        (end_s, length_s - slept_s if slept_s and length_s >= slept_s else length_s) for end_s, length_s in case["pauses"]
    ]
    own, both = _separated(pauses, idle_pauses)
    answer_ms = _longest_ms(own)
    failures = [*case["failures"], *([f"it answered after {answer_ms:.0f} ms"] if answer_ms > _ANSWER_MS else [])]
    return {
        "case": case["case"],
        "answer_ms": round(answer_ms, 1),
        "answer_shared_ms": round(_longest_ms(both), 1),
        "told_s": case["told_s"],
        "verdict": "; ".join(failures) or OK,
    }


def _longest_ms(pauses: list[Pause]) -> float:
    return 1e3 * max((length_s for _, length_s in pauses), default=0.0)


def _separated(pauses: list[Pause], idle_pauses: list[Pause]) -> tuple[list[Pause], list[Pause]]:
    """Return the pauses of the window alone, and those during which the idle process paused too."""
    own: list[Pause] = []
    both: list[Pause] = []
    for end_s, length_s in pauses:
        # What the idle process could not do either, at the same time, is the computer's.
        shared_s = sum(
            max(0.0, min(end_s, idle_end_s) - max(end_s - length_s, idle_end_s - idle_length_s))
            for idle_end_s, idle_length_s in idle_pauses
        )
        (both if shared_s > length_s / 2 else own).append((end_s, length_s))
    return own, both


if __name__ == "__main__":
    main()
