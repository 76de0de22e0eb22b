"""The map from pattern to camera is found to a fraction of a pixel in any pose; what cannot be mapped is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from app.instrument.config import checked
from app.instrument.opening import open_rig
from calibration.registration import gray_code
from calibration.registration.affine import Registration
from calibration.registration.gray_code import RegistrationData
from calibration.stored import CalibrationError
from drivers.clock import VirtualClock
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig

SMALL = OpticsConfig(image_px=128, field_radius_um=41.0)


def measure(optics: OpticsConfig) -> RegistrationData:
    settings = {"twin": {"optics": {**vars(optics)}}}
    return gray_code.acquire(open_rig(checked(settings, "test"), VirtualClock())[0])


@cache
def small() -> RegistrationData:
    return measure(SMALL)


def errors_px(registration: Registration, optics: OpticsConfig, camera_px: tuple[float, float] = (0, 0)) -> NDArray[np.float64]:
    """Distances over the fibre's disc between where the camera sees a pattern's point and where the map says."""
    radius = optics.field_radius_um / optics.pixel_um
    axis = np.arange(-radius, radius, 4)
    disc = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    disc = disc[np.hypot(*disc.T) < radius]
    angle = math.radians(optics.rotation_deg)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    on_slm = optics.scale * disc @ turn.T * [1, -1 if optics.flip else 1] + optics.shift_px
    return np.hypot(*(registration.to_camera(on_slm) - disc - camera_px).T)


def affine(matrix: list[list[float]], pattern: tuple[int, int] = (40, 40), camera: tuple[int, int] = (40, 40)) -> Registration:
    return Registration(np.array(matrix, np.float64), pattern, camera, 1.0, 0.0, 8.5)


@pytest.mark.parametrize(
    "pose",
    [
        OpticsConfig(seed=21, scale=1.07, rotation_deg=-9.0, shift_px=(14.0, -11.0), flip=True),
        pytest.param(OpticsConfig(seed=22, scale=0.92, rotation_deg=6.5, shift_px=(-12.0, 9.0)), marks=pytest.mark.slow),
        pytest.param(OpticsConfig(seed=23, rotation_deg=140.0, flip=True), marks=pytest.mark.slow),
        pytest.param(OpticsConfig(seed=24, scale=0.7, rotation_deg=-90.0, shift_px=(-40.0, 30.0)), marks=pytest.mark.slow),
        pytest.param(OpticsConfig(seed=25, scale=1.3, rotation_deg=10.0, shift_px=(20.0, 0.0)), marks=pytest.mark.slow),
    ],
)
def test_any_pose_is_found_to_a_fraction_of_a_pixel(pose: OpticsConfig) -> None:
    data = measure(pose)
    assert len(data.frames) + len(data.flat) == 28
    registration = gray_code.fit(data)
    error = errors_px(registration, pose)
    assert np.sqrt(np.mean(error**2)) < 0.3
    assert error.max() < 0.6
    assert registration.uncertainty_px < 0.3
    assert registration.flipped == pose.flip
    assert registration.scale == pytest.approx(1 / pose.scale, abs=0.003)
    assert registration.rotation_deg == pytest.approx(-pose.rotation_deg, abs=0.15)


def test_panel_and_camera_may_have_any_shape() -> None:
    # The twin sees a 512 x 512 part of a larger panel, and the camera reads out a part of its chip.
    optics = OpticsConfig(seed=31, rotation_deg=4.0)
    fibre = FibreOptics(optics)
    masks, bits = gray_code.probe_pattern_masks((576, 700), 8, 8.5)
    assert bits == (4, 4)
    top, left = 40, 130
    displayed = np.concatenate([np.zeros((4, 512, 512), bool), masks[:, top : top + 512, left : left + 512]])
    with torch.inference_mode():
        noise = fibre.shot_noise_rad(len(displayed), torch.Generator().manual_seed(1))
        light = fibre.intensity(torch.from_numpy(displayed * np.float32(np.pi)), noise).numpy()[:, 20:, 10:500] * 35
    registration = gray_code.fit(RegistrationData(flat=light[:4], masks=masks, frames=light[4:], bits=bits))
    assert (registration.pattern_shape, registration.camera_shape) == ((576, 700), (492, 490))
    on_panel = replace(optics, shift_px=(top + 256 - 288, left + 256 - 350))
    error = errors_px(registration, on_panel, (512 / 2 - 20 - 492 / 2, 512 / 2 - 10 - 490 / 2))
    assert np.sqrt(np.mean(error**2)) < 0.3


def test_the_stated_uncertainty_is_of_the_errors_size() -> None:
    # A small field has few grains, so the errors are large enough to compare.
    poses = [replace(SMALL, seed=seed) for seed in range(1, 9)]
    registrations = [gray_code.fit(measure(pose)) for pose in poses]
    error = math.sqrt(np.mean([np.mean(errors_px(each, pose) ** 2) for each, pose in zip(registrations, poses, strict=True)]))
    stated = math.sqrt(np.mean([each.uncertainty_px**2 for each in registrations]))
    assert 0.4 < stated / error < 2.5


def test_a_warped_pattern_lies_where_the_map_says() -> None:
    registration = affine([[0.0, -0.5, 3.0], [0.5, 0.0, -2.0]], pattern=(60, 80), camera=(50, 40))
    y, x = np.mgrid[:60, :80]
    for point in ((10.0, -7.0), (-12.0, 15.0)):
        spot = np.exp(-((y - 29.5 - point[0]) ** 2 + (x - 39.5 - point[1]) ** 2) / 18).astype(np.float32)
        warped = registration.warp(spot)
        assert warped.shape == (50, 40)
        rows, columns = np.mgrid[:50, :40]
        centre = np.array([(warped * rows).sum(), (warped * columns).sum()]) / warped.sum()
        assert centre == pytest.approx(registration.to_camera(np.array([point]))[0] + [24.5, 19.5], abs=0.02)
    assert registration.to_pattern(registration.to_camera(np.array([[3.0, 4.0]]))) == pytest.approx(np.array([[3.0, 4.0]]))
    assert (registration.scale, registration.rotation_deg, registration.flipped) == (0.5, 90.0, False)
    assert registration.matrix_xy @ [7, 5, 1] == pytest.approx((registration.matrix @ [5, 7, 1])[::-1])


def test_warping_keeps_flat_phases_and_fills_what_lies_beside_the_pattern() -> None:
    registration = affine([[1.0, 0.0, 0.0], [0.0, -1.0, 30.0]])
    warped = registration.warp(np.full((40, 40), 2.0, np.float32), fill=-1.0)
    assert np.all(warped[:, 31:] == 2)
    assert np.all(warped[:, :29] == -1)
    assert registration.flipped
    with pytest.raises(CalibrationError, match=r"image is \(10, 10\)"):
        registration.warp(np.zeros((10, 10), np.float32))


def test_saturated_frames_are_refused() -> None:
    with pytest.raises(CalibrationError, match=r"5.0 % of a frame's pixels are saturated"):
        gray_code.fit(replace(small(), saturated=0.05))


def test_a_fibre_that_does_not_see_the_panel_is_refused(rng: np.random.Generator) -> None:
    data = small()
    frames = np.repeat(data.flat, len(data.frames) // len(data.flat), axis=0)
    assert len(frames) == len(data.frames)
    with pytest.raises(CalibrationError, match=r"changed the correlation of the speckle by 0\.\d\d, at least"):
        gray_code.fit(replace(data, frames=frames + rng.uniform(0, 2, frames.shape).astype(np.float32)))


def test_a_fibre_that_moves_and_darkness_are_refused(rng: np.random.Generator) -> None:
    data = small()
    moved = np.concatenate([data.flat[:2], measure(replace(SMALL, seed=2)).flat[:2]])
    with pytest.raises(CalibrationError, match=r"before and after correlates -?0\.\d\d"):
        gray_code.fit(replace(data, flat=moved))
    dark = rng.poisson(2.0, data.flat.shape).astype(np.float32)
    with pytest.raises(CalibrationError, match=r"before and after correlates (-?0\.\d\d|nan)"):
        gray_code.fit(replace(data, flat=dark, frames=data.frames * 0))


def test_frames_of_other_patterns_are_refused() -> None:
    data = small()
    with pytest.raises(CalibrationError, match="check that the fibre"):
        gray_code.fit(replace(data, frames=data.frames[::-1]))


def test_too_few_shots_are_a_wrong_call() -> None:
    rig = open_rig(checked({"twin": {"optics": {**vars(SMALL)}}}, "test"), VirtualClock())[0]
    with pytest.raises(ValueError, match="at least 2 blocks and 2 references, got 1 and 4"):
        gray_code.acquire(rig, blocks=1)
