"""The plan of the experiment: the same minutes and pairs for every model, and a base before each fine-tuning."""

from __future__ import annotations

import pytest

from app.benchmarks.papers.plan import FEW_PAIRS, LONG_MINUTES, MIXED, PaperModel, Shelf, paper_models
from app.instrument.kinds import InstrumentName
from reconstruction.models.registry import build, config_of

SMALL = paper_models(InstrumentName.FIBRE64, 64, 32)
FIRST = [model for model in SMALL if model.shelf is Shelf.METHODS and model.seed == 1]


def test_all_methods_get_the_same_pairs_and_minutes_and_specdiffusion_also_four_times_those() -> None:
    assert {model.data for model in FIRST} == {MIXED}
    assert MIXED.pairs == 12_000
    minutes = {model.name: model.minutes for model in FIRST}
    assert minutes.pop("specdiffusion-fibre64-160") == LONG_MINUTES == 160
    assert set(minutes.values()) == {40}
    kinds = {"unet", "resunet", "referenced", "mean-flow", "calibrated"}
    assert set(minutes) == {"specdiffusion-fibre64-40", *(f"{kind}-fibre64" for kind in kinds)}


def test_names_are_unique_and_three_seeds_are_trained_where_the_table_states_them() -> None:
    assert len({model.name for model in SMALL}) == len(SMALL)
    for kind in ("unet", "referenced"):
        seeds = sorted(model.seed for model in SMALL if model.shelf is Shelf.METHODS and model.kind == kind)
        assert seeds == [1, 2, 3]


@pytest.mark.parametrize("model", FIRST, ids=lambda model: model.name)
def test_published_networks_have_the_sampling_of_the_frame_ours_half_of_it_and_all_some_two_million_weights(
    model: PaperModel,
) -> None:
    options = {"frame_px": 64, "field_radius": 0.97, **model.network, **model.stages[-1].network}
    network = build(model.kind, config_of(model.kind, options))
    assert network.config.grid_px == (64 if model.kind in ("unet", "resunet", "specdiffusion") else 32)
    assert 1.2e6 < sum(parameter.numel() for parameter in network.parameters()) < 3.2e6


def test_specdiffusion_begins_as_a_regressor_and_keeps_a_quarter_at_pure_noise() -> None:
    models = [model for model in FIRST if model.kind == "specdiffusion"]
    for model in models:
        assert [stage.network.get("mean_only", False) for stage in model.stages] == [True, False]
        assert model.stages[-1].network["pure_noise"] == 0.25
        assert [stage.part for stage in model.stages] == [0.5, 1.0]
        assert model.network["predicts"] == "picture"
    short, long = models
    assert (long.base, long.base_minutes) == (short.name, short.minutes)
    assert long.base_minutes < long.minutes * long.stages[0].part


def test_fine_tuning_begins_with_a_model_that_saw_no_cells() -> None:
    transfer = [model for model in SMALL if model.shelf is Shelf.TRANSFER]
    names = [model.name for model in transfer]
    for model in transfer:
        if model.few:
            base = transfer[names.index(model.base)]
            assert names.index(model.base) < names.index(model.name)
            assert (base.data.source, model.data.source) == ("leaves", "cells")
    for kind in ("unet", "specdiffusion", "referenced"):
        assert [model.few for model in transfer if model.kind == kind] == [0, *FEW_PAIRS]


def test_the_larger_fibre_has_the_table_alone() -> None:
    large = paper_models(InstrumentName.FIBRE128, 128, 64)
    assert {model.shelf for model in large} == {Shelf.METHODS}
    assert {model.seed for model in large} == {1}
