"""Check frames: frames of the fibre that a model is for, with the displayed phase, on which engines are checked."""

from __future__ import annotations

import io
import logging
import zipfile
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.safe_arrays import npz_members, read_npy_header
from reconstruction.data.pairs import PairPool
from reconstruction.engines.artifacts import Artifact
from reconstruction.engines.base import Counts, EngineError
from reconstruction.models.model import Model

log = logging.getLogger(__name__)

#: Number of check frames: enough for a mean SSIM to a thousandth, and few enough for a fast start.
FRAMES = 8
#: The largest array of stored check frames, in bytes.
_MOST_BYTES = 2**29


@dataclass(frozen=True, eq=False)
class CheckFrames:
    """Frames of the fibre that a model is for.

    Parameters
    ----------
    frames : sequence of ndarray, each (H, W)
        Camera counts.
    reference : ndarray of float32, shape (H, W)
        Mean speckle under the flat pattern, in counts.
    truth_rad : ndarray of float32, shape (frames, grid, grid), optional
        Displayed phase. Without it SSIM cannot be computed, and only engines in full precision can pass.
    """

    frames: list[Counts]
    reference: NDArray[np.float32]
    truth_rad: NDArray[np.float32] | None = None

    def first(self) -> CheckFrames:
        """Return only the first frame."""
        return CheckFrames(self.frames[:1], self.reference, None if self.truth_rad is None else self.truth_rad[:1])

    @classmethod
    def of_pool(cls, pool: PairPool) -> CheckFrames:
        """Return the first pairs of a pool, whose phase is on the model's grid."""
        batch = pool.batch(np.arange(min(FRAMES, pool.ready)))
        frames = [np.array(frame[0] if len(frame) == 1 else frame) for frame in batch.frames.numpy()]
        return cls(frames, np.array(pool.reference, np.float32), batch.phase_rad[:, 0].numpy())

    @classmethod
    def noise(cls, model: Model) -> CheckFrames:
        """Return random speckle without a displayed phase, for models without real frames."""
        shape = (3, *model.frame_shape)
        frames = np.random.default_rng(0).exponential(36, shape).astype(np.float32)
        return cls(list(frames[:2]), frames[2])


def remember(model: Model, frames: CheckFrames) -> None:
    """Store check frames of this model for later starts on this machine; a full disk is only logged."""
    assert frames.truth_rad is not None
    content = io.BytesIO()
    counts = np.stack([np.asarray(frame) for frame in frames.frames])
    np.savez_compressed(content, frames=counts, reference=frames.reference, truth_rad=frames.truth_rad.astype(np.float32))
    try:
        _stored(model).store(content.getvalue())
    except EngineError as error:
        log.warning("the check frames for engines are not stored: %s", error)


def recall(model: Model) -> CheckFrames | None:
    """Return the check frames that :func:`remember` stored; None if there are none for this model and frame size."""
    artifact = _stored(model)
    content = artifact.load_or_remove()
    if content is None:
        return None
    try:
        return _parsed(content, model)
    except (OSError, ValueError, LookupError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        log.warning("the check frames in %s are not used (%s); the file was removed", artifact.path, error)
        artifact.remove()
        return None


def _parsed(content: bytes, model: Model) -> CheckFrames:
    """Return stored check frames; raises ValueError, among others, unless they have the sizes of the model."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        arrays = {}
        for name, info in npz_members(file, len(content)).items():
            with file.open(info) as stream:
                read_npy_header(stream, info.file_size, _MOST_BYTES)
            with file.open(info) as stream:
                arrays[name] = np.lib.format.read_array(stream, allow_pickle=False)
    frames, reference, truth_rad = (arrays[name] for name in ("frames", "reference", "truth_rad"))
    frame, grid = model.frame_shape, (model.grid_px, model.grid_px)
    if not len(frames) or frames.shape[1:] != frame or reference.shape != frame or truth_rad.shape != (len(frames), *grid):
        raise ValueError(f"frames {frames.shape}, reference {reference.shape} and phase {truth_rad.shape} do not fit the model")
    if not all(array.dtype.kind in "uif" and np.isfinite(array).all() for array in (frames, reference, truth_rad)):
        raise ValueError("they hold something else than finite numbers")
    return CheckFrames(list(frames), np.asarray(reference, np.float32), np.asarray(truth_rad, np.float32))


def _stored(model: Model) -> Artifact:
    return Artifact(f"{model.id}-frames", "npz", {"model": model.id, "shape": [model.frame_px, model.grid_px]})
