"""``kill -9`` of real commands at random moments: what a reader has seen before is there afterwards, once, and readable.

Each command is first run undisturbed, which gives its duration and its result. Then it is killed at moments that are spread
over this duration. After each kill, the same command is repeated or resumed, and has to succeed.
"""

from __future__ import annotations

import random
import signal
import tempfile
from pathlib import Path

from app.benchmarks.reliability.budget import Budget, Numbers
from app.benchmarks.reliability.children import ChildEnd, after, run, started
from app.benchmarks.reliability.tasks import (
    Acquire,
    Compile,
    Export,
    Harm,
    Import,
    Items,
    Record,
    Tally,
    Task,
    Train,
    leftovers,
    task_bench,
)
from app.progress import Report
from drivers.base import SpeckleScopeError

KILLS_OF_EACH = 10
_TIMEOUT_S = 300.0
#: A kill that comes after the end of its command is tried again so much earlier.
_EARLIER = 0.7
#: A quick run kills the first three at least once.
TASKS: tuple[type[Task], ...] = (Acquire, Export, Import, Record, Train, Compile)
_QUICK_TASKS = 3


def measure(budget: Budget, report: Report) -> Numbers:
    """Kill each command and count the harm."""
    names = [task.__name__.lower() for task in TASKS]
    tally, kills = Tally(), dict.fromkeys(names, 0)
    with tempfile.TemporaryDirectory(prefix="specklescope-kills-") as name:
        folder = Path(name)
        bench = task_bench(folder / "bench")
        whole: dict[type[Task], tuple[Task, float] | None] = {
            task: None if budget.quick and task is not Export else run_undisturbed(task(bench, folder / task.__name__), report)
            for task in TASKS
        }
        moments = random.Random(budget.seed)
        total = KILLS_OF_EACH * len(TASKS)
        for number in range(total):
            if budget.quick and number >= _QUICK_TASKS and budget.left_s <= 0:
                break
            task_class, turn = TASKS[number % len(TASKS)], number // len(TASKS)
            report("commands killed", number, total)
            undisturbed = whole[task_class]
            duration_s = undisturbed[1] if undisturbed else task_class.usual_s
            # Spread over the whole run: each kill of a command has its own tenth.
            moment_s = duration_s * (turn + moments.random()) / KILLS_OF_EACH if not budget.quick else duration_s / 2
            task = task_class(bench, folder / f"{task_class.__name__}-{number}")
            kill_and_repeat(task, moment_s, tally, undisturbed[0] if undisturbed else None)
            kills[names[number % len(TASKS)]] += 1
        report("commands killed", total, total)
    return {
        "kills": sum(kills.values()),
        **{f"kills_{name}": count for name, count in kills.items()},
        **{harm.value: tally.counts[harm] for harm in (Harm.LOST, Harm.DOUBLED, Harm.WRONG, Harm.HALF_WRITTEN)},
        "kills_findings": tally.findings,
    }


def run_undisturbed(task: Task, report: Report) -> tuple[Task, float]:
    """Run a command to its end; return it with its duration in seconds.

    Raises
    ------
    SpeckleScopeError
        It failed.
    """
    report(f"{type(task).__name__.lower()} undisturbed", 0, 1)
    end = run(task.folder, task.command(), timeout_s=_TIMEOUT_S)
    if end.code:
        raise SpeckleScopeError(f"'{task.command()[4:]}' failed without any kill: {end.message}")
    report(f"{type(task).__name__.lower()} undisturbed", 1, 1)
    return task, end.seconds


def kill_and_repeat(task: Task, moment_s: float, tally: Tally, undisturbed: Task | None = None) -> None:
    """Kill a command at a moment, compare what is left with what a reader saw before, and repeat the command."""
    what = f"{type(task).__name__.lower()} killed after {moment_s:.2f} s"
    before, end = _kill(task, moment_s)
    if end.code != -signal.SIGKILL:  # it was faster this time
        tally.add(Harm.HALF_WRITTEN, f"{what}: it failed by itself: {end.message}", int(end.code != 0))
        kill_and_repeat(
            type(task)(task.bench, task.folder.with_name(f"{task.folder.name}-again")), moment_s * _EARLIER, tally, undisturbed
        )
        return
    tally.add(Harm.HALF_WRITTEN, f"{what}: processes live on: {end.survivors}", len(end.survivors))
    tally.compare(task, before, what, undisturbed)
    again = run(task.folder, task.command(), timeout_s=_TIMEOUT_S)
    if again.code:
        tally.add(Harm.HALF_WRITTEN, f"{what}: '{' '.join(task.command()[4:])}' failed then: {again.message}")
        return
    tally.compare(task, before, f"{what}, then repeated", undisturbed)
    left = [str(path.relative_to(task.folder)) for path in leftovers(task.folder)]
    tally.add(Harm.HALF_WRITTEN, f"{what}: left over: {', '.join(left)}", len(left))
    task.check(tally)
    if undisturbed is not None:
        expected, result = undisturbed.result(), task.result()
        differing = [str(key) for key in expected.keys() | result.keys() if expected.get(key) != result.get(key)]
        tally.add(Harm.WRONG, f"{what}: other than undisturbed: {', '.join(sorted(differing))}", len(differing))


def _kill(task: Task, moment_s: float) -> tuple[Items, ChildEnd]:
    """Start a command and kill it at a moment; return what a reader saw just before, and its end."""
    with started(task.folder, task.command()) as child:
        child.wait_for(after(moment_s))
        try:
            before = task.items()
        except (SpeckleScopeError, OSError):  # it is being written just now
            before = {}
        child.send(signal.SIGKILL)
        return before, child.ended()
