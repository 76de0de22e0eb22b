"""Images of registration, fibre reference and fibre response: what was measured beside what was expected before and after."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from app.reporting.images import Picture, grey
from app.reporting.plots import Plot, Role, Series
from app.reporting.rendering import Section
from calibration.fibre.probe_patterns import ProbePatternData
from calibration.fibre.response import FibreResponse
from calibration.fibre.second_order import LocalCovariance, MapSampling, SecondOrder, contrast, local_covariance
from calibration.fibre.speckle_field import EDGE_PX, on_camera, rolled_off
from calibration.fibre.statistics import FibreData, FibreReference
from calibration.registration.affine import Registration
from calibration.registration.gray_code import RegistrationData

_STRIDE = 4
#: Sampling of the maps of the registration and of the fibre reference.
_PATTERN_SAMPLING = MapSampling(((0, 0),), window_px=8.0, stride=_STRIDE)
_FIBRE_SAMPLING = MapSampling(((0, 0),), window_px=4.0, stride=_STRIDE)
#: Number of bins of the slope.
_BINS = 16
#: Side of a detail, and length of a cut through it, in pixels.
_DETAIL_PX = 96
_CUT_PX = 64
#: Colour of marks in images: blue, green, red.
_MARK = (60, 160, 250)


def registration_pictures(data: RegistrationData, fit: Registration) -> tuple[Section, float]:
    """Show where patterns changed the speckle beside where they were expected to change it.

    Parameters
    ----------
    data : RegistrationData
        The frames of the measurement.
    fit : Registration
        Where the camera sees each pixel of the pattern.

    Returns
    -------
    (Section, float)
        The images, and the correlation of the measured maps with the maps expected for a pattern in the middle of the frame,
        without rotation.
    """
    unaligned = Registration(np.eye(2, 3), fit.pattern_shape, fit.camera_shape, 0.0, 0.0, fit.locality_px)
    mean = data.flat.mean(axis=0)
    light = cv2.GaussianBlur(mean, (0, 0), fit.locality_px)[::_STRIDE, ::_STRIDE]
    lit = light > 0.4 * np.percentile(light, 90)
    flat_contrast = contrast(mean)
    rows: list[list[Picture]] = []
    measured, before = [], []
    shown = {max(0, data.bits[0] - 2): "stripes", sum(data.bits): "blocks"}
    for number, (mask, frame) in enumerate(zip(data.masks, data.frames, strict=True)):
        similarity = local_covariance(flat_contrast, contrast(frame), _PATTERN_SAMPLING)[0]
        maps = [similarity, _expected_similarity(mask, unaligned), _expected_similarity(mask, fit)]
        measured.append(similarity[lit] - similarity[lit].mean())
        before.append(maps[1][lit] - maps[1][lit].mean())
        if number in shown:
            captions = ("measured", "expected before: pattern in the middle, without rotation", "expected now")
            pictures = [grey(np.where(lit, each, 0), 0, 1) for each in maps]
            rows.append(
                [
                    Picture(grey(mask, 0, 1), f"pattern: {shown[number]}"),
                    *(Picture(image, caption) for image, caption in zip(pictures, captions, strict=True)),
                ]
            )
    correlation_before = float(np.corrcoef(np.concatenate(measured), np.concatenate(before))[0, 1])
    text = (
        "Local correlation with the speckle of the flat pattern. White: the speckle did not change. "
        "Black: the speckle changed completely, or the camera sees no light there."
    )
    return Section(title="Where patterns change the speckle", text=text, pictures=rows), correlation_before


def _expected_similarity(mask: NDArray[np.bool_], registration: Registration) -> NDArray[np.float32]:
    """Return the local correlation that remains where a mask has phase pi, on every fourth pixel of the camera."""
    share = cv2.GaussianBlur(registration.warp(mask.astype(np.float32), None), (0, 0), registration.locality_px)
    return np.asarray(1 - 4 * share * (1 - share), np.float32)[::_STRIDE, ::_STRIDE]


@dataclass(frozen=True)
class _FibreDisc:
    """The fibre on the camera's pixels: where light is, and where it is far enough from the edge."""

    aperture: NDArray[np.float64]
    inside: NDArray[np.bool_]
    core: NDArray[np.bool_]

    @classmethod
    def of(cls, fit: FibreReference) -> _FibreDisc:
        y, x = np.indices(fit.speckle.shape)
        distance_px = np.hypot(y - fit.centre_px[0], x - fit.centre_px[1])
        return cls(
            aperture=1 / (1 + np.exp((distance_px - fit.radius_px) / EDGE_PX)),
            inside=distance_px < fit.radius_px - 2,
            core=(distance_px < fit.radius_px - 10)[::_STRIDE, ::_STRIDE],
        )


def fibre_pictures(data: FibreData, fit: FibreReference, before: SecondOrder) -> tuple[Section, Section]:
    """Show the reference speckle with the outline of the fibre, and how the correlation falls with the slope of the phase.

    Parameters
    ----------
    data : FibreData
        The frames of the measurement.
    fit : FibreReference
        The measured reference and model.
    before : SecondOrder
        The model from which the fit started.
    """
    reference = Section(title="Reference", pictures=[[_reference_picture(fit)]])
    slope, measured, expected_before, expected_now = _binned(_slope_samples(data, fit, before))
    fall = Plot(
        series=[
            Series(slope, measured, name="measured", role=Role.MEASURED),
            Series(slope, expected_before, name="before: the model that the fit starts from", role=Role.BEFORE),
            Series(slope, expected_now, name="fitted model", role=Role.AFTER),
        ],
        x_title="slope of the actual phase, rad per px",
        y_title="correlation with the flat pattern",
    )
    return reference, Section(title="Speckle and slope", plots=[fall])


