"""The run folder: configuration, checkpoint, curves and the picture of the last validation.

- ``resolved.yaml``: the complete configuration and the environment.
- ``curve.jsonl``: one JSON object per line.
- ``validation.png``: the last validation.
- ``events.out.tfevents.*``: curves for TensorBoard, one file for every start of the run.
- ``checkpoint.safetensors``: the state from which the run resumes, and why it finished.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import torch
import yaml

from acquisition.archive.atomic_files import image_bytes, make_folder, write_bytes, write_whole
from acquisition.archive.folder import WriterLock
from drivers.limits import check_inside
from drivers.safe_text import dump_yaml, read_yaml
from reconstruction.base import ReconstructionError
from reconstruction.training.checkpoint import CHECKPOINT, damaged, read_checkpoint, read_values, write_checkpoint
from reconstruction.training.config import FinishReason, TrainReport
from reconstruction.training.events import EventFile
from reconstruction.training.validation import Validation

if TYPE_CHECKING:
    from reconstruction.training.resume_state import TrainState

RUN, RESOLVED, CURVE, PICTURE = "run", "resolved.yaml", "curve.jsonl", "validation.png"
_REMEDY = "free disk space, then resume with --resume"


@contextmanager
def _explained() -> Iterator[None]:
    """Raise ReconstructionError instead of OSError, when the disk is full or gone."""
    try:
        yield
    except OSError as error:
        raise ReconstructionError(
            f"cannot write the files of the training run: {error.strerror or error}; {_REMEDY}"
        ) from error


class Run:
    """The record of one training run, in ``<model folder>/run``.

    Parameters
    ----------
    folder : Path
        The model's folder.
    configuration : mapping
        All settings that influence the result, in plain types.
    environment : mapping
        Versions and machine.
    checkpoint : tuple of dict, optional
        Tensors and values from which the run resumes.
    """

    def __init__(
        self,
        folder: Path,
        configuration: Mapping[str, Any],
        environment: Mapping[str, str],
        checkpoint: tuple[dict[str, torch.Tensor], dict[str, Any]] | None = None,
    ) -> None:
        self.folder = folder / RUN
        self.checkpoint = checkpoint
        self._resolved = {"configuration": _plain(configuration), "environment": dict(environment)}
        self._curve: IO[str] | None = None
        self._events: EventFile | None = None

    @classmethod
    def resume(cls, folder: Path, configuration: Mapping[str, Any], environment: Mapping[str, str]) -> Self:
        """Open a run that was started before, at its last checkpoint.

        Raises
        ------
        ReconstructionError
            The checkpoint is missing or damaged, or the configuration differs from that at the start of the run.
        """
        checkpoint = read_checkpoint(checked_run(folder) / CHECKPOINT)
        difference = first_difference(read_resolved(folder, "configuration"), _plain(configuration))
        if difference:
            raise ReconstructionError(
                f"the run in {folder} was started with {difference}; resume with the same value, or start a new run"
            )
        return cls(folder, configuration, environment, checkpoint)

    @_explained()
    def begin(self, state: TrainState) -> None:
        """Open the files. A new run writes its first checkpoint; a resumed run removes curve lines after its checkpoint."""
        make_folder(self.folder)
        path, step = self.folder / CURVE, state.report.steps
        if self.checkpoint is None:
            text = dump_yaml(self._resolved)
            write_whole(self.folder / RESOLVED, text, _REMEDY, ReconstructionError)
            self.save(state)
        lines = [line for line, line_step in _lines(path) if line_step <= step]
        write_whole(path, "".join(lines), _REMEDY, ReconstructionError)
        self._curve = path.open("a", encoding="utf-8")
        self._events = EventFile(self.folder, step)

    @_explained()
    def log_step(self, step: int, loss: float, rate: float, seconds: float) -> None:
        """Add a step to the curves."""
        self._add({"step": step, "loss": loss, "lr": rate, "seconds": round(seconds, 2)})
        if self._events is not None:
            self._events.scalars(step, {"loss": loss, "learning rate": rate})

    @_explained()
    def log_validation(self, step: int, result: Validation) -> None:
        """Add a validation to the curves and replace the picture."""
        scores = asdict(result.scores)
        self._add({"step": step, "validation": {k: v if math.isfinite(v) else None for k, v in scores.items()}})
        png = image_bytes(result.picture)
        write_bytes(self.folder / PICTURE, png, _REMEDY, ReconstructionError)
        if self._events is not None:
            self._events.scalars(step, {f"validation/{name}": value for name, value in scores.items()})
            self._events.picture(step, "validation", png, result.picture.shape)

    @_explained()
    def save(self, state: TrainState) -> None:
        """Write a checkpoint, after syncing the curves up to it to the disk."""
        if self._curve is not None:
            os.fsync(self._curve.fileno())
        if self._events is not None:
            self._events.flush()
        write_checkpoint(self.folder / CHECKPOINT, state.tensors(), state.values())

    @contextmanager
    def open(self) -> Iterator[Self]:
        """Close the files at the end."""
        try:
            yield self
        finally:
            self._close()

    @_explained()
    def _close(self) -> None:
        with ExitStack() as stack:  # each is closed, also when another one fails
            for file in (self._curve, self._events):
                if file is not None:
                    stack.callback(file.close)
            self._curve = self._events = None

    def _add(self, line: Mapping[str, object]) -> None:
        if self._curve is not None:
            self._curve.write(json.dumps(line, allow_nan=False) + "\n")
            self._curve.flush()


@contextmanager
def sole_trainer(folder: Path, *, resume: bool) -> Iterator[None]:
    """Keep other trainings out of a model's folder until the end of this block; its readers need no lock.

    A training that has written nothing leaves no folder.

    Parameters
    ----------
    folder : Path
        The model's folder.
    resume : bool
        Whether the folder may hold a run.

    Raises
    ------
    StorageError
        Another process trains in this folder; the message says which.
    ReconstructionError
        The folder is not empty, and no run is resumed.
    """
    run = checked_run(folder)
    made = [path for path in (run, folder) if not path.exists()]
    make_folder(run)
    with WriterLock(run) as lock:
        try:
            # Only now: the lock of another training would be in the way too, and its message says more.
            if not resume and (set(folder.iterdir()) - {run} or not _has_only_begun(run, lock.path)):
                raise ReconstructionError(
                    f"{folder} is not empty; choose a new folder for the model, or continue with --resume"
                )
            yield
        finally:
            if set(run.iterdir()) == {lock.path}:
                lock.remove_file()
            for path in made:
                with contextlib.suppress(OSError):  # it is not empty
                    path.rmdir()


def _has_only_begun(run: Path, lock: Path) -> bool:
    """Whether a run's folder has no more than what a training writes before its first checkpoint, so nothing to resume."""
    return all(path in (lock, run / RESOLVED) or path.name.startswith(".") for path in run.iterdir())


