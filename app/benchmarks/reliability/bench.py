"""Runs the parts of the reliability benchmark, one after the other, and says which promise was broken."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from importlib import import_module

from app.benchmarks.reliability.budget import QUICK_S, Budget, Numbers, Part
from app.progress import Report

#: Numbers that have to be 0.
ZERO_KEYS = (
    "lost",
    "doubled",
    "wrong",
    "half_written",
    "disk_lost",
    "disk_half_written",
    "disk_without_reason",
    "power_cut_lost",
    "faults_invented",
    "bit_flips_silent",
    "truth_violations",
    "false_marks",
    "reached_last_resort",
    "tracebacks",
    "hangs",
    "memory_blowups",
    "hostile_accepted",
    "bad_ends",
    "double_writers_accepted",
    "threads_left",
)
BAD_FRAME_KINDS = ("dark", "saturated", "frozen", "decorrelated", "nan")
#: Pairs of numbers that have to be equal.
EQUAL_KEYS = (
    ("faults_injected", "faults_matched"),
    ("bad_frames_injected", "bad_frames_marked"),
    *((f"bad_frames_injected_{kind}", f"bad_frames_marked_{kind}") for kind in BAD_FRAME_KINDS),
)
#: The most that the memory may grow over 100 sessions, in megabytes.
MOST_GROWTH_MB = 20.0


def bench_reliability(
    report: Report, on_part: Callable[[Numbers], None], parts: Collection[Part] = tuple(Part), *, quick: bool = False
) -> None:
    """Run parts in their order: under two hours for all, under three minutes with ``quick``.

    Parameters
    ----------
    report : Report
        Shows the progress.
    on_part : callable
        Called with the numbers of each part when it has ended.
    parts : collection of Part
        Which parts.
    quick : bool
        Whether each part stops early, with low counts.
    """
    for part in Part:
        if part not in parts:
            continue
        start_s = time.monotonic()
        module = import_module(f".{part}", __package__)
        numbers = module.measure(Budget(quick=quick, quick_s=QUICK_S[part]), report)
        on_part({**numbers, f"{part}_s": round(time.monotonic() - start_s, 1)})


def broken_promises(numbers: Mapping[str, object]) -> list[str]:
    """Return one text for each number that is not what it has to be; numbers of parts that did not run are skipped."""
    broken = [f"{key} is {numbers[key]} instead of 0" for key in ZERO_KEYS if numbers.get(key)]
    broken += [
        f"{second} is {numbers.get(second, 'missing')}, {first} is {numbers[first]}"
        for first, second in EQUAL_KEYS
        if first in numbers and numbers[first] != numbers.get(second)
    ]
    growth_mb = numbers.get("session_growth_mb_per_100")
    if isinstance(growth_mb, float) and growth_mb > MOST_GROWTH_MB:
        broken.append(f"session_growth_mb_per_100 is {growth_mb:.1f}, more than {MOST_GROWTH_MB:.0f}")
    return broken
