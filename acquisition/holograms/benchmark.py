"""How fast and how good our Gerchberg-Saxton is beside slmsuite's, in turns on one machine from one start."""

from __future__ import annotations

import importlib
import logging
import statistics
import time
import warnings
from typing import Any

import numpy as np

from acquisition.holograms.closed_form import Amplitude, Phase
from acquisition.holograms.gerchberg_saxton import HologramResult, Method, Quality, gerchberg_saxton

#: slmsuite's names of the methods.
SLMSUITE_METHODS: dict[Method, str] = {"gs": "GS", "wgs": "WGS-Leonardo", "wgs-kim": "WGS-Kim"}


def slmsuite_hologram(
    target: Amplitude,
    phase0_rad: Phase,
    iterations: int,
    method: Method = "gs",
    source: Amplitude | None = None,
    *,
    double: bool = False,
) -> tuple[float, HologramResult] | None:
    """Compute a hologram with slmsuite.

    Parameters
    ----------
    target, phase0_rad, iterations, method, source
        As for :func:`acquisition.holograms.gerchberg_saxton.gerchberg_saxton`.
    double : bool
        Whether it computes in double precision, which tells its rounding errors from differences.

    Returns
    -------
    seconds : float
        From the amplitude to the judged hologram.
    result : HologramResult
        Its hologram, judged by slmsuite. None instead of both without slmsuite.
    """
    log = logging.getLogger("slmsuite")
    level = log.level
    # It warns of an absent GPU and of sizes that are no powers of two, and logs every hologram.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            algorithms = importlib.import_module("slmsuite.holography.algorithms")
        except ImportError:
            return None
        log.setLevel(logging.ERROR)
        try:
            start = time.perf_counter()
            hologram: Any = algorithms.Hologram(
                target, amp=source, phase=phase0_rad, dtype=np.float64 if double else np.float32
            )
            hologram.optimize(SLMSUITE_METHODS[method], maxiter=iterations, verbose=False)
            stats: dict[str, Any] = {}
            hologram._calculate_stats_computational(stats, ["computational"])
            phase_rad = hologram.get_phase().astype(np.float32)
            seconds = time.perf_counter() - start
        finally:
            log.setLevel(level)
    quality = stats["computational"]
    return seconds, HologramResult(phase_rad, quality["efficiency"], quality["uniformity"])


def hologram_ratio(
    shape: tuple[int, int] = (1080, 1920),
    iterations: int = 20,
    rounds: int = 5,
    *,
    method: Method = "gs",
    target: Amplitude | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """Measure our Gerchberg-Saxton and slmsuite's in turns.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the SLM in pixels.
    iterations : int
        Of each hologram.
    rounds : int
        Holograms of each; the first to compute changes every round.
    method : {"gs", "wgs", "wgs-kim"}
        As for :func:`acquisition.holograms.gerchberg_saxton.gerchberg_saxton`.
    target : ndarray of float32, shape (H, W), optional
        Wanted amplitude. Left out, a random one that fills the far field, which leaves ours nothing to skip.
    device : str
        Where ours computes.

    Returns
    -------
    dict
        ``ours`` and ``slmsuite``: ``ms_per_iteration`` (median; whole calls, with their preparation and judgement),
        ``efficiency`` and ``uniformity``; ``ratio`` (median over rounds of slmsuite's time by ours), ``ratio_range`` (lowest
        and highest). Without slmsuite, ``slmsuite``, ``ratio`` and ``ratio_range`` are None.
    """
    rng = np.random.default_rng(0)
    if target is None:
        target = rng.uniform(0.1, 1, shape).astype(np.float32)
    phase0_rad = rng.uniform(-np.pi, np.pi, shape).astype(np.float32)
    mine: list[tuple[float, Quality]] = []
    theirs: list[tuple[float, Quality]] = []
    gerchberg_saxton(target, iterations=1, phase0_rad=phase0_rad, device=device)  # plans its transforms
    for number in range(rounds):
        for turn in (number, number + 1):
            if turn % 2:
                start = time.perf_counter()
                result = gerchberg_saxton(target, None, iterations, phase0_rad=phase0_rad, method=method, device=device)
                mine.append((time.perf_counter() - start, Quality(result.efficiency, result.uniformity)))
            elif (other := slmsuite_hologram(target, phase0_rad, iterations, method)) is not None:
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
