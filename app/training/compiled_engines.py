"""What the last compilation of a model on this computer has measured; kept beside the compiled engines."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

import pydantic

from acquisition.archive.atomic_files import write_whole
from drivers.base import SpeckleScopeError
from drivers.safe_text import parse_json
from reconstruction.engines.artifacts import cache_folder

log = logging.getLogger(__name__)

_REMEDY: Final = "set SPECKLESCOPE_CACHE to a folder with free space"


class EngineState(StrEnum):
    """What became of an engine that was compiled."""

    #: It passed the check against torch and can be used.
    READY = "ready"
    #: It was built, but it can only be checked on a machine with a GPU.
    BUILT = "built"
    #: It could not be built, or it failed the check; the note says why.
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class EngineResult:
    """One engine of a compilation.

    Parameters
    ----------
    engine : str
        Name and precision.
    state : EngineState
        What became of it.
    note : str
        Why it is refused, or what is left to do.
    ms : float, optional
        Median time for one frame, in milliseconds.
    max_abs_diff_rad : float, optional
        Largest difference from torch of any pixel, in radians.
    """

    engine: str
    state: EngineState
    note: str = ""
    ms: float | None = None
    max_abs_diff_rad: float | None = None


@dataclass(frozen=True, kw_only=True)
class Compilation:
    """The last compilation of a model on this computer.

    Parameters
    ----------
    date : datetime
        When it was.
    evaluated_on : str
        The frames on which the engines were compared.
    chosen_engine : str
        The fastest one, which the live view uses; empty if only one was asked for.
    rows : tuple of EngineResult
        All engines.
    """

    date: datetime
    evaluated_on: str
    chosen_engine: str
    rows: tuple[EngineResult, ...]

    @property
    def fastest(self) -> EngineResult | None:
        """The engine that the live view uses; None if none can be used."""
        timed = [row for row in self.rows if row.ms is not None and row.state is EngineState.READY]
        return min(timed, key=lambda row: row.ms or 0.0, default=None)


_RECORD: Final = pydantic.TypeAdapter(Compilation)


def remember_compilation(model_id: str, numbers: Mapping[str, object]) -> None:
    """Store what :func:`app.training.compile.compile_model` returned; without it only the table is missing later."""
    content = {"date": datetime.now().astimezone().isoformat(timespec="seconds"), **numbers}
    try:
        write_whole(_file(model_id), json.dumps(content, indent=1) + "\n", _REMEDY)
    except SpeckleScopeError as error:
        log.warning("the table of compiled engines is not stored: %s", error)


def last_compilation(model_id: str) -> Compilation | None:
    """Return the last compilation of a model on this computer; None if it was never compiled here."""
    try:
        content = parse_json(_file(model_id).read_text(encoding="utf-8"))
        return _RECORD.validate_python(content)
    except (OSError, ValueError, TypeError):  # pydantic's error is a ValueError
        return None


def in_text(compilation: Compilation | None) -> str:
    """Return one sentence about a compilation, for people."""
    if compilation is None:
        return "Not compiled on this computer yet. The first live view with it compares the engines, which takes a while"
    fastest = compilation.fastest
    if fastest is None:
        return f"Compiled on {compilation.date:%Y-%m-%d}: no engine can be used; torch runs it"
    return f"Compiled on {compilation.date:%Y-%m-%d}: {fastest.engine} is the fastest, {fastest.ms:.1f} ms for each frame"


def _file(model_id: str) -> Path:
    return cache_folder() / f"{model_id}-compiled.json"
