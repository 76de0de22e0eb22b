"""The work of a job that compiles a model: in a process of its own at a low priority, so that the live view runs on."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.training.process import PROGRAM, TrainingProcess, TrainingState
from drivers.base import SpeckleScopeError

_LOOK_S: Final = 0.2
_STOP_S: Final = 10.0
#: A line of progress about engines: ``openvino fp32: 2 of 5``; the steps of one engine have two colons.
_LINE: Final = re.compile(r"^[^:]+: (\d+) of ([1-9]\d*)$")


class CompileFailedError(SpeckleScopeError):
    """A model was not compiled. The message is that of the process."""


@dataclass(frozen=True, kw_only=True)
class CompileJob:
    """Compiles a model for every engine of this computer; called in the thread of a job.

    Parameters
    ----------
    model : str
        The name of a shipped model, or the path of a model.
    config : Path, optional
        Instrument file.
    response : Path, optional
        Folder of the calibrated response of the fibre, in place of the configured one.
    dataset : Path, optional
        Pairs of the model's fibre on which the engines are compared; a model of the twin has its own.
    program : sequence of str
        The program that compiles; see :class:`app.training.process.TrainingProcess`.
    """

    model: str
    config: Path | None = None
    response: Path | None = None
    dataset: Path | None = None
    program: Sequence[str] = PROGRAM

    def arguments(self) -> list[str]:
        """Return the command line without the name of the program."""
        options = (("--config", self.config), ("--response", self.response), ("--frames", self.dataset))
        return [
            "compile",
            self.model,
            "--here",
            *(text for name, path in options if path is not None for text in (name, str(path))),
        ]

    def __call__(self, report: Callable[[int, int], None], stop: threading.Event) -> None:
        """Compile until the table is stored, see :mod:`app.training.compiled_engines`.

        Raises
        ------
        CompileFailedError
            No engine can run the model, or the process has failed.
        """
        process = TrainingProcess(self.arguments(), self.program)
        try:
            while process.running and not stop.wait(_LOOK_S):
                counts = _LINE.match(process.last_line())
                if counts:
                    report(int(counts[1]), int(counts[2]))
            process.stop()
            process.wait(_STOP_S)
            if process.state is TrainingState.FAILED:
                raise CompileFailedError(
                    f"{Path(self.model).name} was not compiled: {process.last_line() or 'its process ended without a message'}"
                )
        finally:
            process.close(0.0)
