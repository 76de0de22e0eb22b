"""Labels are found on the camera from the pairs alone, in any likely pose; labels of other frames are refused."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from acquisition.patterns.sources import open_source
from calibration.registration.affine import Registration
from calibration.registration.from_pairs import register_pairs
from calibration.stored import CalibrationError
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.sensor import SensorConfig
from reconstruction.data.pairs import TwinExposure

PX = 256
STRAIGHT = OpticsConfig(image_px=PX, field_radius_um=82.0, seed=61)
POSES = [
    replace(STRAIGHT, seed=62, scale=1.09, rotation_deg=3.0, shift_px=(5.0, -6.0)),
    replace(STRAIGHT, seed=63, scale=0.91, rotation_deg=-5.0, shift_px=(-3.0, 4.0), flip=True),
    replace(STRAIGHT, seed=64, scale=1.0, rotation_deg=5.0, shift_px=(0.0, 7.0), flip=True),
    replace(STRAIGHT, seed=65, scale=0.95, rotation_deg=-2.2, shift_px=(6.0, 2.0)),
]
Pairs = tuple[list[NDArray[np.uint8]], list[NDArray[np.float32]]]


@cache
def pairs(optics: OpticsConfig) -> Pairs:
    source = open_source("leaves", (PX, PX), count=6, seed=optics.seed, phase_range_rad=2.6)
    phases = np.stack([source[index].phase_rad for index in range(6)])
    exposure = TwinExposure(FibreOptics(optics), SensorConfig(), 0.01, optics.seed)
    return list(exposure(phases)), list(phases)


def first(optics: OpticsConfig, count: int) -> Pairs:
    frames, phases = pairs(optics)
    return frames[:count], phases[:count]


def errors_px(registration: Registration, optics: OpticsConfig, label_px: int = PX) -> NDArray[np.float64]:
    """Distances over the fibre's disc between where the camera sees a label's point and where the map says."""
    radius = optics.field_radius_um / optics.pixel_um
    axis = np.arange(-radius, radius, 4)
    disc = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    disc = disc[np.hypot(*disc.T) < radius]
    angle = math.radians(optics.rotation_deg)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    on_slm = optics.scale * disc @ turn.T * [1, -1 if optics.flip else 1] + optics.shift_px
    return np.hypot(*(registration.to_camera(on_slm * label_px / PX) - disc).T)


def rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2)))


@pytest.mark.parametrize(("count", "most_px"), [(2, 3.5), (4, 1.7), (6, 1.5)])
def test_any_likely_pose_is_found(count: int, most_px: float) -> None:
    errors = []
    for optics in POSES:
        registration = register_pairs(*first(optics, count))
        assert registration.flipped == optics.flip
        assert registration.scale == pytest.approx(1 / optics.scale, abs=0.03)
        assert registration.rotation_deg == pytest.approx(-optics.rotation_deg, abs=1.5)
        assert registration.correlation > 0.75
        assert (registration.pattern_shape, registration.camera_shape) == ((PX, PX), (PX, PX))
        errors.append(rms(errors_px(registration, optics)))
    assert max(errors) < most_px
    assert rms(np.array(errors)) < 0.8 * most_px


def test_a_warped_label_lies_on_its_speckle() -> None:
    optics = POSES[1]
    frames, phases = first(optics, 6)
    registration = register_pairs(frames, phases)
    rows, columns = np.mgrid[:PX, :PX] - (PX - 1) / 2
    angle = math.radians(optics.rotation_deg)
    on_slm = optics.scale * np.stack(
        [math.cos(angle) * rows - math.sin(angle) * columns, math.sin(angle) * rows + math.cos(angle) * columns]
    )
    on_slm = on_slm * np.array([1, -1])[:, None, None] + np.array(optics.shift_px)[:, None, None] + (PX - 1) / 2
    truth = cv2.remap(phases[0], on_slm[1].astype(np.float32), on_slm[0].astype(np.float32), cv2.INTER_LINEAR)
    inside = np.hypot(rows, columns) < 100
    warped = registration.warp(phases[0], fill=None)
    assert np.corrcoef(warped[inside], truth[inside])[0, 1] > 0.93
    assert np.corrcoef(phases[0][inside], truth[inside])[0, 1] < 0.7, "the pose matters"


@pytest.mark.parametrize("label_px", [160, 400])
def test_labels_may_have_another_size_than_frames(label_px: int) -> None:
    optics = POSES[3]
    frames, phases = first(optics, 4)
    labels = [cv2.resize(phase, (label_px, label_px), interpolation=cv2.INTER_AREA) for phase in phases]
    registration = register_pairs(frames, labels)  # type: ignore[arg-type]
    assert registration.pattern_shape == (label_px, label_px)
    assert registration.scale == pytest.approx(PX / label_px / optics.scale, rel=0.03)
    assert rms(errors_px(registration, optics, label_px)) < 1.6
    assert registration.warp(labels[0], fill=None).shape == (PX, PX)  # type: ignore[arg-type]


def test_frames_may_be_a_part_of_the_pattern() -> None:
    frames, phases = first(STRAIGHT, 4)
    cut = [frame[20:220, 8:248] for frame in frames]
    registration = register_pairs(cut, [phase[20:220, 8:248] for phase in phases])
    assert registration.camera_shape == (200, 240)
    assert rms(errors_px(registration, STRAIGHT)) < 1.6


@pytest.mark.parametrize("optics", [STRAIGHT, *POSES], ids=lambda optics: f"seed {optics.seed}")
def test_labels_of_other_frames_are_refused(optics: OpticsConfig) -> None:
    frames, phases = first(optics, 4)
    with pytest.raises(CalibrationError, match=r"correlation of -?0\.[0-4]\d, at least 0\.5 is needed; check the names"):
        register_pairs(frames, phases[1:] + phases[:1])


def test_labels_without_anything_on_them_are_refused() -> None:
    frames, phases = first(STRAIGHT, 3)
    with pytest.raises(CalibrationError, match=r"correlation of -?0\.00, at least"):
        register_pairs(frames, [np.full_like(phase, 1.5) for phase in phases])


@pytest.mark.parametrize("count", [0, 1])
def test_one_pair_is_too_little(count: int) -> None:
    with pytest.raises(CalibrationError, match=f"at least 2 pairs, got {count}; add"):
        register_pairs(*first(STRAIGHT, count))


def test_dark_and_tiny_frames_are_refused() -> None:
    frames, phases = first(STRAIGHT, 2)
    with pytest.raises(CalibrationError, match=r"lights 0\.0% of the frames.*laser"):
        register_pairs([frame * np.uint8(0) for frame in frames], phases)
    with pytest.raises(CalibrationError, match=r"at least 64 px, got \(60, 256\)"):
        register_pairs([frame[:60] for frame in frames], phases)
