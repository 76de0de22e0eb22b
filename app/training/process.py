"""A training that runs in a process of its own: what to order, how far it is, and how it ended.

The process is the command ``specklescope train``; all that is known of it comes from its run folder
(:mod:`reconstruction.training.run`) and its last words, so a run that was begun in a terminal can be watched the same way.
"""

from __future__ import annotations

import json
import math
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from drivers.base import SpeckleScopeError
from reconstruction.training.checkpoint import CHECKPOINT
from reconstruction.training.run import CURVE, PICTURE, RESOLVED, RUN, read_resolved

#: What can be trained, in the operator's words; :data:`reconstruction.models.registry.KINDS` has the same names.
KIND_WORDS: Final[Mapping[str, str]] = {
    "referenced": "U-Net beside one reference frame: fast, for live use",
    "calibrated": "A few steps through the calibrated fibre: the most exact",
    "unet": "U-Net on the speckle alone, as published",
    "resunet": "ResUNet on the speckle alone, as published",
    "specdiffusion": "SpecDiffusion as published: slow",
    "mean-flow": "Samples around a mean, by a conditional flow",
}
#: What understands an order: the same installation's ``specklescope``.
PROGRAM: Final = (sys.executable, "-P", "-m", "specklescope")
_ERROR = "specklescope: "
_TAIL_BYTES = 4096


@dataclass(frozen=True)
class TrainingOrder:
    """What to train.

    Parameters
    ----------
    folder : Path
        Where the model goes.
    kind : str
        What it is; not looked at where it starts from a model.
    minutes : float
        How long, in minutes.
    start : str
        Model to start from, a shipped name or a folder; empty for random weights.
    dataset : Path, optional
        Captured pairs; without it ``pairs`` pairs of ``source`` are simulated on the twin.
    source : str
        Pattern source of the simulated pairs.
    pairs : int
        How many to simulate.
    config : Path, optional
        Instrument file.
    """

    folder: Path
    kind: str = "referenced"
    minutes: float = 30.0
    start: str = ""
    dataset: Path | None = None
    source: str = "mixed"
    pairs: int = 6000
    config: Path | None = None

    def words(self) -> list[str]:
        """Return the command without the program's name."""
        data = (
            ["--source", self.source, "--pairs", str(self.pairs)] if self.dataset is None else ["--dataset", str(self.dataset)]
        )
        what = ["--from", self.start] if self.start else ["--kind", self.kind]
        instrument = [] if self.config is None else ["--config", str(self.config)]
        return ["train", str(self.folder), *what, *data, "--minutes", f"{self.minutes:g}", *instrument]


def can_resume(folder: Path) -> bool:
    """Whether a run was begun in ``folder`` and has a checkpoint."""
    return (folder / RUN / CHECKPOINT).is_file()


def resume_words(folder: Path) -> list[str]:
    """Return the command that goes on with the run in ``folder``: the one it was begun with.

    Raises
    ------
    SpeckleScopeError
        The run does not say how it was begun.
    """
    try:
        words = shlex.split(str(read_resolved(folder, "environment")["command"]))
        if words[:2] != ["specklescope", "train"]:
            raise ValueError(f"it was not begun with 'specklescope train' but with {shlex.join(words[:2])!r}")
        # The folder may have moved, and its path may have been relative to another one.
        place = next(index for index, word in enumerate(words) if index > 1 and Path(word).name == folder.name)
    except (SpeckleScopeError, KeyError, TypeError, ValueError, StopIteration) as error:
        why = f" ({error})" if isinstance(error, ValueError) else ""
        path, again = folder / RUN / RESOLVED, f"specklescope train {folder} ... --resume"
        raise SpeckleScopeError(f"{path} does not say how the run was begun{why}; resume it with: {again}") from error
    words[place] = str(folder)
    return [*words[1:], *([] if "--resume" in words else ["--resume"])]


