"""Training pairs with what a frozen network gives for their frames, computed once and kept in a temporary file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from reconstruction.base import ReconstructionError
from reconstruction.data.batch import Batch
from reconstruction.data.pairs import PairPool

#: From frames and their reference to maps (b, c, g, g) and phase (b, 1, g, g).
Encode = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True, eq=False)
class EncodedBatch(Batch):
    """Training pairs with their encoding.

    Parameters
    ----------
    maps : tensor of float32, shape (b, c, grid_px, grid_px)
        Maps of the frozen network.
    start_rad : tensor of float32, shape (b, 1, grid_px, grid_px)
        Its phase, in radians.
    """

    maps: torch.Tensor
    start_rad: torch.Tensor


class EncodedPairs:
    """Pairs in memory with their encoding; 16-bit maps, which take 800 kB a pair on a grid of 128 px with 24 maps.

    Parameters
    ----------
    pool : PairPool
        The pairs.
    encode : callable
        The frozen network; it is called for one frame at a time.
    on_progress : callable
        Called with the number of pairs done and the number of all pairs.

    Raises
    ------
    ReconstructionError
        The disk is too full for the file.
    """

    def __init__(self, pool: PairPool, encode: Encode, on_progress: Callable[[int, int], None]) -> None:
        self._pool = pool
        self.ready = pool.ready
        self._encoding: NDArray[np.float16] = np.zeros(0, np.float16)
        with torch.no_grad():
            for index in range(self.ready):
                pair = pool.batch(np.array([index]))
                both = torch.cat(encode(pair.frames, pair.reference), 1)[0].numpy()
                if not index:
                    self._encoding = _temporary((self.ready, *both.shape))
                self._encoding[index] = both
                on_progress(index + 1, self.ready)

    def pictures_rad(self) -> NDArray[np.float32]:
        """Return the displayed phase of all pairs, shape (n, g, g)."""
        return self._pool.pictures_rad()

    def batch(self, indices: NDArray[np.int64], seed: int) -> EncodedBatch:
        """Return these pairs; nothing is random here, so ``seed`` has no effect."""
        batch = self._pool.batch(indices, seed)
        encoding = torch.from_numpy(self._encoding[indices].astype(np.float32))
        return EncodedBatch(batch.frames, batch.reference, batch.phase_rad, encoding[:, :-1], encoding[:, -1:])


def _temporary(shape: tuple[int, ...]) -> NDArray[np.float16]:
    """Return an array in a file without a name, which goes with its process."""
    try:
        with tempfile.TemporaryFile() as file:  # the array keeps it
            return np.memmap(file, np.float16, "w+", shape=shape)
    except OSError as error:
        size_gb = 2 * np.prod(shape) / 1e9
        raise ReconstructionError(
            f"no space for {size_gb:.1f} GB of encoded pairs ({error.strerror}); train with fewer pairs, or set TMPDIR"
        ) from error
