"""What a calibration looks like: one page with its numbers, and plots of what was believed before and what was found."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from app.reporting.html import page, table
from app.reporting.svg import Series, line_plot, plot
from calibration.devices import phase_lut
from calibration.devices.camera import CameraData, CameraFit
from calibration.devices.phase_lut import LutData, LutFit
from calibration.devices.timing import TimingData, TimingFit
from calibration.stored import Stored

#: Half of the levels still make a look-up table from so many on.
_HALVED_LEVELS = 32


def document(stored: Stored, numbers: Mapping[str, object], plots: str) -> str:
    """Return the whole page of a calibration."""
    about = {"Made": stored.made_utc, **{key.capitalize(): text for key, text in stored.devices.items()}}
    about["Fibre"] = str(stored.values.get("fibre", ""))
    shown = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in numbers.items()}
    return page(f"Calibration: {stored.kind}", f"{table(about)}\n<h2>Numbers</h2>{table(shown)}\n{plots}")


def lut_plots(data: LutData, nominal_rad: NDArray[np.float64], found: LutFit) -> str:
    """Plot the response that the driver believed beside the measured one, and how far each is from what was seen."""
    levels = np.arange(256)
    believed_rad = nominal_rad - nominal_rad[0]
    seen_rad = found.phases_rad[data.levels]
    response = plot(
        [
            Series(levels, believed_rad, "believed before", "before"),
            Series(levels, found.phases_rad, "measured response", "after"),
            Series(data.levels, seen_rad, "measured levels", "measured"),
        ],
        "grey level",
        "phase, rad",
    )
    # Levels that the panel could not be asked for are no measurement of the belief.
    error = [Series(data.levels, believed_rad[data.levels] - seen_rad, "before: believed less measured", "before")]
    if len(data.levels) >= _HALVED_LEVELS:
        half = phase_lut.fit(LutData(data.levels[::2], data.frames[::2]))
        left = data.levels[1:-1:2]
        error.append(Series(left, half.phases_rad[left] - found.phases_rad[left], "after: levels left out of the fit", "after"))
    residual = plot(error, "grey level", "error, rad", limit=0.0)
    return f"<h2>Response</h2>{response}<h2>Error of the response</h2>{residual}"


def timing_plots(data: TimingData, found: TimingFit, declared_s: float) -> str:
    """Plot the light's way from one pattern to the next, the fitted step, and when each says that the light is settled."""
    delays_s = np.linspace(0, float(max(data.delays_s.max(), declared_s, found.latency_s + found.settle_s)), 256)
    least, most = found.latency_frames
    onsets_s = np.linspace(least, most + 1, 129) * data.refresh_s
    since_s = np.clip(delays_s[:, None] - onsets_s, 0, None)
    went = ((1 - np.cos(np.pi * (1 - np.exp(-since_s / found.time_constant_s)))) / 2).mean(axis=1)
    ready_ms = 1e3 * (found.latency_s + found.settle_s)
    step = plot(
        [
            Series(1e3 * data.delays_s, data.progress, "frames", "measured"),
            Series(1e3 * delays_s, went, "fitted, mean over refresh phases", "after"),
            Series([1e3 * declared_s] * 2, [0, 1], "settled as declared", "before"),
            Series([ready_ms] * 2, [0, 1], "settled as measured", "after"),
        ],
        "from asking for the pattern to the middle of the exposure, ms",
        "progress of the light",
    )
    words = (
        "The dashed line is when the driver declares the light settled. Left of the solid line frames still see the pattern "
        "before; if it lies right of the dashed one, the driver waits too short."
    )
    return f"<h2>Step response</h2><p>{words}</p>{step}"


def camera_plots(data: CameraData, found: CameraFit) -> str:
    """Plot the photon transfer curve with and without the speckle's own change, and the mean over exposure."""
    transfer = found.transfer
    mean = transfer.mean_counts
    photons = transfer.read_variance + transfer.counts_per_e * mean
    ends = np.array([0.0, float(mean.max())])
    curve = plot(
        [
            Series(mean, transfer.variance, "variance as measured", "measured"),
            Series(mean, transfer.variance - (transfer.fitted - photons), "without the speckle's change", "corrected"),
            Series(ends, transfer.read_variance + transfer.counts_per_e * ends, "photons and read noise, fitted", "after"),
        ],
        "mean, counts above offset",
        "variance, counts²",
    )
    exposures_ms = 1e3 * data.exposures_s
    levels = data.frames.mean(axis=(1, 2, 3), dtype=np.float64)
    rise = float(np.mean((levels - found.offset_counts) / exposures_ms))
    line = found.offset_counts + rise * exposures_ms
    linearity = plot(
        [Series(exposures_ms, levels, "frames", "measured"), Series(exposures_ms, line, "line", "after")],
        "exposure, ms",
        "mean of the field, counts",
    )
    departure = line_plot(exposures_ms, 100 * (levels - line) / data.full_scale, "exposure, ms", "departure, % of scale", 0.0)
    return f"<h2>Photon transfer</h2>{curve}<h2>Linearity</h2>{linearity}{departure}"
