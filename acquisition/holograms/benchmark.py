"""Speed and quality of our Gerchberg-Saxton and of slmsuite's, measured in turns on one machine from the same start."""

from __future__ import annotations

import importlib
import logging
import statistics
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from acquisition.holograms.closed_form import Amplitude, Phase
from acquisition.holograms.gerchberg_saxton import HologramResult, IterationSettings, Method, Quality, gerchberg_saxton

#: slmsuite's names of the methods.
SLMSUITE_METHODS: dict[Method, str] = {"gs": "GS", "wgs": "WGS-Leonardo", "wgs-kim": "WGS-Kim"}


def slmsuite_hologram(
    target: Amplitude,
    phase0_rad: Phase,
    iterations: int,
    method: Method = "gs",
    source: Amplitude | None = None,
) -> tuple[float, HologramResult] | None:
    """Compute a hologram with slmsuite.

    Parameters
    ----------
    target, phase0_rad, iterations, method, source
        As for :func:`acquisition.holograms.gerchberg_saxton.gerchberg_saxton`. With a ``phase0_rad`` of float64, slmsuite
        computes in double precision, which distinguishes its rounding errors from other differences.

    Returns
    -------
    seconds : float
        Time from the amplitude to the hologram and its quality.
    result : HologramResult
        The hologram, with the quality that slmsuite computes. Without slmsuite, None is returned instead of both.
    """
    with _quiet_slmsuite():
        try:
            algorithms = importlib.import_module("slmsuite.holography.algorithms")
        except ImportError:
            return None

        class Hologram(algorithms.Hologram):  # type: ignore[name-defined, misc]
            def quality(self) -> dict[str, float]:
                stats: dict[str, Any] = {}
                self._calculate_stats_computational(stats, ["computational"])
                return dict(stats["computational"])

        start = time.perf_counter()
        hologram = Hologram(target, amp=source, phase=phase0_rad, dtype=phase0_rad.dtype.type)
        hologram.optimize(SLMSUITE_METHODS[method], maxiter=iterations, verbose=False)
        quality = hologram.quality()
        phase_rad = hologram.get_phase().astype(np.float32)
        seconds = time.perf_counter() - start
    return seconds, HologramResult(phase_rad, quality["efficiency"], quality["uniformity"])


@contextmanager
def _quiet_slmsuite() -> Iterator[None]:
    """Silence slmsuite: it warns of a missing GPU and of sizes that are not powers of two, and logs every hologram."""
    log = logging.getLogger("slmsuite")
    log_level = log.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            log.setLevel(logging.ERROR)
            yield
        finally:
            log.setLevel(log_level)


def hologram_ratio(
    shape: tuple[int, int] = (1080, 1920),
    iterations: int = 20,
    rounds: int = 5,
    *,
    target: Amplitude | None = None,
    settings: IterationSettings | None = None,
) -> dict[str, Any]:
    """Measure our Gerchberg-Saxton and slmsuite's in turns.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the SLM in pixels.
    iterations : int
        Iterations of each hologram.
    rounds : int
        Holograms of each program; the one that computes first changes every round.
    target : ndarray of float32, shape (H, W), optional
        Wanted amplitude. If left out, a random one that fills the far field, so that ours can skip nothing.
    settings : IterationSettings, optional
        Method of both, and device of ours.

    Returns
    -------
    dict
        ``ours`` and ``slmsuite``: ``ms_per_iteration`` (median of whole calls, including preparation and quality),
        ``efficiency`` and ``uniformity``; ``ratio`` (slmsuite's time divided by ours, median over rounds), ``ratio_range``
        (lowest and highest). Without slmsuite, ``slmsuite``, ``ratio`` and ``ratio_range`` are None.
    """
    settings = settings or IterationSettings()
    rng = np.random.default_rng(0)
    if target is None:
        target = rng.uniform(0.1, 1, shape).astype(np.float32)
    phase0_rad = rng.uniform(-np.pi, np.pi, shape).astype(np.float32)
    mine: list[tuple[float, Quality]] = []
    theirs: list[tuple[float, Quality]] = []
    warm_up = IterationSettings(device=settings.device)  # the first call plans its transforms
    gerchberg_saxton(target, iterations=1, phase0_rad=phase0_rad, settings=warm_up)
    for number in range(rounds):
        for turn in (number, number + 1):
            if turn % 2:
                start = time.perf_counter()
                result = gerchberg_saxton(target, None, iterations, phase0_rad=phase0_rad, settings=settings)
                mine.append((time.perf_counter() - start, Quality(result.efficiency, result.uniformity)))
            elif (other := slmsuite_hologram(target, phase0_rad, iterations, settings.method)) is not None:
                theirs.append((other[0], Quality(other[1].efficiency, other[1].uniformity)))
    ratios = [slow / fast for (slow, _), (fast, _) in zip(theirs, mine, strict=False)]
    return {
        "ours": _summary(mine, iterations),
        "slmsuite": _summary(theirs, iterations) if theirs else None,
        "ratio": statistics.median(ratios) if ratios else None,
        "ratio_range": (min(ratios), max(ratios)) if ratios else None,
    }


def _summary(runs: list[tuple[float, Quality]], iterations: int) -> dict[str, float]:
    return {"ms_per_iteration": statistics.median(seconds for seconds, _ in runs) / iterations * 1e3, **runs[0][1]._asdict()}
