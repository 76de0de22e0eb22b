"""The phase of a recording, reconstructed again: against the reference that it holds, or against another."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from acquisition.archive.atomic_files import make_folder, moved_when_complete
from acquisition.archive.reader import Archive
from acquisition.archive.recorder import ROW_NOT_RECONSTRUCTED
from acquisition.archive.rows import StorageError
from app.datasets.recorded_methods import RecordedMethods, RecordingOptions
from drivers.base import SpeckleScopeError


def reconstruct_recording(
    archive: Archive, out: Path, options: RecordingOptions, progress: Callable[[int], None] = lambda done: None
) -> dict[str, object]:
    """Write the phase of every frame as ``.npy``, (N, h, w) float32 in radians; return what was used.

    Parameters
    ----------
    archive : Archive
        A recording.
    out : Path
        The new file.
    options : RecordingOptions
        What to use.
    progress : callable
        Called with the number of frames that are done.

    Raises
    ------
    SpeckleScopeError
        The recording holds no reference, or neither reference pairs nor a model fit, or a file is damaged. Nothing is written.
    """
    rows = archive.rows()
    if not rows:
        raise StorageError(f"{archive.path.name} holds no frames; there is nothing to reconstruct")
    methods = RecordedMethods(archive, options)
    first, _ = methods.at(rows[0])
    grid_px = len(first.mask)
    squares: list[float] = []
    try:
        make_folder(out.parent)
        with moved_when_complete(out) as part:
            phases = npy.open_memmap(part, "w+", np.dtype("<f4"), (len(rows), grid_px, grid_px))
            for row in rows:
                method, reference = methods.at(row)
                pixels: Any = archive.read("speckle", row.index)
                phase = np.where(method.mask, method.run(pixels, reference), np.float32(0))
                phases[row.index] = phase
                if row.model_id == method.id and ROW_NOT_RECONSTRUCTED not in row.extra:
                    squares.append(float(np.mean((phase - archive.read("phase", row.index)) ** 2)))
                progress(row.index + 1)
            phases.flush()
            del phases
    except OSError as error:
        raise SpeckleScopeError(f"cannot write {out}: {error.strerror or error}; choose another name for --out") from error
    return {
        "phase": str(out),
        "frames": len(rows),
        "method": first.name,
        "method_id": first.id,
        "reference": methods.source,
        "frames_compared": len(squares),
        "rms_difference_rad": math.sqrt(math.fsum(squares) / len(squares)) if squares else None,
    }
