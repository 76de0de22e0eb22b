"""Errors that the program did not foresee: the traceback goes into a log file, and one line remains for the terminal."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from cyclopts import CycloptsError

from drivers.base import SpeckleScopeError

#: Names of variables that hold the file or folder a function works on.
_PLACES = ("path", "file", "folder", "source", "name_or_path")
#: Log files that are kept.
_KEPT = 20


def is_explained(error: Exception) -> bool:
    """Whether the message of ``error`` is meant for the operator; a group needs this of each of its errors."""
    return all(isinstance(leaf, SpeckleScopeError | CycloptsError | OSError) for leaf in leaves(error))


def leaves(error: Exception) -> Iterator[Exception]:
    """Yield the errors in a group, at any depth; a single error yields itself."""
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def report(error: Exception) -> str:
    """Write the traceback of an unexpected error into a log file, and return the line for the terminal."""
    foreign = next((leaf for leaf in leaves(error) if not is_explained(leaf)), error)
    place = _in_work(foreign)
    reading = f"{place}: " if place else ""
    text = f"{reading}{type(foreign).__name__}: {foreign}".rstrip(": ")
    try:
        where = f"the details are in {_write(error)}; report it with this file"
    except (OSError, SpeckleScopeError) as failure:
        reason = getattr(failure, "strerror", None) or failure
        where = f"the details could not be logged ({reason}); set SPECKLESCOPE_LOG_FOLDER to a folder that can be written"
    return f"{text}; this is an error of the program: {where}"


def _in_work(error: Exception) -> Path | None:
    """Return the file or folder that the innermost function with such a variable was working on."""
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        for name in _PLACES:
            if isinstance(place := frame.f_locals.get(name), Path):
                return place
    return None


def _write(error: Exception) -> Path:
    folder = _log_folder()
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    file = folder / f"error-{now:%Y%m%d-%H%M%S-%f}-{os.getpid()}.log"
    lines = [
        f"time: {now.isoformat()}",
        f"command: {sys.argv}",
        f"folder: {Path.cwd()}",
        f"system: {platform.platform()}, Python {platform.python_version()}",
        "",
    ]
    lines += traceback.format_exception(error)
    file.write_text("\n".join(lines), encoding="utf-8", errors="backslashreplace")
    for old in sorted(folder.glob("error-*.log"))[:-_KEPT]:
        old.unlink(missing_ok=True)
    return file


def _log_folder() -> Path:
    # Imported here: only a failed command needs them.
    import platformdirs

    from app.cli.settings import Settings

    return Settings.from_environment().log_folder or platformdirs.user_log_path("specklescope", appauthor=False)
