"""What cannot be trained is said before anything begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.training.order_check import TrainedFibre, TrainingData, order_problem
from app.training.process import TrainingOrder
from reconstruction.models.model import ModelCard

TWIN, REAL = TrainedFibre(name="twin 1", simulated=True), TrainedFibre(name="liver fibre", simulated=False)
START = ModelCard(name="s", fibre="twin 1", field_radius=1.0, phase_range_rad=2.85, network={})


@pytest.fixture
def order(tmp_path: Path) -> TrainingOrder:
    return TrainingOrder(folder=tmp_path / "m")


@pytest.fixture
def captured(order: TrainingOrder, tmp_path: Path) -> TrainingOrder:
    (tmp_path / "liver").mkdir()
    return replace(order, dataset=tmp_path / "liver")


def test_what_can_be_trained_has_no_problem(order: TrainingOrder, captured: TrainingOrder) -> None:
    assert order_problem(order, TWIN, TrainingData(), None) == ""
    assert order_problem(captured, REAL, TrainingData(fibre="liver fibre", pairs=100), None) == ""
    assert order_problem(captured, REAL, TrainingData(fibre="", pairs=100), None) == ""


def test_a_dataset_of_another_fibre_is_refused_with_both_names(captured: TrainingOrder) -> None:
    problem = order_problem(captured, TWIN, TrainingData(fibre="liver fibre", pairs=100), None)
    assert problem.startswith("liver is a dataset of fibre 'liver fibre', and this instrument has 'twin 1'.")


def test_a_new_model_needs_64_pairs_and_one_that_learns_on_does_not(captured: TrainingOrder) -> None:
    data = TrainingData(fibre="twin 1", pairs=60)
    problem = order_problem(captured, TWIN, data, None)
    assert "about 48 of its 60 pairs are for training, and a new model of this kind needs at least 64" in problem
    assert "start from a trained model" in problem
    assert order_problem(captured, TWIN, data, START) == ""
    assert "at least 8" in order_problem(captured, TWIN, replace(data, pairs=6), START)


def test_pairs_are_simulated_for_the_twin_only(order: TrainingOrder) -> None:
    assert "choose a dataset" in order_problem(order, REAL, TrainingData(), None)


def test_a_dataset_that_is_gone_or_unreadable_is_named(captured: TrainingOrder, tmp_path: Path) -> None:
    assert "liver cannot be used: its journal is damaged" in order_problem(
        captured, TWIN, TrainingData(problem="its journal is damaged"), None
    )
    (tmp_path / "liver").rmdir()
    assert "liver is not there any more; plug in its disk" in order_problem(captured, TWIN, TrainingData(pairs=100), None)


def test_the_name_of_a_model_that_exists_is_refused(order: TrainingOrder) -> None:
    order.folder.mkdir()
    (order.folder / "card.yaml").write_text("name: m")
    assert "is not empty; choose another name" in order_problem(order, TWIN, TrainingData(), None)
