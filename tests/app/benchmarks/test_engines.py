"""``specklescope bench engines`` on a small model: every engine there is, in rows that say what they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from app.benchmarks import engines, model_times
from app.cli.main import main
from app.instrument.config import save_config
from reconstruction.engines.engine_check import TOLERANCE_RAD
from reconstruction.engines.engine_kinds import ENGINES
from reconstruction.models.model import load_model, save_model
from tests.helpers.small_instrument import GRID_PX, small_instrument

#: What a script may rely on.
KEYS = {"engine", "model", "size_px", "precision", "ms_p50", "ms_p99", "fps", "max_abs_diff_rad", "memory_mb"}


@pytest.mark.slow
@pytest.mark.usefixtures("exported_once")
def test_every_engine_has_a_row_or_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECKLESCOPE_CACHE", str(tmp_path / "cache"))
    config = small_instrument(tmp_path)
    name = Path(config.model).name
    monkeypatch.setattr(engines, "shipped_models", lambda: [config.model])
    monkeypatch.setattr(engines, "SIZES_PX", (GRID_PX, 2 * GRID_PX))
    monkeypatch.setattr(engines, "U_NET", config.model)
    monkeypatch.setattr(engines, "_QUICK_STEADY_FRAMES", 100)
    save_config(config, tmp_path / "instrument.yaml")
    numbers = tmp_path / "numbers.json"
    with pytest.raises(SystemExit) as ended:
        main(["bench", "engines", "--quick", "--config", str(tmp_path / "instrument.yaml"), "--json", str(numbers)])
    assert not ended.value.code
    content = json.loads(numbers.read_text())
    rows = content["rows"]
    assert all(row.keys() >= KEYS for row in rows)
    assert all(0 < row["ms_p50"] <= row["ms_p99"] and row["model"] == name for row in rows)
    assert {row["size_px"] for row in rows} == {GRID_PX}, "a front end of ridge maps is for one grid"
    assert any("for a grid of 32 px only" in why for why in content["skipped"])
    assert {row["engine"].split()[0] for row in rows} == {
        name for name, engine_kind in ENGINES.items() if not engine_kind.missing("fp32")
    }
    exact = [row for row in rows if row["precision"] == "fp32"]
    assert all(row["max_abs_diff_rad"] <= TOLERANCE_RAD for row in exact)
    eager = next(row["ms_p50"] for row in rows if row["engine"] == "torch fp32")
    fastest = min(row["ms_p50"] for row in rows)
    assert content["ratio_to_torch_eager"] == {str(GRID_PX): pytest.approx(eager / fastest)}
    assert content["chosen_engine"] in {row["engine"] for row in rows}
    assert content["live_loop_overhead"] > -1
    assert content["steady_state"]["frames"] == 100


@pytest.mark.slow
@pytest.mark.usefixtures("exported_once")
def test_models_take_turns_and_are_compared_with_the_configured_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECKLESCOPE_CACHE", str(tmp_path / "cache"))
    config = small_instrument(tmp_path)
    other = load_model(config.model)
    with torch.no_grad():
        next(other.network.parameters()).mul_(0.9)
    save_model(tmp_path / "other", other.network, replace(other.card, name="other"))
    monkeypatch.setattr(model_times, "shipped_models", lambda: [config.model, tmp_path / "other", "default-twin"])
    save_config(config, tmp_path / "instrument.yaml")
    numbers = tmp_path / "numbers.json"
    arguments = ["--between-models", "--quick", "--config", str(tmp_path / "instrument.yaml"), "--json", str(numbers)]
    with pytest.raises(SystemExit) as ended:
        main(["bench", "engines", *arguments])
    assert not ended.value.code
    content = json.loads(numbers.read_text())
    first, second = content["rows"]
    assert (first["model"], first["ratio"], second["model"]) == (Path(config.model).name, 1.0, "other")
    assert second["ratio"] == pytest.approx(second["ms_p50"] / first["ms_p50"])
    assert first["frames"] == second["frames"]
    assert len(content["skipped"]) == 1
    assert "default-twin" in content["skipped"][0]
