"""Small text files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from drivers.base import SpeckleScopeError


def write_whole(path: Path, text: str, remedy: str) -> None:
    """Write a text file; what was there before stays until the new one is complete.

    Raises
    ------
    SpeckleScopeError
        It cannot be written; ``remedy`` says what to do.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(part).chmod(0o644)
            Path(part).replace(path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise SpeckleScopeError(f"cannot write {path}: {error.strerror or error}; {remedy}") from error
