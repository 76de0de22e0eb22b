"""A re-tune registers the patterns and gives pairs that reconstruct phase; it refuses a moving fibre and swapped patterns."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from acquisition.patterns.sources import open_source
from app.instrument.config import checked
from app.instrument.opening import open_rig
from calibration import retune
from calibration.retune import ReferencePairs, RetuneData
from calibration.stored import CalibrationError
from drivers.clock import VirtualClock
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.sensor import SensorConfig
from reconstruction.base import ReconstructionError
from reconstruction.data.pairs import TwinExposure
from reconstruction.field import to_grid
from reconstruction.live.pairs_method import PairsMethod, pairs_grid_px
from reconstruction.metrics import pearson

PX, PROBE_PATTERNS = 256, 6
OPTICS = OpticsConfig(image_px=PX, field_radius_um=82.0, seed=81)
POSED = replace(OPTICS, seed=82, scale=1.06, rotation_deg=-4.0, shift_px=(4.0, -5.0), flip=True)


@cache
def shots(optics: OpticsConfig = OPTICS) -> tuple[RetuneData, NDArray[np.uint8], NDArray[np.float32]]:
    """Return the shots of a re-tune, and a held-out image's frame and phase."""
    source = open_source("leaves", (PX, PX), count=PROBE_PATTERNS + 1, seed=optics.seed)
    phases = np.stack(
        [*[np.zeros((PX, PX), np.float32)] * 4, *(source[index].phase_rad for index in range(PROBE_PATTERNS + 1))]
    )
    frames = TwinExposure(FibreOptics(optics), SensorConfig(), 0.01, optics.seed)(phases)
    data = RetuneData(tuple(frames[:4]), tuple(frames[4:-1]), tuple(phases[4:-1]))
    return data, frames[-1], phases[-1]


@cache
def reference_pairs(optics: OpticsConfig = OPTICS) -> ReferencePairs:
    return retune.fit(shots(optics)[0])


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
    done: list[int] = []
    data = retune.acquire(open_rig(checked(settings, "test"), VirtualClock())[0], probe_patterns=4, progress=done.append)
    # So small a field is only seven times wider than the reach of a phase.
    assert done == list(range(1, 9))
    assert (len(data.flats), len(data.frames), len(data.phases_rad)) == (4, 4, 4)
    pairs = retune.fit(data)
    assert pairs.registration.scale == pytest.approx(1.0, abs=0.1)
    assert abs(pairs.registration.rotation_deg) < 3
    assert not pairs.registration.flipped


def test_pairs_report_honestly_how_well_they_reconstruct() -> None:
    _, frame, phase = shots()
    method = PairsMethod(reference_pairs())
    read = method.run(frame, reference_pairs().reference)
    held_out = pearson(read[method.mask], to_grid(phase, PX // 4)[method.mask])
    assert method.correlation() > 0.6, "a constant has 0"
    assert method.correlation() == pytest.approx(held_out, abs=0.2)
    mixed = PairsMethod(
        replace(reference_pairs(), phases_rad=reference_pairs().phases_rad[1:] + reference_pairs().phases_rad[:1])
    )
    assert mixed.correlation() < 0.3


class _Constant:
    def __init__(self, method: PairsMethod) -> None:
        self.id, self.name, self.engine, self.mask = "c", "constant", "none", method.mask

    def check_frame(self, shape: tuple[int, int]) -> None: ...

    def run(self, frame: NDArray[np.generic], reference: NDArray[np.float32]) -> NDArray[np.float32]:
        rows = np.mgrid[: PX // 4, : PX // 4][0]
        return np.asarray(rows, np.float32)


def test_methods_are_compared_on_the_same_pairs() -> None:
    method = PairsMethod(reference_pairs())
    reference = reference_pairs().reference
    assert method.correlation_of(_Constant(method), reference) < method.correlation() - 0.3
    # With its own pairs among the references the method knows the answers. The honest number leaves them out.
    assert method.correlation_of(method, reference) > method.correlation()


@pytest.mark.parametrize("grid_px", [0, 32, 64, 128])
def test_the_phase_comes_on_the_grid_that_is_asked_for(grid_px: int) -> None:
    _, frame, phase = shots()
    method = PairsMethod(reference_pairs(), grid_px)
    side = grid_px or PX // 4
    read = method.run(frame, reference_pairs().reference)
    assert read.shape == method.mask.shape == (side, side)
    assert read.dtype == np.float32
    assert np.percentile(read[method.mask], 1) == pytest.approx(0, abs=1e-4)
    assert pearson(read[method.mask], to_grid(phase, side)[method.mask]) > 0.6
    assert 0.55 < method.mask.mean() < 0.75, "the fibre's disc"


def test_a_method_knows_its_pairs_and_its_frames() -> None:
    method = PairsMethod(reference_pairs())
    assert method.id == PairsMethod(reference_pairs()).id != PairsMethod(reference_pairs(POSED)).id
    assert method.name == f"{PROBE_PATTERNS} reference pairs"
    method.check_frame((PX, PX))
    with pytest.raises(ReconstructionError, match=r"reference pairs are \(256, 256\), the camera gives \(128, 128\); re-tune"):
        method.check_frame((128, 128))
    with pytest.raises(ReconstructionError, match=r"square frames, the camera gives \(200, 256\)"):
        pairs_grid_px((200, 256))
