"""Reading speed of a dataset, compared with a raw memory map of the same frames in the same process."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.writer import Archive, ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from reconstruction.base import ReconstructionError
from reconstruction.data.dataset import SpecklePairs


def reader_ratio(
    path: Path | None = None,
    *,
    array: str = "speckle",
    frames: int = 512,
    frame_px: int = 512,
    rounds: int = 9,
) -> dict[str, Any]:
    """Measure :class:`SpecklePairs` against ``np.array(memmap[k])``, sequentially and in random order.

    Both read the same frames from files in the page cache. They take turns, and every round starts with the other one, so that
    other work on the machine affects both alike. Every frame is compared once before the measurement.

    Parameters
    ----------
    path : Path, optional
        An archive. Without one, a synthetic archive of 8-bit frames is made and removed afterwards.
    array : str
        Name of the array to read.
    frames : int
        Largest number of frames; they are copied to a raw file in the system's folder for temporary files.
    frame_px : int
        Side of the synthetic frames in pixels.
    rounds : int
        Passes over all frames for each order and reader. Orders and synthetic frames are the same in every call.

    Returns
    -------
    dict
        ``frames``, ``frame_bytes``, ``array``, ``direct`` (read without TensorStore), and for ``sequential`` and
        ``random`` a dict of ``memmap_frames_per_s``, ``dataset_frames_per_s`` (medians) and ``ratio``, the median of the
        rounds' ratios (above 1: the dataset is faster).

    Raises
    ------
    ReconstructionError
        The two readers give different frames.
    StorageError
        The archive cannot be read, or has no array of this name.
    """
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        if path is None:
            path = _synthetic(Path(folder), array, frames, frame_px, rng)
        pairs = SpecklePairs(path, arrays=(array,))
        raw = _raw_copy(Archive.open(path), array, min(frames, len(pairs)), Path(folder) / "raw")
        for k, frame in enumerate(raw):
            if not np.array_equal(pairs[k][0][0].numpy(), frame):
                raise ReconstructionError(f"frame {k} of {path} read as a dataset differs from Archive.read; report this")
        orders = {"sequential": list(range(len(raw))), "random": rng.permutation(len(raw)).tolist()}
        readers = {"memmap": lambda k: np.array(raw[k]), "dataset": pairs.__getitem__}
        result: dict[str, Any] = {"frames": len(raw), "frame_bytes": raw[0].nbytes, "array": array}
        result["direct"] = pairs.direct
        return result | {name: _measure(readers, order, rounds) for name, order in orders.items()}


def _measure(readers: dict[str, Callable[[int], object]], order: Sequence[int], rounds: int) -> dict[str, float]:
    rates: dict[str, list[float]] = {name: [] for name in readers}
    names = list(readers)
    for _ in range(rounds):
        for name in names:
            read = readers[name]
            started_s = time.perf_counter()
            for k in order:
                read(k)
            rates[name].append(len(order) / (time.perf_counter() - started_s))
        names.reverse()
    result = {f"{name}_frames_per_s": statistics.median(values) for name, values in rates.items()}
    ratios = [dataset / memmap for dataset, memmap in zip(rates["dataset"], rates["memmap"], strict=True)]
    return result | {"ratio": statistics.median(ratios)}


def _synthetic(root: Path, array: str, frames: int, frame_px: int, rng: np.random.Generator) -> Path:
    with ArchiveWriter.create(
        root,
        ArchiveSpec(kind=ArchiveKind.DATASET, name="bench", arrays=[ArraySpec(array, (frame_px, frame_px), "uint8")]),
        frames,
    ) as writer:
        for k in range(frames):
            image = rng.integers(0, 256, (frame_px, frame_px), dtype=np.uint8)
            writer.append({array: image}, PairRow(frame_index=k, t_ns=k, exposure_s=0.01))
    return writer.path


def _raw_copy(archive: Archive, array: str, frames: int, path: Path) -> NDArray[Any]:
    spec = archive.spec(array)
    with path.open("wb") as file:
        for k in range(frames):
            archive.read(array, k).tofile(file)
    return np.memmap(path, spec.dtype, "r", shape=(frames, *spec.shape))