def _reference_picture(fit: FibreReference) -> Picture:
    speckle = cv2.cvtColor(grey(fit.speckle, 0, float(np.percentile(fit.speckle, 99.7))), cv2.COLOR_GRAY2BGR)
    centre = (round(fit.centre_px[1]), round(fit.centre_px[0]))
    cv2.circle(speckle, centre, round(fit.radius_px), _MARK, 1, cv2.LINE_AA)
    cv2.drawMarker(speckle, centre, _MARK, cv2.MARKER_CROSS, 12)
    return Picture(speckle, "reference speckle, with the measured outline and centre of the fibre")


def _slope_samples(data: FibreData, fit: FibreReference, before: SecondOrder) -> NDArray[np.float64]:
    """Return slope, measured correlation, and correlation expected before and now, (4, N) samples inside the fibre."""
    shape = (fit.speckle.shape[0], fit.speckle.shape[1])
    disc = _FibreDisc.of(fit)
    light = rolled_off(disc.aperture)
    flat_contrast = contrast(data.flats[0] / light, disc.inside)
    models = [LocalCovariance(model, shape, _FIBRE_SAMPLING, disc.aperture) for model in (before, fit.model)]
    samples = []
    for requested, frame in zip(data.phases_rad, data.frames, strict=True):
        phase = on_camera(requested, shape, data.affine)
        slope = fit.model.phase_scale * np.hypot(*np.gradient(phase))[::_STRIDE, ::_STRIDE]
        frame_contrast = contrast(frame / light, disc.inside)
        measured = local_covariance(flat_contrast, frame_contrast, _FIBRE_SAMPLING)[0]
        with torch.inference_mode():
            expected = [model(torch.from_numpy(phase))[0].numpy() for model in models]
        samples.append(np.stack([each[disc.core] for each in (slope, measured, *expected)]))
    return np.concatenate(samples, axis=1)


def _binned(samples: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the means over bins with equal numbers of samples, in the order of the first row."""
    ordered = samples[:, np.argsort(samples[0])]
    return np.stack([part.mean(axis=1) for part in np.array_split(ordered, _BINS, axis=1)], axis=1).astype(np.float64)


def response_pictures(data: ProbePatternData, fit: FibreResponse, before: FibreResponse | None) -> tuple[Section, float]:
    """Show the speckle of a probe pattern that the fit has not seen, as measured and as predicted before and after.

    Parameters
    ----------
    data : ProbePatternData
        The frames of the measurement.
    fit : FibreResponse
        The measured response.
    before : FibreResponse, optional
        An earlier response. Without it the core phases are drawn at random.

    Returns
    -------
    (Section, float)
        Images and a cut through them, and the mean correlation of the prediction before.
    """
    name = "earlier response" if before else "random core phases"
    if before is None:
        drawn = np.random.default_rng(0).uniform(0, 2 * np.pi, fit.core_phase_rad.shape)
        before = replace(fit, core_phase_rad=drawn.astype(np.float32))
    axis_px = np.arange(fit.config.image_px) - (fit.config.image_px - 1) / 2
    disc = np.hypot(axis_px[:, None], axis_px) <= fit.config.field_radius_um / fit.config.pixel_um
    (correlation_before, correlation_now), images = _predictions(data, (before, fit), disc)
    captions = (
        "measured",
        f"predicted before ({name}): {correlation_before:.3f}",
        f"predicted now: {correlation_now:.3f}",
    )
    middle = fit.config.image_px // 2
    detail = slice(max(0, middle - _DETAIL_PX // 2), middle + _DETAIL_PX // 2)
    white = float(np.percentile(images[0][detail, detail], 99.7))
    pictures = [
        Picture(grey(image[detail, detail], 0, white), caption) for image, caption in zip(images, captions, strict=True)
    ]
    cut = slice(max(0, middle - _CUT_PX // 2), middle + _CUT_PX // 2)
    measured, predicted_before, predicted_now = (image[middle, cut] / images[0][disc].mean() for image in images)
    row = Plot(
        series=[
            Series(axis_px[cut], predicted_before, name=f"before: {name}", role=Role.BEFORE),
            Series(axis_px[cut], predicted_now, name="predicted now", role=Role.AFTER),
            Series(axis_px[cut], measured, name="measured", role=Role.MEASURED),
        ],
        x_title="column from the centre, px",
        y_title="intensity divided by its mean",
    )
    text = (
        f"Correlation over the probe patterns that were left out of the fit: {correlation_before:.3f} before, "
        f"{fit.correlation:.3f} now. Two frames of the same probe pattern allow {fit.ceiling:.3f} at most."
    )
    section = Section(title="A probe pattern that the fit has not seen", text=text, pictures=[pictures], plots=[row])
    return section, float(correlation_before)


def _predictions(
    data: ProbePatternData, responses: tuple[FibreResponse, FibreResponse], disc: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], list[NDArray[np.float32]]]:
    """Return the mean correlation of each response's predictions, and the first frame with both predictions of it."""
    optics = [response.optics() for response in responses]
    correlations: list[list[float]] = []
    images: list[NDArray[np.float32]] = []
    for phase, frame, repeated in zip(data.held_out_rad, data.held_out_first, data.held_out_again, strict=True):
        with torch.inference_mode():
            predicted = [each.intensity(torch.from_numpy(phase)[None])[0].numpy() for each in optics]
        correlations.append(
            [np.corrcoef(each[disc], measured[disc])[0, 1] for each in predicted for measured in (frame, repeated)]
        )
        images = images or [frame, *predicted]
    return np.mean(correlations, axis=0).reshape(2, 2).mean(axis=1), images
