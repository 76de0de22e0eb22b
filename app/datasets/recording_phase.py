"""The phase of a recording, reconstructed again: against the reference that it holds, or against another."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from acquisition.archive.atomic_files import make_folder, moved_when_complete
from acquisition.archive.reader import Archive
from acquisition.archive.recorder import ROW_NOT_RECONSTRUCTED
from acquisition.archive.references import ReferenceEntry, reference_at
from acquisition.archive.rows import StorageError, StoredRow
from app.instrument.responses import attach, attach_response
from calibration.reference_state import ReferenceState
from drivers.base import SpeckleScopeError
from reconstruction.base import ReconstructionError
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.live.live_reconstructor import LiveMethod, ModelMethod
from reconstruction.live.pairs_method import PairsMethod
from reconstruction.models.model import Model, load_model, shipped_models


@dataclass(frozen=True, kw_only=True)
class RecordingOptions:
    """What a recording is reconstructed with.

    Parameters
    ----------
    model : str, optional
        Name of a shipped model, or a model folder. By default the shipped model of the recording, or its reference pairs.
    reference : ndarray of float32, shape (H, W), optional
        Mean speckle of the flat pattern in counts, instead of the stored one.
    response : Path, optional
        Folder of the fibre's calibrated response, where the recording holds none.
    """

    model: str | None = None
    reference: NDArray[np.float32] | None = None
    response: Path | None = None


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
    methods = _Methods(archive, options)
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


class _Methods:
    """Finds for each frame what reconstructs it, and against which reference."""

    def __init__(self, archive: Archive, options: RecordingOptions) -> None:
        self._archive = archive
        self._options = options
        self._fibre = str(archive.metadata.get("fibre") or "")
        self._entries = archive.references()
        self._model = _model_of(archive, options)
        self._entry: ReferenceEntry | None = None
        self._now: tuple[LiveMethod, NDArray[np.float32]] | None = None
        if options.reference is not None:
            self.source = "the given one"
        elif self._entries:
            starts = ", ".join(str(entry.first_frame) for entry in self._entries)
            self.source = f"stored in the recording, from frame {starts} on"
        else:
            raise StorageError(
                f"{archive.path.name} holds no reference, as those of version 0.1.0; give --reference, a picture of "
                "the speckle of the flat pattern"
            )

    def at(self, row: StoredRow) -> tuple[LiveMethod, NDArray[np.float32]]:
        entry = reference_at(self._entries, row.frame_index) or (self._entries[0] if self._entries else None)
        if self._now is None or entry is not self._entry:
            self._entry = entry
            self._now = self._opened(ReferenceState.read(entry) if entry else ReferenceState())
        return self._now

    def _opened(self, state: ReferenceState) -> tuple[LiveMethod, NDArray[np.float32]]:
        shape = self._archive.spec("speckle").shape
        method = self._with_model(state) if self._model else self._with_pairs(state)
        reference = state.speckle if self._options.reference is None else self._options.reference
        if reference is None or reference.shape != shape:
            actual = "none" if reference is None else f"one of {reference.shape}"
            raise StorageError(
                f"{self._archive.path.name} needs a reference of {shape} px, there is {actual}; give --reference"
            )
        method.check_frame((shape[0], shape[1]))
        return method, reference

    def _with_model(self, state: ReferenceState) -> LiveMethod:
        model = self._model
        assert model is not None
        model.check_fibre(self._fibre)
        if state.response is not None and self._options.response is None:
            attach_response(model, state.response)
        else:
            attach(model, self._options.response, self._fibre)
        return ModelMethod(model, TorchEngine(model))

    def _with_pairs(self, state: ReferenceState) -> LiveMethod:
        if state.pairs is None:
            name = self._archive.metadata.get("model") or "none"
            shipped = ", ".join(shipped_models())
            raise ReconstructionError(
                f"{self._archive.path.name} holds no reference pairs, and its model ('{name}') does not come with the program; "
                f"give --model, a model folder or a shipped one ({shipped})"
            )
        grid_px = self._archive.spec("phase").shape[0] if "phase" in self._archive.arrays else 0
        return PairsMethod(state.pairs, grid_px if grid_px > 1 else 0)


def _model_of(archive: Archive, options: RecordingOptions) -> Model | None:
    """Return the chosen model, or that of the recording where it comes with the program; None stands for reference pairs."""
    if options.model is not None:
        return load_model(options.model)
    name = archive.metadata.get("model")
    return load_model(str(name)) if name in shipped_models() else None
