"""Flipped bits and cut files, in every format: each is reported, or everything that is read is the same as before.

The files are damaged and read in a child process, because damaged bytes can make a library of C crash or hang. One flip is
repeated by its number: ``python -P -m app.benchmarks.reliability.flips SEED NUMBER NUMBER+1``.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from app.benchmarks.reliability.budget import Budget, Numbers
from app.benchmarks.reliability.children import Child, started
from app.benchmarks.reliability.samples import Content, Sample, SampleKind, write_samples
from app.progress import Report
from drivers.base import SpeckleScopeError
from reconstruction.models.model import README

FLIPS = 200
#: Every so often a file is cut instead.
_CUT_EVERY = 10
#: Longest time for the start of the child, and for one flip, in seconds.
_START_S, _HANG_S = 120.0, 20.0
_POLL_S = 0.01
#: Kinds that nobody protects: people write and change these files.
_UNPROTECTED = {SampleKind.REFERENCE_PAIRS, SampleKind.INSTRUMENT, SampleKind.PLAN, SampleKind.PATTERNS}
#: The page of a model, for people; the program never reads it.
_UNPROTECTED_FILES = {README}


class Outcome(StrEnum):
    """What came of one damage."""

    #: A reader reported it.
    REPORTED = "reported"
    #: Everything that the readers return is the same as before.
    HARMLESS = "harmless"
    #: A reader returned something else, or failed with an error that is not ours.
    SILENT = "silent"
    #: The process crashed or hung.
    CRASHED = "crashed"


@dataclass(frozen=True, kw_only=True)
class Flip:
    """One damage and what came of it.

    Parameters
    ----------
    number : int
        With the seed it says which sample, file and bit.
    place : str
        Sample, file and bit, or where the file was cut.
    outcome : Outcome
        What came of it.
    message : str
        The error, or what is different.
    """

    number: int
    place: str
    outcome: Outcome
    message: str = ""


def measure(budget: Budget, report: Report) -> Numbers:
    """Damage one file after the other and count what nobody reports."""
    outcomes: Counter[Outcome] = Counter()
    findings: list[str] = []
    with tempfile.TemporaryDirectory(prefix="specklescope-flips-") as name:
        for flip in _flips(budget, Path(name)):
            outcomes[flip.outcome] += 1
            report("bits flipped", outcomes.total(), FLIPS)
            if flip.outcome in (Outcome.SILENT, Outcome.CRASHED):
                findings.append(f"flip {flip.number} of seed {budget.seed}, {flip.place}: {flip.outcome}, {flip.message}")
    return {
        "bit_flips": outcomes.total(),
        "bit_flips_reported": outcomes[Outcome.REPORTED],
        "bit_flips_harmless": outcomes[Outcome.HARMLESS],
        "bit_flips_silent": outcomes[Outcome.SILENT] + outcomes[Outcome.CRASHED],
        "flips_findings": findings,
    }


def protected_samples(folder: Path) -> list[Sample]:
    """Write the samples of every format that has check sums."""
    return [sample for sample in write_samples(folder) if sample.kind not in _UNPROTECTED]


def flip_one(samples: list[Sample], contents: list[Content], seed: int, number: int, folder: Path) -> Flip:
    """Damage a copy of one sample, read it, and compare it with its content.

    Parameters
    ----------
    samples : list of Sample
        One after the other is chosen.
    contents : list of mapping
        What each returns undamaged.
    seed, number : int
        Choose the file and the bit.
    folder : Path
        For the copy; it must not exist.
    """
    sample, content = samples[number % len(samples)], contents[number % len(samples)]
    copy = sample.copy_to(folder)
    place = f"{sample.title}, {_damage(copy, seed, number)}"
    try:
        is_same = copy.read() == content
    except SpeckleScopeError as error:
        return Flip(number=number, place=place, outcome=Outcome.REPORTED, message=str(error)[:300])
    except Exception as error:  # noqa: BLE001 - any other error is what this benchmark looks for
        return Flip(number=number, place=place, outcome=Outcome.SILENT, message=f"{type(error).__name__}: {error}"[:300])
    if is_same:
        return Flip(number=number, place=place, outcome=Outcome.HARMLESS)
    return Flip(number=number, place=place, outcome=Outcome.SILENT, message="the content that was read is another")


def _damage(sample: Sample, seed: int, number: int) -> str:
    """Flip one bit of one file of the sample, or cut the file; return where."""
    rng = np.random.default_rng([seed, number])
    files = [file for file in sample.files if file.name not in _UNPROTECTED_FILES]
    file = files[int(rng.integers(len(files)))]
    content = bytearray(file.read_bytes())
    name = file.relative_to(sample.folder).as_posix()
    place = int(rng.integers(len(content)))
    bit = int(rng.integers(8))
    if (number // 7) % _CUT_EVERY == _CUT_EVERY - 1:
        file.write_bytes(content[:place])
        return f"{name} cut to {place} of {len(content)} bytes"
    content[place] ^= 1 << bit
    file.write_bytes(content)
    return f"bit {bit} of byte {place} of {len(content)} in {name}"


# ---- the child, and who watches it


def _flips(budget: Budget, folder: Path) -> Iterator[Flip]:
    """Yield the outcomes of all flips; a child that crashes or hangs is followed by another one."""
    rounds = budget.rounds(FLIPS)
    number = next(rounds, FLIPS)
    while number < FLIPS:
        command = [sys.executable, "-P", "-m", __spec__.name, str(budget.seed), str(number), str(FLIPS)]
        with started(folder / str(number), command) as child:
            for flip in _watched(child, number):
                yield flip
                number = next(rounds, FLIPS)
                if number >= FLIPS or flip.outcome is Outcome.CRASHED:
                    break


def _watched(child: Child, first: int) -> Iterator[Flip]:
    """Yield what the child reports; if it ends or hangs instead, this is the outcome of the flip that it was reading."""
    limit_s = _START_S
    for number in range(first, FLIPS):
        deadline_s = time.monotonic() + limit_s
        while len(lines := _complete_lines(child)) <= number - first and child.runs() and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
        if len(lines) <= number - first:
            lines = _complete_lines(child)
        if len(lines) <= number - first:
            message = "the process hung" if child.runs() else f"the process crashed: {child.errors[-300:]!r}"
            yield Flip(number=number, place="unknown", outcome=Outcome.CRASHED, message=message)
            return
        facts = json.loads(lines[number - first])
        yield Flip(**{**facts, "outcome": Outcome(facts["outcome"])})
        limit_s = _HANG_S


def _complete_lines(child: Child) -> list[str]:
    return [text for text in child.output.split("\n")[:-1] if text.startswith("{")]


def _main(seed: int, first: int, end: int) -> None:
    """Flip in this process and print one line of JSON for each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        samples = protected_samples(folder / "samples")
        contents = [sample.read() for sample in samples]
        for number in range(first, end):
            flip = flip_one(samples, contents, seed, number, folder / str(number))
            print(json.dumps(asdict(flip)), flush=True)
            shutil.rmtree(folder / str(number))


if __name__ == "__main__":
    _main(*map(int, sys.argv[1:4]))
