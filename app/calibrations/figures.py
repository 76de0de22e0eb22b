"""What registration, fibre and response look like: what was measured beside what was expected before and after."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from app.reporting.html import figures
from app.reporting.images import grey
from app.reporting.svg import Series, plot
from calibration.fibre.probe_patterns import ProbePatternData
from calibration.fibre.reference import FibreData, FibreReference
from calibration.fibre.response import FibreResponse
from calibration.fibre.second_order import LocalCovariance, SecondOrder, contrast, local_covariance
from calibration.fibre.speckle_field import EDGE_PX, on_camera, rolled_off
from calibration.registration.affine import Registration
from calibration.registration.gray_code import RegistrationData

_WINDOW_PX, _STRIDE = 8.0, 4
#: Window of the fibre reference's own maps, and bins of slope.
_FIBRE_WINDOW_PX = 4.0
_BINS = 16
#: Pixels of a detail, and of a cut through it.
_DETAIL_PX = 96
_CUT_PX = 64


def registration_pictures(data: RegistrationData, found: Registration) -> tuple[str, float]:
    """Show where patterns changed the speckle beside where they should have, and how alike that was before.

    Returns
    -------
    (str, float)
        HTML, and the correlation of measured maps with those predicted for a pattern that lies unturned in the middle.
    """
    apart = Registration(np.eye(2, 3), found.pattern_shape, found.camera_shape, 0.0, 0.0, found.locality_px)
    mean = data.flat.mean(axis=0)
    light = cv2.GaussianBlur(mean, (0, 0), found.locality_px)[::_STRIDE, ::_STRIDE]
    lit = light > 0.4 * np.percentile(light, 90)
    still = contrast(mean)
    rows: list[str] = []
    measured, before = [], []
    shown = {max(0, data.bits[0] - 2): "stripes", sum(data.bits): "blocks"}
    for number, (mask, frame) in enumerate(zip(data.masks, data.frames, strict=True)):
        like = local_covariance(still, contrast(frame), ((0, 0),), _WINDOW_PX, _STRIDE)[0]
        maps = [like, _unchanged(mask, apart), _unchanged(mask, found)]
        measured.append(like[lit] - like[lit].mean())
        before.append(maps[1][lit] - maps[1][lit].mean())
        if number in shown:
            pictures = [grey(np.where(lit, each, 0), 0, 1) for each in maps]
            words = ("measured", "expected before: pattern unturned, in the middle", "expected now")
            named = {f"pattern: {shown[number]}": grey(mask, 0, 1)} | dict(zip(words, pictures, strict=True))
            rows.append(figures(named))
    alike = float(np.corrcoef(np.concatenate(measured), np.concatenate(before))[0, 1])
    legend = "Local correlation with the flat pattern's speckle: white is unchanged, black is another speckle."
    return f"<h2>Where patterns change the speckle</h2><p>{legend}</p>{''.join(rows)}", alike


def _unchanged(mask: NDArray[np.bool_], lies: Registration) -> NDArray[np.float32]:
    """Return the correlation that phase pi in a mask leaves, on every few pixels of the camera."""
    share = cv2.GaussianBlur(lies.warp(mask.astype(np.float32), None), (0, 0), lies.locality_px)
    return np.asarray(1 - 4 * share * (1 - share), np.float32)[::_STRIDE, ::_STRIDE]


def fibre_pictures(data: FibreData, found: FibreReference, before: SecondOrder) -> str:
    """Show the reference with the fibre's disc, and how the correlation falls with the slope of the phase."""
    shape = found.speckle.shape
    y, x = np.indices(shape)
    away_px = np.hypot(y - found.centre_px[0], x - found.centre_px[1])
    speckle = cv2.cvtColor(grey(found.speckle, 0, float(np.percentile(found.speckle, 99.7))), cv2.COLOR_GRAY2BGR)
    centre = (round(found.centre_px[1]), round(found.centre_px[0]))
    cv2.circle(speckle, centre, round(found.radius_px), (60, 160, 250), 1, cv2.LINE_AA)
    cv2.drawMarker(speckle, centre, (60, 160, 250), cv2.MARKER_CROSS, 12)
    aperture = 1 / (1 + np.exp((away_px - found.radius_px) / EDGE_PX))
    inside, light = away_px < found.radius_px - 2, rolled_off(aperture)
    core = (away_px < found.radius_px - 10)[::_STRIDE, ::_STRIDE]
    still = contrast(data.flats[0] / light, inside)
    models = [
        LocalCovariance(model, (shape[0], shape[1]), ((0, 0),), aperture, _FIBRE_WINDOW_PX, _STRIDE)
        for model in (before, found.model)
    ]
    samples = []
    for asked, frame in zip(data.phases_rad, data.frames, strict=True):
        phase = on_camera(asked, (shape[0], shape[1]), data.affine)
        slope = found.model.depth_scale * np.hypot(*np.gradient(phase))[::_STRIDE, ::_STRIDE]
        like = local_covariance(still, contrast(frame / light, inside), ((0, 0),), _FIBRE_WINDOW_PX, _STRIDE)[0]
        with torch.inference_mode():
            expected = [model(torch.from_numpy(phase))[0].numpy() for model in models]
        samples.append(np.stack([each[core] for each in (slope, like, *expected)]))
    slope, *curves = _binned(np.concatenate(samples, axis=1))
    series = [
        Series(slope, curves[0], "measured", "measured"),
        Series(slope, curves[1], "before: the model that the fit starts from", "before"),
        Series(slope, curves[2], "fitted model", "after"),
    ]
    fall = plot(series, "slope of the phase that acts, rad/px", "correlation with the flat pattern's speckle")
    picture = figures({"reference speckle, with the fibre's disc as found": speckle})
    return f"<h2>Reference</h2>{picture}<h2>Speckle and slope</h2>{fall}"


