"""The process in which inputs are read: it gets a reader and a seed by line, and answers with the outcome by line."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import IO

from app.benchmarks.reliability.fuzz.judge import Outcome, Result, outcome_of
from app.benchmarks.reliability.fuzz.mutations import copy_sample, damage
from app.benchmarks.reliability.fuzz.readers import READERS, Reader
from app.benchmarks.reliability.memory import memory_bytes, reset_peak

#: Growth of the memory that is a fault, in bytes; and the address space beyond what the libraries take, where the system stops.
MOST_GROWTH_BYTES, _ADDRESS_SPACE_BYTES = 2 * 2**30, 8 * 2**30


def serve(samples: Path) -> None:
    """Read inputs until stdin ends.

    Parameters
    ----------
    samples : Path
        Folder of the samples, as :func:`app.benchmarks.reliability.samples.write_samples` wrote them.
    """
    with _private_stdout() as answers:
        warnings.simplefilter("ignore")  # a warning on the terminal is no fault
        for line in sys.stdin:
            request = json.loads(line)
            reader = READERS[request["reader"]]
            result = read_damaged(reader, request["seed"], samples)
            fields = {"outcome": result.outcome, "text": result.text, "seconds": result.seconds}
            answers.write(json.dumps(fields) + "\n")
            answers.flush()


def read_damaged(reader: Reader, seed: int, samples: Path) -> Result:
    """Damage a copy of a reader's sample, and read it.

    Parameters
    ----------
    reader : Reader
        The reader.
    seed : int
        The same seed makes the same damage.
    samples : Path
        Folder of the samples.
    """
    random = Random(f"{reader.name} {seed}")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name) / "sample"
        copy_sample(samples / reader.folder, folder)
        target = reader.target_in(folder)
        damage(folder, random, reader.files)
        start_s = time.monotonic()
        _limit_address_space()
        before = memory_bytes("VmRSS")
        reset_peak()
        outcome, text = _read(lambda: reader.read(target, random))
        growth = memory_bytes("VmHWM") - before
        if growth > MOST_GROWTH_BYTES:
            outcome, text = Outcome.MEMORY, f"{growth / 2**30:.1f} GiB; {text}"
    return Result(reader=reader.name, seed=seed, outcome=outcome, text=text, seconds=time.monotonic() - start_s)


def _read(read: Callable[[], object]) -> tuple[Outcome, str]:
    try:
        read()
    except Exception as error:  # what it means is decided here
        outcome = outcome_of(error)
        place = _place(error) if outcome is Outcome.LAST_RESORT else ""
        return outcome, f"{type(error).__name__}: {' '.join(str(error).split())[:400]}{place}"
    except SystemExit as ended:
        return Outcome.REFUSED if ended.code else Outcome.ACCEPTED, str(ended.code)
    return Outcome.ACCEPTED, ""


def _place(error: BaseException) -> str:
    """Return where the exception came from: the innermost lines of our own code."""
    frames = traceback.extract_tb(error.__traceback__)
    root = Path(__file__).parents[4]
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(root) and ".venv" not in frame.filename]
    lines = [f"{Path(frame.filename).relative_to(root)}:{frame.lineno}" for frame in ours[-3:]]
    return f" [{' > '.join(lines)}]"


@contextmanager
def _private_stdout() -> Iterator[IO[str]]:
    """Yield a stream to the present stdout; what anybody prints from now on goes to stderr."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as stream:
        os.dup2(2, 1)
        yield stream


def _limit_address_space() -> None:
    """Let the address space grow by a bounded size from now on; libraries that were loaded for earlier inputs do not count."""
    used = memory_bytes("VmSize")
    if used:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (used + _ADDRESS_SPACE_BYTES, resource.RLIM_INFINITY))
