"""The process that forks a process for each hostile input: it gets a number by line, and answers with a judgement by line."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from app.benchmarks.reliability.hostile.campaign import ATTACKS
from app.benchmarks.reliability.hostile.judge import judge
from app.benchmarks.reliability.samples import write_samples


def serve() -> None:
    """Judge inputs until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with answers, tempfile.TemporaryDirectory(prefix="hostile-") as name:
        # The first sample of a kind: exports are written of a dataset first.
        samples = {sample.kind: sample for sample in reversed(write_samples(Path(name) / "samples"))}
        for line in sys.stdin:
            attack = ATTACKS[int(line)]
            answers.write(judge(attack, samples[attack.kind], Path(name) / f"input-{int(line)}").line() + "\n")
            answers.flush()


if __name__ == "__main__":
    serve()
