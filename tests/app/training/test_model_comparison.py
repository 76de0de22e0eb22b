"""A new model beside the one in use, on pictures that neither has seen."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.instrument.config import InstrumentConfig
from app.training.model_comparison import PICTURES, ComparisonOrder, compare_models
from app.training.verdict import Verdict
from drivers.base import SpeckleScopeError
from reconstruction.models.model import save_model
from tests.helpers.small_instrument import small_instrument, small_model, small_network


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> InstrumentConfig:
    return small_instrument(tmp_path_factory.mktemp("instrument"))


def order_of(config: InstrumentConfig, new: Path) -> ComparisonOrder:
    return ComparisonOrder(new=str(new), present=config.model, config=config)


def test_both_models_reconstruct_the_same_pictures(config: InstrumentConfig, tmp_path: Path) -> None:
    card = small_model(tmp_path / "new").card
    new = save_model(tmp_path / "new", small_network(seed=1), card)
    reports: list[tuple[int, int]] = []
    comparison = compare_models(
        order_of(config, tmp_path / "new"), lambda done, total: reports.append((done, total)), threading.Event()
    )
    assert (comparison.new_name, comparison.present_name, comparison.new_id) == ("new", "small-model", new.id)
    assert len(comparison.pictures) == PICTURES
    assert reports[-1] == (PICTURES, PICTURES)
    first = comparison.pictures[0]
    assert first.present_rad is not None
    inside = np.isfinite(first.truth_rad)
    assert 0.5 < inside.mean() < 0.9
    assert first.new.mae_rad == pytest.approx(np.abs(first.new_rad - first.truth_rad)[inside].mean(), rel=1e-4)
    assert not np.array_equal(first.new_rad, first.present_rad, equal_nan=True)
    # Random weights reconstruct nothing, and this is what the verdict says.
    assert comparison.judgement.verdict is Verdict.LEARNED_NOTHING


def test_a_present_model_that_is_gone_is_named_and_the_new_one_is_shown(config: InstrumentConfig, tmp_path: Path) -> None:
    small_model(tmp_path / "new")
    order = replace(order_of(config, tmp_path / "new"), present=str(tmp_path / "gone"))
    comparison = compare_models(order, lambda done, total: None, threading.Event())
    assert comparison.present_name == ""
    assert "There is no present model to compare with: no model at" in comparison.note
    assert all(picture.present_rad is None for picture in comparison.pictures)


def test_it_stops_when_it_is_asked_to(config: InstrumentConfig, tmp_path: Path) -> None:
    small_model(tmp_path / "new")
    stop = threading.Event()
    stop.set()
    with pytest.raises(SpeckleScopeError, match="was stopped"):
        compare_models(order_of(config, tmp_path / "new"), lambda done, total: None, stop)


def test_pictures_of_another_fibre_cannot_be_simulated(tmp_path: Path) -> None:
    small_model(tmp_path / "new")
    order = ComparisonOrder(new=str(tmp_path / "new"), present="default-twin", config=InstrumentConfig())
    with pytest.raises(SpeckleScopeError, match="choose a dataset of this fibre"):
        compare_models(order, lambda done, total: None, threading.Event())
