"""Plots of the SLM's and the camera's calibrations: what was assumed before, and what was measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.reporting.plots import Limit, Plot, Role, Series
from app.reporting.rendering import Section
from calibration.devices import phase_lut
from calibration.devices.camera import CameraData, CameraFit
from calibration.devices.phase_lut import LutData, LutFit
from calibration.devices.timing import TimingData, TimingFit

#: From this many grey levels on, every second one still gives a look-up table, and the others can check it.
_HALVED_LEVELS = 32
_ZERO = Limit(0.0)


def lut_plots(data: LutData, nominal_rad: NDArray[np.float64], fit: LutFit) -> tuple[Section, Section]:
    """Plot the phase response that the driver assumed beside the measured one, and the error of both.

    Parameters
    ----------
    data : LutData
        The frames of the measurement.
    nominal_rad : ndarray of float64, shape (256,)
        Phase that the driver assumed for each grey level, in radians.
    fit : LutFit
        The measured response.
    """
    levels = np.arange(256)
    assumed_rad = nominal_rad - nominal_rad[0]
    measured_rad = fit.phases_rad[data.levels]
    response = Plot(
        series=[
            Series(levels, assumed_rad, name="assumed before", role=Role.BEFORE),
            Series(levels, fit.phases_rad, name="measured response", role=Role.AFTER),
            Series(data.levels, measured_rad, name="measured grey levels", role=Role.MEASURED),
        ],
        x_title="grey level",
        y_title="phase, rad",
    )
    # Only grey levels that were shown: of the others nothing was measured.
    error_rad = assumed_rad[data.levels] - measured_rad
    errors = [Series(data.levels, error_rad, name="before: assumed minus measured", role=Role.BEFORE)]
    if len(data.levels) >= _HALVED_LEVELS:
        half = phase_lut.fit(LutData(data.levels[::2], data.frames[::2]))
        checked = data.levels[1:-1:2]
        checked_rad = half.phases_rad[checked] - fit.phases_rad[checked]
        errors.append(Series(checked, checked_rad, name="after: grey levels left out of the fit", role=Role.AFTER))
    residual = Plot(series=errors, x_title="grey level", y_title="phase error, rad", limit=_ZERO)
    return Section(title="Response", plots=[response]), Section(title="Error of the response", plots=[residual])


def timing_plots(data: TimingData, fit: TimingFit, declared_s: float) -> tuple[Section]:
    """Plot the step of the light from one pattern to the next, the fitted step, and the time at which the light has settled.

    Parameters
    ----------
    data : TimingData
        The frames of the measurement.
    fit : TimingFit
        Latency and settling time.
    declared_s : float
        Time from the request for a pattern to settled light that the driver declares, in seconds.
    """
    delays_s = np.linspace(0, float(max(data.delays_s.max(), declared_s, fit.latency_s + fit.settle_s)), 256)
    least, most = fit.latency_frames
    onsets_s = np.linspace(least, most + 1, 129) * data.refresh_s
    since_s = np.clip(delays_s[:, None] - onsets_s, 0, None)
    progress = ((1 - np.cos(np.pi * (1 - np.exp(-since_s / fit.time_constant_s)))) / 2).mean(axis=1)
    ready_ms = 1e3 * (fit.latency_s + fit.settle_s)
    step = Plot(
        series=[
            Series(1e3 * data.delays_s, data.progress, name="frames", role=Role.MEASURED),
            Series(1e3 * delays_s, progress, name="fit, mean over refresh phases", role=Role.AFTER),
            Series([1e3 * declared_s] * 2, [0, 1], name="settled, as the driver declares", role=Role.BEFORE),
            Series([ready_ms] * 2, [0, 1], name="settled, as measured", role=Role.AFTER),
        ],
        x_title="time from the request for a pattern to the middle of the exposure, ms",
        y_title="completed part of the step",
    )
    text = (
        "The dashed vertical line is the time at which the light has settled according to the driver. The solid vertical line "
        "is the measured time: earlier frames still contain light of the previous pattern. If the solid line lies to the right "
        "of the dashed line, the driver waits too short a time."
    )
    return (Section(title="Step response", text=text, plots=[step]),)


def camera_plots(data: CameraData, fit: CameraFit) -> tuple[Section, Section]:
    """Plot the photon transfer curve with and without the change of the speckle, and the mean over the exposure.

    Parameters
    ----------
    data : CameraData
        The frames of the measurement.
    fit : CameraFit
        Gain, noise and offset.
    """
    transfer = fit.transfer
    mean = transfer.mean_counts
    photons = transfer.read_variance + transfer.counts_per_e * mean
    ends = np.array([0.0, float(mean.max())])
    corrected = transfer.variance - (transfer.fitted - photons)
    curve = Plot(
        series=[
            Series(mean, transfer.variance, name="measured variance", role=Role.MEASURED),
            Series(mean, corrected, name="without the change of the speckle", role=Role.CORRECTED),
            Series(
                ends, transfer.read_variance + transfer.counts_per_e * ends, name="fit: photons and read noise", role=Role.AFTER
            ),
        ],
        x_title="mean above the offset, counts",
        y_title="variance, counts²",
    )
    exposures_ms = 1e3 * data.exposures_s
    means = data.frames.mean(axis=(1, 2, 3), dtype=np.float64)
    rise = float(np.mean((means - fit.offset_counts) / exposures_ms))
    line = fit.offset_counts + rise * exposures_ms
    linearity = Plot(
        series=[
            Series(exposures_ms, means, name="frames", role=Role.MEASURED),
            Series(exposures_ms, line, name="straight line", role=Role.AFTER),
        ],
        x_title="exposure, ms",
        y_title="mean of the field, counts",
    )
    deviation_percent = 100 * (means - line) / data.full_scale
    deviation = Plot(
        series=[Series(exposures_ms, deviation_percent)],
        x_title="exposure, ms",
        y_title="deviation, % of full scale",
        limit=_ZERO,
    )
    return Section(title="Photon transfer", plots=[curve]), Section(title="Linearity", plots=[linearity, deviation])
