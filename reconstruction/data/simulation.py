"""Many simulated pairs, by several processes; the pairs do not depend on the number of processes."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from acquisition.archive.atomic_files import make_folder, write_whole
from acquisition.patterns.sources import open_source
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.sensor import SensorConfig
from reconstruction.base import ReconstructionError
from reconstruction.data.pairs import PairPool, TwinExposure, fill_from_twin
from reconstruction.data.pool_folder import pool_folder

#: Pairs that one process simulates at a time; the noise depends on it.
_CHUNK = 50
#: Which pairs a folder holds, written when all of them are there.
_FACTS = "pairs.json"


@dataclass(frozen=True, kw_only=True)
class TwinData:
    """Which pairs to simulate.

    Parameters
    ----------
    optics : OpticsConfig
        The fibre.
    sensor : SensorConfig
        The camera's sensor.
    exposure_s : float
        Exposure of every frame.
    source : str
        A pattern source of :func:`acquisition.patterns.sources.open_source`.
    pairs : int
        Number of pairs.
    seed : int
        Seed of patterns and noise.
    phase_range_rad : float
        What white means in the patterns.
    grid_px : int
        Side of the phase images.
    """

    optics: OpticsConfig
    sensor: SensorConfig
    exposure_s: float
    source: str
    pairs: int
    seed: int
    phase_range_rad: float
    grid_px: int

    def exposure(self) -> TwinExposure:
        """Return the twin and its camera, which give the pairs."""
        return TwinExposure(FibreOptics(self.optics), self.sensor, self.exposure_s, self.seed)


@contextmanager
def simulated_pool(
    data: TwinData, workers: int = 1, on_progress: Callable[[int], None] = lambda pairs: None
) -> Iterator[PairPool]:
    """Simulate ``data.pairs`` pairs into a temporary file (320 kB per pair), which is removed at the end of the context.

    Parameters
    ----------
    data : TwinData
        What to simulate.
    workers : int
        Number of processes, one core each; 0 simulates in this process.
    on_progress : callable
        Called with the number of pairs simulated so far.

    Raises
    ------
    ReconstructionError
        A process that simulates died, or the disk is too full for the file.
    """
    with pool_folder() as folder:
        yield _simulated(data, folder, workers, on_progress)


def stored_pool(
    data: TwinData, folder: Path, workers: int = 1, on_progress: Callable[[int], None] = lambda pairs: None
) -> PairPool:
    """Return simulated pairs that are kept in a folder; they are simulated if the folder does not hold them yet.

    Parameters
    ----------
    data, workers, on_progress
        As for :func:`simulated_pool`.
    folder : Path
        The folder; an unfinished simulation in it begins again, and one of other pairs is replaced.

    Raises
    ------
    ReconstructionError
        See :func:`simulated_pool`.
    """
    facts = folder / _FACTS
    text = json.dumps(asdict(data), sort_keys=True)
    with contextlib.suppress(OSError):
        if facts.read_text(encoding="utf-8") == text:
            return open_pool(data, folder)
    try:
        make_folder(folder)
        facts.unlink(missing_ok=True)
    except OSError as error:
        raise ReconstructionError(f"{folder} cannot be used: {error.strerror}; choose another folder for the pairs") from error
    pool = _simulated(data, folder, workers, on_progress)
    # Last: a folder with this file is complete.
    write_whole(facts, text, "simulate the pairs again", ReconstructionError)
    return pool


def _simulated(data: TwinData, folder: Path, workers: int, on_progress: Callable[[int], None]) -> PairPool:
    """Simulate the pairs into the files of a folder."""
    pool = _create(data, folder)
    chunks = [(start, min(start + _CHUNK, data.pairs)) for start in range(0, data.pairs, _CHUNK)]
    if workers == 0:
        exposure = data.exposure()
        for chunk in chunks:
            _fill(data, exposure, pool, *chunk)
            on_progress(chunk[1])
    else:
        _fill_in_processes(data, folder, chunks, workers, on_progress)
    pool.ready = data.pairs
    return pool


def _fill_in_processes(
    data: TwinData, folder: Path, chunks: list[tuple[int, int]], workers: int, on_progress: Callable[[int], None]
) -> None:
    """Fill the file of a pool by several processes, chunk by chunk in any order."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(chunks)), context, _start, (data, str(folder))) as executor:
        with _no_ctrl_c():  # the processes inherit it: Ctrl-C is for this process, which then ends them
            tasks = {executor.submit(_work, *chunk): chunk for chunk in chunks}
        done = 0
        try:
            for task in as_completed(tasks):
                task.result()
                done += tasks[task][1] - tasks[task][0]
                on_progress(done)
        except BrokenProcessPool as error:
            raise ReconstructionError("a process that simulates pairs died; check memory and free disk space") from error
        finally:
            executor.shutdown(cancel_futures=True)


@contextmanager
def _no_ctrl_c() -> Iterator[None]:
    """Hold back Ctrl-C until the end of this block."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def open_pool(data: TwinData, folder: Path) -> PairPool:
    """Open the file of a pool that another process has filled and still keeps."""
    pool = _open(data, folder, data.exposure())
    pool.ready = data.pairs
    return pool


def folder_of(pool: PairPool) -> Path:
    """Return the folder of a simulated pool, for :func:`open_pool`."""
    return Path(str(cast("np.memmap[Any, Any]", pool.speckle).filename)).parent


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _create(data: TwinData, folder: Path) -> PairPool:
    n = data.optics.image_px
    try:
        # The space is reserved now: otherwise a full disk would end the process with a bus error later.
        for name, dtype, side in (("speckle", np.uint8, n), ("phase", np.float32, data.grid_px)):
            size = data.pairs * side * side * np.dtype(dtype).itemsize
            with (folder / f"{name}.bin").open("wb") as file:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, size)
                else:
                    file.truncate(size)
    except OSError as error:
        raise ReconstructionError(
            f"no space for {data.pairs} simulated pairs in {folder.parent}: {error.strerror}; simulate fewer, or set TMPDIR"
        ) from error
    return _open(data, folder, data.exposure())


def _open(data: TwinData, folder: Path, exposure: TwinExposure) -> PairPool:
    n, grid = data.optics.image_px, data.grid_px
    speckle = np.memmap(folder / "speckle.bin", np.uint8, "r+", shape=(data.pairs, n, n))
    phase = np.memmap(folder / "phase.bin", np.float32, "r+", shape=(data.pairs, grid, grid))
    return PairPool(speckle=speckle, phase_rad=phase, reference=exposure.reference())


def _fill(data: TwinData, exposure: TwinExposure, pool: PairPool, start: int, stop: int) -> None:
    n = data.optics.image_px
    source = open_source(data.source, (n, n), count=data.pairs, seed=data.seed, phase_range_rad=data.phase_range_rad)
    # The seed depends on the chunk only, so the noise does not depend on the process that computes it.
    exposure.reseed(data.seed * 1_000_003 + start + 1)
    part = PairPool(speckle=pool.speckle[start:stop], phase_rad=pool.phase_rad[start:stop], reference=pool.reference)
    fill_from_twin(part, exposure, source, first=start)


_worker: tuple[TwinData, TwinExposure, PairPool] | None = None


def _start(data: TwinData, folder: str) -> None:
    global _worker
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    exposure = data.exposure()
    _worker = data, exposure, _open(data, Path(folder), exposure)


def _end_with_parent() -> None:
    """End this process when the program is killed; otherwise it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(start: int, stop: int) -> None:
    assert _worker is not None
    _fill(*_worker, start, stop)
