"""Reads thousands of damaged inputs in worker processes, and counts the faults of the readers."""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.benchmarks.reliability.budget import Budget, Numbers
from app.benchmarks.reliability.fuzz.judge import Outcome, Result
from app.benchmarks.reliability.fuzz.more_samples import write_all
from app.benchmarks.reliability.fuzz.readers import READERS
from app.benchmarks.reliability.fuzz.worker import read_damaged
from app.benchmarks.reliability.fuzz.workers import Worker
from app.progress import Report

#: Inputs of a full run, and processes that read them.
_INPUTS, _WORKERS = 5200, 2
#: Findings that are listed.
_LISTED = 100
_KEYS: Mapping[str, tuple[Outcome, ...]] = {
    "fuzz_inputs": tuple(Outcome),
    "fuzz_accepted": (Outcome.ACCEPTED,),
    "fuzz_refused": (Outcome.REFUSED,),
    "reached_last_resort": (Outcome.LAST_RESORT,),
    "tracebacks": (Outcome.TRACEBACK,),
    "hangs": (Outcome.HANG,),
    "memory_blowups": (Outcome.MEMORY,),
}


def measure(budget: Budget, report: Report) -> Numbers:
    """Let every reader read damaged inputs.

    Parameters
    ----------
    budget : Budget
        How many.
    report : Report
        Shows the progress.
    """
    with tempfile.TemporaryDirectory(prefix="specklescope-fuzz-") as name:
        folder = Path(name)
        samples = folder / "samples"
        write_all(samples)
        results = _read_all(budget, samples, folder, report)
    counts = Counter(result.outcome for result in results)
    numbers = {key: sum(counts[outcome] for outcome in outcomes) for key, outcomes in _KEYS.items()}
    findings = sorted(str(result) for result in results if result.outcome.is_fault)
    return {**numbers, "fuzz_readers": len({result.reader for result in results}), "fuzz_findings": findings[:_LISTED]}


def reproduce(reader: str, seed: int) -> Result:
    """Read one input again in this process, under a debugger for instance.

    Parameters
    ----------
    reader : str
        Name of the reader, as a finding states it.
    seed : int
        Its seed.
    """
    with tempfile.TemporaryDirectory(prefix="specklescope-fuzz-") as name:
        samples = Path(name) / "samples"
        write_all(samples)
        return read_damaged(READERS[reader], seed, samples)


def inputs(first_seed: int) -> Iterator[tuple[str, int]]:
    """Yield reader and seed of every input, without end: the readers in turns, those with a small share less often."""
    for number in itertools.count():
        for reader in READERS.values():
            if int((number + 1) * reader.share) > int(number * reader.share):
                yield reader.name, first_seed + number


def _read_all(budget: Budget, samples: Path, folder: Path, report: Report) -> Sequence[Result]:
    waiting = inputs(budget.seed * 1_000_000)
    rounds = budget.rounds(_INPUTS)
    results: list[Result] = []
    lock = threading.Lock()

    def work(number: int) -> None:
        with Worker(samples, folder / f"worker-{number}") as worker:
            while True:
                with lock:
                    if next(rounds, None) is None:
                        return
                    reader, seed = next(waiting)
                result = worker.read(reader, seed)
                with lock:
                    results.append(result)
                    report("reading damaged files", len(results), _INPUTS, reader)

    with ThreadPoolExecutor(_WORKERS) as pool:
        list(pool.map(work, range(_WORKERS)))
    return results
