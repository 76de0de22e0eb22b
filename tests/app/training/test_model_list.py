"""The list of models with their cards in words, and what a compilation on this computer has measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.instrument.config import InstrumentConfig, TwinConfig
from app.instrument.opening import fibre_name
from app.training.compiled_engines import EngineState, in_text, last_compilation, remember_compilation
from app.training.model_list import ModelOrigin, card_lines, fibre_of, listed_models, usable_model
from reconstruction.models.model import CARD, DEFAULT_MODEL, WEIGHTS, load_model, read_card, save_model, shipped_models
from tests.helpers.small_instrument import OPTICS, small_model, small_network

TWIN = fibre_of(InstrumentConfig())


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECKLESCOPE_CACHE", str(tmp_path_factory.mktemp("cache")))


def test_every_shipped_model_is_listed_with_a_card_in_words() -> None:
    models = listed_models()
    assert models[0].name == DEFAULT_MODEL
    assert sorted(model.name for model in models) == shipped_models()
    for model in models:
        lines = dict(card_lines(model))
        assert model.reference == model.name
        assert model.id == load_model(model.name).id
        assert model.id in lines["Hash"]
        assert "pictures that it had never seen" in lines["Scores"]
        assert {"What it is", "Trained on", "Trained for", "Fibre", "Scores", "Limits", "Size", "Speed"} <= set(lines)
        assert model.card is not None
        assert (model.misfit(TWIN) == "") is (model.card.fibre == TWIN)
    usual = dict(card_lines(models[0]))
    assert usual["Scores"].startswith("SSIM 0.871, correlation 0.975, mean absolute error 0.129 rad")
    assert "34 minutes" in usual["Trained for"]
    assert "Not compiled on this computer yet" in usual["Speed"]


def test_trained_models_follow_and_those_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    small_model(tmp_path / "models" / "good")
    small_model(tmp_path / "models" / "damaged")
    weights = tmp_path / "models" / "damaged" / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    (tmp_path / "models" / "damaged" / CARD).write_text("name: x\nweights_sha256: 7\n")
    models = listed_models([tmp_path / "models", tmp_path / "models" / "good", tmp_path / "gone"])
    damaged, good = models[-2:]
    assert (good.name, good.origin, good.reference) == ("good", ModelOrigin.TRAINED, str(tmp_path / "models" / "good"))
    assert "It was trained for fibre" in good.misfit(TWIN)
    assert good.misfit(fibre_name(OPTICS)) == good.misfit("") == ""
    assert damaged.card is None
    assert dict(card_lines(damaged))["Problem"] == damaged.problem == damaged.misfit(TWIN) != ""


def test_a_model_that_was_stopped_says_so(tmp_path: Path) -> None:
    card = small_model(tmp_path / "m").card
    save_model(tmp_path / "m", small_network(), replace(card, scores={"stopped_at_step": 250}))
    lines = dict(card_lines(listed_models([tmp_path / "m"])[-1]))
    assert lines["Scores"] == "none: its training was stopped at step 250"


def test_a_chosen_model_that_is_gone_or_of_another_fibre_is_refused_with_a_sentence(tmp_path: Path) -> None:
    small_model(tmp_path / "m")
    assert usable_model(DEFAULT_MODEL, TWIN) == ""
    assert usable_model(str(tmp_path / "m"), fibre_name(OPTICS)) == ""
    assert "The model m that you chose cannot be used. It was trained for fibre" in usable_model(str(tmp_path / "m"), TWIN)
    assert "is not there any more" in usable_model(str(tmp_path / "gone"), TWIN)


def test_the_card_is_read_without_the_network(tmp_path: Path) -> None:
    model = small_model(tmp_path / "m")
    card = read_card(tmp_path / "m")
    assert card == model.card
    assert card.weights_sha256.startswith(model.id)


def test_a_fibre_of_a_real_instrument_has_the_name_of_its_file() -> None:
    assert fibre_of(InstrumentConfig(twin=TwinConfig(optics=OPTICS))) == fibre_name(OPTICS)


def test_a_compilation_is_remembered_for_its_model() -> None:
    assert last_compilation("abc") is None
    rows: list[dict[str, object]] = [
        {"engine": "torch fp32", "state": "ready", "note": "", "ms": 55.0, "max_abs_diff_rad": 0.0, "frames": 8},
        {"engine": "openvino bf16", "state": "ready", "note": "", "ms": 11.5, "max_abs_diff_rad": 0.002},
        {"engine": "tensorrt fp16", "state": "refused", "note": "no GPU", "ms": None},
    ]
    remember_compilation("abc", {"evaluated_on": "real frames", "rows": rows, "chosen_engine": "OpenVINO bf16"})
    compilation = last_compilation("abc")
    assert compilation is not None
    assert compilation.fastest is compilation.rows[1]
    assert compilation.rows[2].state is EngineState.REFUSED
    assert in_text(compilation).endswith("openvino bf16 is the fastest, 11.5 ms for each frame")
    remember_compilation("abc", {"evaluated_on": "real frames", "rows": rows[2:], "chosen_engine": ""})
    assert "no engine can be used; torch runs it" in in_text(last_compilation("abc"))
