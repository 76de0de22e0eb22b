"""A training in a process of its own: its command line, its progress, and how it ended.

The process is the command ``specklescope train``. Its progress is read from its run folder
(:mod:`reconstruction.training.run`) and from its last line of output. A run that was started in a terminal can therefore be
followed in the same way.
"""

from __future__ import annotations

import json
import math
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any, Final

from acquisition.archive.folder import LOCK, LockState, lock_state
from drivers.base import SpeckleScopeError
from drivers.limits import LimitError
from reconstruction.training.checkpoint import CHECKPOINT
from reconstruction.training.run import CURVE, PICTURE, RESOLVED, RUN, checked_run, read_resolved

#: What can be trained, for the operator; :data:`reconstruction.models.registry.KINDS` has the same names.
KIND_DESCRIPTIONS: Final[Mapping[str, str]] = {
    "referenced": "U-Net with a reference frame: fast, for live use",
    "calibrated": "a few steps through the calibrated fibre: most accurate",
    "unet": "U-Net on the speckle alone, as published",
    "resunet": "ResUNet on the speckle alone, as published",
    "specdiffusion": "SpecDiffusion, as published: slow",
    "few-step-diffusion": "samples with the right texture, in few steps: fast, for live use",
    "guided-diffusion": "samples that agree with the light, for a calibrated fibre",
    "zmd": "Zero-Mean Diffusion: phase from the three colours of a microscope",
    "mean-flow": "samples around a mean, from a conditional flow",
}
#: The program that trains: the ``specklescope`` of the same installation.
PROGRAM: Final = (sys.executable, "-P", "-m", "specklescope")
_ERROR = "specklescope: "
_TAIL_BYTES = 4096


class TrainingState(Enum):
    """What a training process is doing.

    ::

        RUNNING --> STOPPING --> STOPPED
           |           |
           +-----------+-------> FINISHED
           |           |
           +-----------+-------> FAILED
    """

    #: It trains.
    RUNNING = auto()
    #: It was asked to stop, and writes a checkpoint.
    STOPPING = auto()
    #: It has ended and has written the trained model.
    FINISHED = auto()
    #: It has ended because it was asked to stop.
    STOPPED = auto()
    #: It has ended with an error; its last line says why.
    FAILED = auto()

    @property
    def is_running(self) -> bool:
        """Whether the process still exists."""
        return self in (TrainingState.RUNNING, TrainingState.STOPPING)


@dataclass(frozen=True, kw_only=True)
class TrainingOrder:
    """What to train.

    Parameters
    ----------
    folder : Path
        Folder of the new model.
    kind : str
        Kind of model; ignored when the training starts from a model.
    minutes : float
        How long to train, in minutes; 0 for a run of a number of steps, which was started in a terminal.
    start : str
        Model to start from: the name of a shipped model, or a folder. Empty for random weights.
    dataset : Path, optional
        Dataset of captured pairs. Without it, ``pairs`` pairs of ``source`` are simulated on the twin.
    source : str
        Pattern source of the simulated pairs.
    pairs : int
        Number of pairs to simulate.
    config : Path, optional
        Instrument file.
    response : Path, optional
        Folder of the calibrated response of the fibre, in place of the configured one.
    """

    folder: Path
    kind: str = "referenced"
    minutes: float = 30.0
    start: str = ""
    dataset: Path | None = None
    source: str = "mixed"
    pairs: int = 6000
    config: Path | None = None
    response: Path | None = None

    def arguments(self) -> list[str]:
        """Return the command line without the name of the program."""
        simulated = ["--source", self.source, "--pairs", str(self.pairs)]
        data = simulated if self.dataset is None else ["--dataset", str(self.dataset)]
        model = ["--from", self.start] if self.start else ["--kind", self.kind]
        config = [] if self.config is None else ["--config", str(self.config)]
        response = [] if self.response is None else ["--response", str(self.response)]
        return ["train", str(self.folder), *model, *data, "--minutes", f"{self.minutes:g}", *config, *response]


def can_resume(folder: Path) -> bool:
    """Return whether ``folder`` holds a run with a checkpoint."""
    return (folder / RUN / CHECKPOINT).is_file()


def resume_arguments(folder: Path) -> list[str]:
    """Return the command line that continues the run in ``folder``: the one that it was started with.

    Raises
    ------
    SpeckleScopeError
        The run does not say how it was started.
    """
    try:
        command = shlex.split(str(read_resolved(folder, "environment")["command"]))
        if command[:2] != ["specklescope", "train"]:
            raise ValueError(f"it was not started with 'specklescope train' but with {shlex.join(command[:2])!r}")
        # The folder may have been moved, and its path may have been relative to another working folder.
        place = next(index for index, part in enumerate(command) if index > 1 and Path(part).name == folder.name)
    except (SpeckleScopeError, KeyError, TypeError, ValueError, StopIteration) as error:
        reason = f" ({error})" if isinstance(error, ValueError) else ""
        path, remedy = folder / RUN / RESOLVED, f"specklescope train {folder} ... --resume"
        raise SpeckleScopeError(f"{path} does not say how the run was started{reason}; resume it with: {remedy}") from error
    command[place] = str(folder)
    return [*command[1:], *([] if "--resume" in command else ["--resume"])]


