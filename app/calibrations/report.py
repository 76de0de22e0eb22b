"""The report of a calibration: one page with its numbers and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from app.reporting.rendering import Page, Section, render, utc_text
from calibration.stored import Stored

#: What each number is, and its unit.
_LABELS: Final[Mapping[str, tuple[str, str]]] = {
    # phase LUT
    "slm_range_rad": ("Phase of white minus phase of black", "rad"),
    "residual_rad": ("Residual of the fit, RMS", "rad"),
    "change_rms_rad": ("Change against the assumed response, RMS", "rad"),
    "worst_region_rms_rad": ("Largest difference of a part of the field, RMS", "rad"),
    # timing
    "latency_frames_least": ("Shortest latency, in refresh periods", ""),
    "latency_frames_most": ("Longest latency, in refresh periods", ""),
    "latency_s": ("Latency", "s"),
    "settle_s": ("Settling time", "s"),
    "declared_latency_s": ("Latency declared by the driver", "s"),
    "declared_settle_s": ("Settling time declared by the driver", "s"),
    "suggested_trigger_delay_s": ("Suggested trigger delay", "s"),
    "residual_fraction": ("Fraction of frames that do not fit the step", ""),
    # camera
    "exposure_before_s": ("Exposure before", "s"),
    "exposure_s": ("Exposure found", "s"),
    "offset_counts": ("Offset", "counts"),
    "dark_counts": ("Mean at the shortest exposure", "counts"),
    "dark_noise_counts": ("Noise at the shortest exposure", "counts"),
    "e_per_count": ("Gain", "e⁻ per count"),
    "e_per_count_error": ("Standard error of the gain", "e⁻ per count"),
    "read_noise_e": ("Read noise", "e⁻"),
    "read_noise_error_e": ("Standard error of the read noise", "e⁻"),
    "linearity_percent": ("Deviation from a straight line", "% of full scale"),
    "linear_to": ("Highest grey level that was tested", "of full scale"),
    "hot_pixels": ("Hot pixels", ""),
    "stuck_pixels": ("Stuck pixels", ""),
    "evaluated_pixels": ("Fraction of pixels with enough light to be tested", ""),
    # registration
    "correlation_before": ("Correlation before", ""),
    "correlation": ("Correlation of measurement and fit", ""),
    "scale": ("Magnification", "camera px per pattern px"),
    "rotation_deg": ("Rotation", "°"),
    "shift_y_px": ("Shift down", "camera px"),
    "shift_x_px": ("Shift to the right", "camera px"),
    "flipped": ("Mirrored", ""),
    "uncertainty_px": ("Uncertainty", "camera px"),
    "locality_px": ("Blur of the fibre, standard deviation", "camera px"),
    "pattern_shape": ("Pattern, height and width", "px"),
    "camera_shape": ("Camera frame, height and width", "px"),
    # fibre reference
    "phase_scale": ("Actual phase divided by requested phase", ""),
    "defocus_px": ("Defocus, wavelength × distance / pixel²", "px"),
    "coupling_px": ("Coupling length", "px"),
    "repeatability": ("Correlation of two frames of the same pattern", ""),
    "bandwidth": ("Bandwidth of a core's mode", "cycles per px"),
    "phase_scale_sd": ("Standard error of the phase ratio", ""),
    "defocus_px_sd": ("Standard error of the defocus", "px"),
    "coupling_px_sd": ("Standard error of the coupling length", "px"),
    "repeatability_sd": ("Standard error of the correlation", ""),
    "bandwidth_sd": ("Standard error of the bandwidth", "cycles per px"),
    "shot_correlation": ("Correlation of two frames of the flat pattern", ""),
    "grain_fwhm_px": ("Speckle grain, full width at half maximum", "px"),
    "centre_row_px": ("Centre of the fibre, row", "px"),
    "centre_column_px": ("Centre of the fibre, column", "px"),
    "radius_px": ("Radius of the fibre", "px"),
    # fibre response
    "probe_patterns": ("Probe patterns", ""),
    "cores": ("Cores", ""),
    "ceiling": ("Highest possible correlation", ""),
    "quality": ("Correlation divided by the highest possible", ""),
    "core_noise_rad": ("Phase noise of a core, RMS", "rad"),
    "background": ("Background", "counts per s"),
}
_DEVICES: Final[Mapping[str, str]] = {"camera": "Camera", "slm": "SLM"}


def document(stored: Stored, numbers: Mapping[str, object], sections: Sequence[Section]) -> str:
    """Return the whole page of a calibration as HTML.

    Parameters
    ----------
    stored : Stored
        Kind, date and devices.
    numbers : mapping of str to object
        The results, by the names that ``calibration.yaml`` gives them.
    sections : sequence of Section
        Plots and images.
    """
    about = [("Measured", utc_text(stored.made_utc))]
    about += [(_DEVICES.get(key, key), text) for key, text in stored.devices.items()]
    about.append(("Fibre", str(stored.values.get("fibre", ""))))
    rows = [labelled(key, value) for key, value in numbers.items()]
    page = Page(title=f"Calibration: {stored.kind}", rows=about, sections=[Section(title="Numbers", rows=rows), *sections])
    return render(page)


def labelled(key: str, value: object) -> tuple[str, str, str]:
    """Return the row of a number: what it is, its value with the unit, and its key in ``calibration.yaml``."""
    label, unit = _LABELS.get(key, (key, ""))
    return label, f"{_text(value)} {unit}".rstrip(), key


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return " × ".join(map(str, value)) if isinstance(value, list) else str(value)