class TrainingProcess:
    """The command, running beside the window, at a lower priority than what is live.

    Parameters
    ----------
    words : sequence of str
        From :meth:`TrainingOrder.words` or :func:`resume_words`.
    program : sequence of str, optional
        What understands them.
    """

    def __init__(self, words: Sequence[str], program: Sequence[str] = PROGRAM) -> None:
        handle, name = tempfile.mkstemp(prefix="specklescope-train-", suffix=".log")
        self._log = Path(name)
        terminate = ["nice", "-n", "10"] if shutil.which("nice") else []
        with os.fdopen(handle, "wb") as log:
            self._process = subprocess.Popen(
                [*terminate, *program, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                # Ctrl-C in the window's terminal is the window's affair; it stops its child in order.
                start_new_session=True,
                env={**os.environ, "COLUMNS": "200"},
            )

    @property
    def running(self) -> bool:
        """Whether it still works."""
        return self._process.poll() is None

    @property
    def succeeded(self) -> bool:
        """Whether it ended with a model."""
        return self._process.poll() == 0

    def last_words(self) -> str:
        """Return its last line: how far it is, or why it ended."""
        try:
            with self._log.open("rb") as log:
                log.seek(max(0, self._log.stat().st_size - _TAIL_BYTES))
                tail = log.read().decode("utf-8", "replace")
        except OSError:
            return ""
        lines = [line.strip() for line in tail.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith(_ERROR)]
        if not self.running and errors:
            return errors[-1].removeprefix(_ERROR)
        return lines[-1] if lines else ""

    def stop(self) -> None:
        """Ask it to write a checkpoint and end; returns at once."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)

    def close(self, timeout_s: float = 60.0) -> None:
        """Stop it and wait; one that does not listen is killed, and can be resumed from its last checkpoint."""
        self.stop()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.unlink(missing_ok=True)


@dataclass
class Curve:
    """What a run has logged: losses by step, scores by validation."""

    steps: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    seconds: float = 0.0
    validated: list[int] = field(default_factory=list)
    ssim: list[float] = field(default_factory=list)
    correlation: list[float] = field(default_factory=list)

    def add(self, line: Mapping[str, Any]) -> None:
        """Take over one line of the file."""
        step = int(line["step"])
        if "validation" in line:
            scores = [line["validation"].get(name) for name in ("ssim", "correlation")]
            ssim, correlation = (math.nan if value is None else float(value) for value in scores)
            self.validated.append(step)
            self.ssim.append(ssim)
            self.correlation.append(correlation)
            return
        loss, rate, seconds = float(line["loss"]), float(line["lr"]), float(line["seconds"])
        self.steps.append(step)
        self.loss.append(loss)
        self.rate.append(rate)
        self.seconds = seconds


class RunWatcher:
    """Reads a run folder while it grows.

    Parameters
    ----------
    folder : Path
        The model's folder; need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.curve = Curve()
        self._curve_file, self._picture_file = folder / RUN / CURVE, folder / RUN / PICTURE
        self._read = 0
        self._file = 0
        self._picture_ns = 0

    def poll(self) -> bool:
        """Read what is new; whether there was anything."""
        try:
            with self._curve_file.open("rb") as file:
                known = os.fstat(file.fileno())
                if known.st_ino != self._file or known.st_size < self._read:  # a resumed run cut it
                    self.curve, self._read, self._file = Curve(), 0, known.st_ino
                file.seek(self._read)
                text = file.read()
        except OSError:
            return False
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            try:
                self.curve.add(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # a damaged line costs one point of a curve
        return bool(whole)

    def new_picture(self) -> bytes | None:
        """Return the last validation picture as PNG, once for every one."""
        try:
            written_ns = self._picture_file.stat().st_mtime_ns
            if written_ns == self._picture_ns:
                return None
            png = self._picture_file.read_bytes()
        except OSError:
            return None
        self._picture_ns = written_ns
        return png
