"""Small files that are written completely or not at all."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.base import SpeckleScopeError


def save_array(path: Path, array: NDArray[Any], remedy: str) -> None:
    """Write an array as ``.npy``, completely or not at all; parameters and errors as for :func:`write_whole`."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    write_bytes(path, content.getvalue(), remedy)


def write_whole(path: Path, text: str, remedy: str) -> None:
    """Write a text file, completely or not at all: an older file of this name stays until the new one is complete.

    Parameters
    ----------
    path : Path
        The file; its folder is made if absent.
    text : str
        What it shall hold.
    remedy : str
        What to do when it cannot be written; ends the error message.

    Raises
    ------
    SpeckleScopeError
        The file cannot be written.
    """
    write_bytes(path, text.encode("utf-8"), remedy)


def write_bytes(path: Path, content: bytes, remedy: str) -> None:
    """Write bytes, completely or not at all; parameters and errors as for :func:`write_whole`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(part).chmod(0o644)
            Path(part).replace(path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise SpeckleScopeError(f"cannot write {path}: {error.strerror or error}; {remedy}") from error
