"""All hostile inputs, one after the other, and how many of them were accepted."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from acquisition.archive.atomic_files import write_inside
from app.benchmarks.reliability.budget import Budget, Numbers
from app.benchmarks.reliability.children import run, specklescope
from app.benchmarks.reliability.hostile.archives import archive_attacks, stored_attacks
from app.benchmarks.reliability.hostile.attack import CANARY, Attack
from app.benchmarks.reliability.hostile.files import array_attacks, image_attacks
from app.benchmarks.reliability.hostile.instruments import instrument_attacks, terminal_attacks
from app.benchmarks.reliability.hostile.judge import Judgement, Verdict
from app.progress import Report

#: Those that a reader gets; the first of each kind come first, so that a quick run sees them.
ATTACKS: Sequence[Attack] = [
    *instrument_attacks(),
    *archive_attacks(),
    *stored_attacks(),
    *image_attacks(),
    *array_attacks(),
    *terminal_attacks(),
]
#: Commands that are run in a working folder full of programs with the names of libraries.
COMMANDS: Sequence[Sequence[str]] = (("--version",), ("certify", "."), ("import", "pairs.h5"), ("hologram", "a.png", "b.npy"))
_MODULES = (
    *("sitecustomize", "usercustomize", "specklescope", "app", "drivers", "acquisition", "json", "logging", "numpy", "torch"),
    *("h5py", "cv2", "av", "tensorstore", "yaml", "pydantic", "rich", "cyclopts", "PyQt6", "slmsuite", "pypylon", "string"),
)


def measure(budget: Budget, report: Report) -> Numbers:
    """Give every hostile input to its reader.

    Returns
    -------
    mapping
        ``hostile_inputs``, ``hostile_accepted``, ``hostile_refused``, and ``hostile_findings`` with what was accepted and why.
    """
    judgements: list[Judgement] = []
    total = len(ATTACKS) + len(COMMANDS)
    server = subprocess.Popen(
        [sys.executable, "-P", "-m", __package__ or ""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdin is not None
        assert server.stdout is not None
        for number in budget.rounds(len(ATTACKS)):
            server.stdin.write(f"{number}\n")
            server.stdin.flush()
            answer = json.loads(server.stdout.readline())
            judgements.append(Judgement(**{**answer, "verdict": Verdict(answer["verdict"])}))
            report("hostile inputs", len(judgements), total)
    finally:
        server.communicate()
    for number in budget.rounds(0 if budget.quick else len(COMMANDS)):
        judgements.append(_in_hostile_folder(COMMANDS[number]))
        report("hostile inputs", len(judgements), total)
    return summary(judgements)


def summary(judgements: Sequence[Judgement]) -> Numbers:
    """Return the numbers of judged inputs."""
    accepted = [judgement for judgement in judgements if judgement.verdict.is_accepted]
    numbers: dict[str, int | float | list[str]] = {
        "hostile_inputs": len(judgements),
        "hostile_accepted": len(accepted),
        "hostile_refused": sum(judgement.verdict is Verdict.REFUSED for judgement in judgements),
        "hostile_slowest_s": max((judgement.seconds for judgement in judgements), default=0.0),
    }
    return {**numbers, "hostile_findings": list(map(str, accepted))}


def _in_hostile_folder(arguments: Sequence[str]) -> Judgement:
    """Run a command in a folder full of programs."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as name:
        folder = Path(name)
        for module in _MODULES:
            code = f"open({str(folder / CANARY)!r}, 'a').write(__name__)\n"
            write_inside(folder / f"{module}.py", code.encode())
        write_inside(folder / "pairs.h5", b"\x89HDF\r\n\x1a\n" + bytes(1000))
        end = run(folder, specklescope(*arguments))
        verdict = Verdict.RAN if (folder / CANARY).exists() else Verdict.INERT
        if "Traceback" in end.errors:
            verdict = Verdict.UNFORESEEN
        return Judgement(
            name=f"folder: {' '.join(arguments)}", verdict=verdict, text=end.message, seconds=round(end.seconds, 2)
        )
