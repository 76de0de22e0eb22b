"""A re-tune registers the patterns and gives pairs that reconstruct phase; it refuses a moving fibre and swapped patterns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.instrument.config import checked
from app.instrument.opening import open_rig
from calibration import retune
from calibration.stored import CalibrationError
from drivers.base import Frame
from drivers.clock import VirtualClock
from drivers.twin.optics import FibreOptics
from drivers.twin.sensor import SensorConfig
from reconstruction.data.pairs import TwinExposure
from reconstruction.field import to_grid
from reconstruction.live.pairs_method import PairsMethod
from reconstruction.metrics import pearson
from tests.helpers.retune_shots import OPTICS, POSED, PROBE_PATTERNS, PX, reference_pairs, shots


def test_the_reference_is_the_mean_of_the_flat_shots() -> None:
    pairs = reference_pairs()
    assert pairs.reference.dtype == np.float32
    np.testing.assert_allclose(pairs.reference, np.mean(shots()[0].flats, axis=0), atol=1e-3)
    assert 0.75 < pairs.stability < 0.99, "shots of one pattern differ by phase noise, averaged in twos"
    assert len(pairs.frames) == len(pairs.phases_rad) == PROBE_PATTERNS
    assert all(phase.shape == (PX, PX) and phase.dtype == np.float32 for phase in pairs.phases_rad)


def test_a_turned_and_mirrored_pattern_is_laid_on_the_camera() -> None:
    data, frame, phase = shots(POSED)
    pairs = reference_pairs(POSED)
    assert pairs.registration.flipped
    assert pairs.registration.scale == pytest.approx(1 / POSED.scale, abs=0.02)
    assert pairs.registration.rotation_deg == pytest.approx(-POSED.rotation_deg, abs=0.8)
    assert pairs.registration.shift_px == pytest.approx(pairs.registration.to_camera(np.zeros((1, 2)))[0])
    method = PairsMethod(pairs)
    truth = to_grid(pairs.registration.warp(phase, fill=None), PX // 4)
    read = method.run(frame, pairs.reference)
    assert pearson(read[method.mask], truth[method.mask]) > 0.6
    raw = PairsMethod(replace(pairs, frames=data.frames, phases_rad=data.phases_rad))
    assert method.correlation() > raw.correlation() + 0.1, "without the registration pairs do not fit together"


@pytest.mark.parametrize("drift_rad", [0.9, 1.5])
def test_a_fibre_that_moves_meanwhile_is_refused(drift_rad: float) -> None:
    data = shots()[0]
    later = TwinExposure(FibreOptics(replace(OPTICS, drift_rad=drift_rad)), SensorConfig(), 0.01, 2)
    flats = later(np.zeros((2, PX, PX), np.float32))
    with pytest.raises(CalibrationError, match=r"correlates -?0\.[0-5]\d, at least 0\.6 is needed: the fibre is moving"):
        retune.fit(replace(data, flats=(*data.flats[:2], *flats)))


def test_a_small_drift_is_accepted() -> None:
    data = shots()[0]
    later = TwinExposure(FibreOptics(replace(OPTICS, drift_rad=0.2)), SensorConfig(), 0.01, 2)
    pairs = retune.fit(replace(data, flats=(*data.flats[:2], *later(np.zeros((2, PX, PX), np.float32)))))
    assert 0.6 < pairs.stability < reference_pairs().stability


def test_probes_in_another_order_and_too_few_are_refused() -> None:
    data = shots()[0]
    with pytest.raises(CalibrationError, match=r"correlation of -?0\.[0-4]\d, at least"):
        retune.fit(replace(data, frames=data.frames[1:] + data.frames[:1]))
    with pytest.raises(CalibrationError, match="at least 2 pairs, got 1"):
        retune.fit(replace(data, frames=data.frames[:1], phases_rad=data.phases_rad[:1]))


def test_the_shots_are_taken_by_an_instrument() -> None:
    settings = {"twin": {"optics": {"image_px": 128, "field_radius_um": 41.0}}}
    seen: list[Frame] = []
    data = retune.acquire(open_rig(checked(settings, "test"), VirtualClock())[0], probe_patterns=4, on_frame=seen.append)
    # So small a field is only seven times wider than the reach of a phase.
    assert len(seen) == 8
    assert seen[2].pixels is data.frames[0]
    assert (len(data.flats), len(data.frames), len(data.phases_rad)) == (4, 4, 4)
    pairs = retune.fit(data)
    assert pairs.registration.scale == pytest.approx(1.0, abs=0.1)
    assert abs(pairs.registration.rotation_deg) < 3
    assert not pairs.registration.flipped
