"""Which calibrated response a model gets: the configured one, the shipped one of the same fibre, or a clear error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.instrument.config import InstrumentConfig
from app.instrument.opening import fibre_name
from app.instrument.responses import SHIPPED_RESPONSES, attach, find_response
from calibration.fibre.response import FibreResponse, from_transmission
from calibration.stored import CalibrationError, Stored, save
from drivers.twin.optics import FibreOptics
from reconstruction.base import ReconstructionError
from reconstruction.calibrated.few_step import CalibratedFewStep, FewStepConfig
from reconstruction.models.model import Model, ModelCard
from tests.helpers.small_instrument import OPTICS, small_model

DEFAULT = fibre_name(InstrumentConfig().twin.optics)


def stored(folder: Path, fibre: str) -> FibreResponse:
    response = from_transmission(OPTICS, FibreOptics(OPTICS).transmission().numpy(), OPTICS.background, 64)
    kept = response.stored({})
    save(Stored(kept.kind, {}, {**kept.values, "fibre": fibre}, kept.arrays), folder)
    return response


def test_the_default_twin_has_a_shipped_response_that_was_measured() -> None:
    response = find_response(None, DEFAULT)
    assert response.probe_patterns >= 64
    assert response.quality > 0.99
    truth = FibreOptics(response.config)
    assert response.config == InstrumentConfig().twin.optics
    # Measured, not copied: close to the truth up to a phase common to a mode, but not equal.
    phases = np.exp(1j * (response.core_phase_rad[0] - truth.core_phase[0].numpy()))
    assert not np.allclose(phases, phases.mean(), atol=1e-3)


def test_a_fibre_that_nobody_measured_has_none() -> None:
    with pytest.raises(ReconstructionError, match=r"no response of fibre 'ours'.*calibrate response"):
        find_response(None, "ours")


def test_the_one_asked_for_is_taken_if_it_is_of_this_fibre(tmp_path: Path) -> None:
    response = stored(tmp_path / "r", "ours")
    chosen = find_response(tmp_path / "r", "ours")
    assert chosen.probe_patterns == 64
    assert np.abs(chosen.coupling - response.coupling).max() < 1e-3
    with pytest.raises(ReconstructionError, match="is that of fibre 'ours', not of 'theirs'"):
        find_response(tmp_path / "r", "theirs")
    with pytest.raises(CalibrationError, match="no readable calibration"):
        find_response(tmp_path / "nowhere", "ours")


def test_only_models_that_work_through_a_fibre_get_one(tmp_path: Path) -> None:
    stored(tmp_path / "r", "ours")
    attach(small_model(tmp_path / "plain"), None, "nobody's")
    loop = CalibratedFewStep(FewStepConfig(frame_px=128, grid_px=32, steps=1, base_channels=4, multipliers=(1, 2)))
    card = ModelCard(
        name="loop",
        fibre="ours",
        field_radius=0.9,
        phase_range_rad=2.85,
        network=loop.config.to_dict(),
        kind="calibrated",
    )
    model = Model(loop, card, "0" * 12)
    attach(model, tmp_path / "r", "ours")
    assert loop.fibre is not None
    assert loop.fibre.grid_px == 32


def test_shipped_responses_are_small() -> None:
    assert sum(file.stat().st_size for file in SHIPPED_RESPONSES.rglob("*")) < 10_000_000