def order_of(folder: Path) -> TrainingOrder:
    """Return what the run in ``folder`` trains, for people; it was started in a terminal.

    Raises
    ------
    SpeckleScopeError
        There is no run.
    """
    if not can_resume(folder):
        raise SpeckleScopeError(f"{folder} holds no training that can be resumed; choose the folder of its model")
    try:
        configuration = read_resolved(folder, "configuration")
        training, data = configuration["training"], configuration["data"]
        return TrainingOrder(
            folder=folder,
            kind=str(configuration["kind"]),
            minutes=float(training["minutes"] or 0),
            dataset=dataset_of(folder),
            source=str(data.get("source", "")),
            pairs=int(data["pairs"]),
        )
    except (SpeckleScopeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise SpeckleScopeError(f"{folder / RUN / RESOLVED} does not say what is trained; resume it in a terminal") from error


def stop_run(folder: Path) -> bool:
    """Ask the process that trains in ``folder``, whoever started it, to write a checkpoint and end.

    Returns
    -------
    bool
        Whether there is one on this computer that was asked.
    """
    if sys.platform == "win32" or lock_state(folder / RUN) is not LockState.HELD:
        return False
    try:
        holder = json.loads((folder / RUN / LOCK).read_text(encoding="utf-8"))
        if holder["computer"] != platform.node() or int(holder["process"]) == os.getpid():
            return False
        os.kill(int(holder["process"]), signal.SIGTERM)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def dataset_of(folder: Path) -> Path | None:
    """Return the dataset that the model in ``folder`` was trained on; None for simulated pairs, or where it is not known."""
    try:
        command = shlex.split(str(read_resolved(folder, "environment")["command"]))
        return Path(command[command.index("--dataset") + 1])
    except (SpeckleScopeError, KeyError, TypeError, ValueError, IndexError):
        return None


class TrainingProcess:
    """The command that trains, or that compiles, as a child process with a lower priority than the live view.

    Parameters
    ----------
    arguments : sequence of str
        From :meth:`TrainingOrder.arguments`, :func:`resume_arguments` or :class:`app.training.compile_job.CompileJob`.
    program : sequence of str, optional
        The program that is called with them.
    """

    def __init__(self, arguments: Sequence[str], program: Sequence[str] = PROGRAM) -> None:
        handle, name = tempfile.mkstemp(prefix="specklescope-train-", suffix=".log")
        self._log = Path(name)
        low_priority = ["nice", "-n", "10"] if shutil.which("nice") else []
        self._asked_to_stop = False
        with os.fdopen(handle, "wb") as log:
            self._process = subprocess.Popen(
                [*low_priority, *program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                # Ctrl-C in the terminal of the window must reach the window only; it stops the child with a checkpoint.
                start_new_session=True,
                env={**os.environ, "COLUMNS": "200"},
            )

    @property
    def state(self) -> TrainingState:
        """What the process is doing."""
        code = self._process.poll()
        if code is None:
            return TrainingState.STOPPING if self._asked_to_stop else TrainingState.RUNNING
        if code == 0:
            return TrainingState.FINISHED
        return TrainingState.STOPPED if self._asked_to_stop else TrainingState.FAILED

    @property
    def running(self) -> bool:
        """Whether the process still exists."""
        return self.state.is_running

    @property
    def exit_code(self) -> int | None:
        """Exit code of the process; negative for the signal that ended it, None while it runs."""
        return self._process.poll()

    @property
    def log_file(self) -> Path:
        """What the process has printed; deleted by :meth:`close`."""
        return self._log

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end of the process without stopping it; return whether it has ended."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def last_line(self) -> str:
        """Return the last line of output: the progress, or the error that ended the process."""
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
        """Ask the process to write a checkpoint and end; returns at once."""
        if self.running:
            self._asked_to_stop = True
            self._process.send_signal(signal.SIGTERM)

    def close(self, timeout_s: float = 60.0) -> None:
        """Stop the process, wait for it, and kill it when it does not end; it can be resumed from its last checkpoint."""
        self.stop()
        if not self.wait(timeout_s):
            self._process.kill()
            self._process.wait()
        self._log.unlink(missing_ok=True)


@dataclass(kw_only=True)
class Curve:
    """What a run has logged: loss, learning rate and time by step, and scores by validation."""

    steps: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    seconds: float = 0.0
    validated: list[int] = field(default_factory=list)
    ssim: list[float] = field(default_factory=list)
    correlation: list[float] = field(default_factory=list)

    def add(self, line: Mapping[str, Any]) -> None:
        """Add one line of the curve file."""
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
    """Reads the progress of a run from its folder while it trains.

    Parameters
    ----------
    folder : Path
        Folder of the model; it may not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.curve = Curve()
        self._curve_file = folder / RUN / CURVE
        self._picture_file = folder / RUN / PICTURE
        self._bytes_read = 0
        self._inode = 0
        self._picture_ns = 0

    def poll(self) -> bool:
        """Read the lines that were added since the last call; return whether there were any."""
        try:
            checked_run(self._curve_file.parent.parent)
            with self._curve_file.open("rb") as file:
                self._start_again_if_replaced(os.fstat(file.fileno()))
                file.seek(self._bytes_read)
                text = file.read()
        except (OSError, LimitError):
            return False
        complete_lines = text[: text.rfind(b"\n") + 1]
        self._bytes_read += len(complete_lines)
        for line in complete_lines.splitlines():
            try:
                self.curve.add(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
                continue  # a damaged line only loses one point of a curve
        return bool(complete_lines)

    def _start_again_if_replaced(self, file: os.stat_result) -> None:
        """Forget the curve when a resumed run has replaced or shortened the file."""
        if file.st_ino != self._inode or file.st_size < self._bytes_read:
            self.curve = Curve()
            self._bytes_read = 0
            self._inode = file.st_ino

    def new_picture(self) -> bytes | None:
        """Return the newest validation picture as PNG, or None when it was already returned."""
        try:
            checked_run(self._picture_file.parent.parent)
            written_ns = self._picture_file.stat().st_mtime_ns
            if written_ns == self._picture_ns:
                return None
            png = self._picture_file.read_bytes()
        except (OSError, LimitError):
            return None
        self._picture_ns = written_ns
        return png