def checked_run(folder: Path) -> Path:
    """Return the folder of the run in a model's folder; raises LimitError if it, or anything in it, leads to another place."""
    check_inside(folder, [], whole=[RUN])
    return folder / RUN


def read_resolved(folder: Path, part: str) -> Any:
    """Return the part ``configuration`` or ``environment`` that the run in a model's folder was started with.

    Raises
    ------
    ReconstructionError
        The file cannot be read, or has no such part.
    """
    path = checked_run(folder) / RESOLVED
    try:
        return read_yaml(path)[part]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, KeyError) as error:
        raise ReconstructionError(f"cannot read {path}; restore a copy, or start in a new folder") from error


def read_finish_reason(folder: Path) -> FinishReason | None:
    """Return why the run in a model's folder finished, as its last checkpoint says.

    None means that the run goes on, or that its process ended without a reason (it was killed, or failed with an error).

    Raises
    ------
    ReconstructionError
        There is no checkpoint, or it is damaged.
    """
    path = checked_run(folder) / CHECKPOINT
    try:
        return TrainReport.from_dict(read_values(path)["report"]).finish_reason
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, "it holds no report") from error


def first_difference(start: object, now: object, key: str = "") -> str:
    """Name the first key in which two nested configurations differ, with both values; empty when they are equal.

    Keys that only ``start`` has are left out: an older version kept also what does not influence the result.
    """
    if isinstance(start, dict) and isinstance(now, dict):
        for name in now:
            difference = first_difference(start.get(name), now.get(name), f"{key}.{name}" if key else str(name))
            if difference:
                return difference
        return ""
    return "" if start == now else f"{key} = {start}, not {now}"


def _plain(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as YAML reads them back: it has no tuples."""
    plain: dict[str, Any] = json.loads(json.dumps(configuration))
    return plain


def _lines(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the complete lines of a curve with their steps; a killed process may leave half a line at the end."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
        try:
            yield line, int(json.loads(line)["step"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return