def _binned(samples: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return means over as many samples each, in the order of the first row."""
    ordered = samples[:, np.argsort(samples[0])]
    return np.stack([part.mean(axis=1) for part in np.array_split(ordered, _BINS, axis=1)], axis=1).astype(np.float64)


def response_pictures(data: ProbePatternData, found: FibreResponse, before: FibreResponse | None) -> tuple[str, float]:
    """Show a left-out probe's speckle as seen and as predicted, before and after.

    Parameters
    ----------
    before : FibreResponse, optional
        An earlier response. Without it core phases are drawn at random.

    Returns
    -------
    (str, float)
        HTML, and the mean correlation of what was predicted before.
    """
    name = "earlier response" if before else "random core phases"
    if before is None:
        drawn = np.random.default_rng(0).uniform(0, 2 * np.pi, found.core_phase_rad.shape)
        before = replace(found, core_phase_rad=drawn.astype(np.float32))
    optics = [before.optics(), found.optics()]
    radius_px = found.config.field_radius_um / found.config.pixel_um
    axis = np.arange(found.config.image_px) - (found.config.image_px - 1) / 2
    disc = np.hypot(axis[:, None], axis) <= radius_px
    alike: list[list[float]] = []
    first: list[NDArray[np.float32]] = []
    for phase, seen, again in zip(data.left_rad, data.left_first, data.left_again, strict=True):
        with torch.inference_mode():
            predicted = [each.intensity(torch.from_numpy(phase)[None])[0].numpy() for each in optics]
        alike.append([np.corrcoef(each[disc], frame[disc])[0, 1] for each in predicted for frame in (seen, again)])
        first = first or [seen, *predicted]
    correlations = np.mean(alike, axis=0).reshape(2, 2).mean(axis=1)
    middle = found.config.image_px // 2
    detail = slice(max(0, middle - _DETAIL_PX // 2), middle + _DETAIL_PX // 2)
    top = float(np.percentile(first[0][detail, detail], 99.7))
    details = [grey(each[detail, detail], 0, top) for each in first]
    words = ("seen", f"predicted before ({name}): {correlations[0]:.3f}", f"predicted now: {correlations[1]:.3f}")
    cut = slice(max(0, middle - _CUT_PX // 2), middle + _CUT_PX // 2)
    columns = axis[cut]
    lines = [each[middle, cut] / first[0][disc].mean() for each in first]
    row = plot(
        [
            Series(columns, lines[1], f"before: {name}", "before"),
            Series(columns, lines[2], "predicted now", "after"),
            Series(columns, lines[0], "seen", "measured"),
        ],
        "column from the centre, px",
        "intensity over its mean",
    )
    ceiling = (
        f"Correlation over the left-out probes: {correlations[0]:.3f} before, {found.correlation:.3f} now; "
        f"two frames of one probe allow {found.ceiling:.3f}."
    )
    pictures = figures(dict(zip(words, details, strict=True)))
    return f"<h2>A probe that the fit has not seen</h2><p>{ceiling}</p>{pictures}{row}", float(correlations[0])
