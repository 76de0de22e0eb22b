"""``specklescope compile``, and plans that are built for a GPU of another machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from app.cli.main import main
from app.instrument.config import save_config
from reconstruction.engines.base import EngineError, Precision
from reconstruction.engines.choose import open_engine
from reconstruction.engines.onnx.export import model_graph
from reconstruction.engines.tensorrt import build
from reconstruction.engines.tensorrt.build import build_plan
from reconstruction.engines.tensorrt.run import plan_of
from reconstruction.models.model import Model, load_model, shipped_models
from tests.helpers.small_instrument import small_instrument, small_model


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, exported_once: None) -> None:
    monkeypatch.setenv("SPECKLESCOPE_CACHE", str(tmp_path_factory.getbasetemp() / "compile-cache"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return small_model(tmp_path_factory.mktemp("models") / "small")


def run(*arguments: str) -> int:
    try:
        main(list(arguments))
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.mark.parametrize("options", [("--here",), pytest.param((), marks=pytest.mark.slow)], ids=["here", "also plans"])
def test_compile_checks_every_engine_and_stores_the_fastest(options: tuple[str, ...], tmp_path: Path) -> None:
    numbers, instrument = tmp_path / "numbers.json", tmp_path / "instrument.yaml"
    config = small_instrument(tmp_path)
    save_config(config, instrument)
    assert run("compile", config.model, *options, "--config", str(instrument), "--json", str(numbers)) == 0
    content = json.loads(numbers.read_text())
    states = {row["engine"]: row["state"] for row in content["rows"]}
    assert states["torch fp32"] == states["openvino fp32"] == states["onnxruntime fp32"] == "ready"
    assert ("tensorrt_rtx fp16" not in states) if options else (states["tensorrt_rtx fp16"] in ("built", "ready"))
    assert content["evaluated_on"] == "real frames"
    ready = [row for row in content["rows"] if row["state"] == "ready"]
    assert all(row["max_abs_diff_rad"] <= 1e-3 for row in ready if row["engine"].endswith("fp32"))
    assert all(row["rms_diff_rad"] <= 0.02 and row["ssim_loss"] <= 0.002 for row in ready)
    assert content["chosen_engine"] in {row["engine"] for row in ready}
    assert "(measured 2" in open_engine(load_model(config.model)).reason


@pytest.mark.slow
def test_compile_refuses_what_loses_too_much(capfd: pytest.CaptureFixture[str]) -> None:
    code = run("compile", "resunet-twin", "--engine", "openvino", "--precision", "int8")
    assert (code, "of SSIM, more than 0.005" in capfd.readouterr().err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("unet-twin", "--precision", "bf16"), "name one with --engine"),
        (("unet-twin", "--engine", "warp"), "no engine named 'warp"),
        (("unet-twin", "--engine", "torch", "--here"), "--here builds several engines and --engine torch one"),
        (("unet-twin", "--engine", "onnxruntime", "--precision", "bf16"), "has no precision 'bf16'"),
        (("no-such-model",), "no model at no-such-model"),
        (("unet-twin", "--frames", "nowhere"), "nowhere"),
    ],
)
def test_compile_says_what_is_wrong(arguments: tuple[str, ...], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("compile", *arguments) == 1
    assert message in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16, Precision.BF16])
def test_a_plan_for_rtx_is_built_without_a_gpu(
    precision: Precision, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPECKLESCOPE_CACHE", str(tmp_path))  # another test builds the same plan
    stages: list[str] = []
    plan = plan_of("tensorrt_rtx", model, precision, lambda stage, done, total: stages.append(stage))
    content = plan.load()
    assert content is not None
    assert len(content) > 10_000
    assert stages
    stages.clear()
    again = plan_of("tensorrt_rtx", model, precision, lambda stage, *_: stages.append(stage))
    assert (again.path, stages) == (plan.path, [])


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped_models())
def test_every_shipped_model_is_built_for_rtx(name: str) -> None:
    shipped = load_model(name)
    for part in shipped.network.parts() or [""]:
        assert plan_of("tensorrt_rtx", shipped, Precision.FP16, part=part).load()


def test_a_graph_that_rtx_does_not_understand_is_refused_with_the_reason(tmp_path: Path) -> None:
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(b"no graph")
    with pytest.raises(EngineError, match=r"tensorrt_rtx could not build the model .*choose another engine"):
        build_plan("tensorrt_rtx", graph)


def test_a_crash_while_building_is_survived(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    crashing = tmp_path / "python"
    crashing.write_text(f'#!/bin/sh\nexec {sys.executable} -c "import os; os.abort()"\n')
    crashing.chmod(0o755)
    monkeypatch.setattr(build.sys, "executable", str(crashing))
    with pytest.raises(EngineError, match=r"its process ended with -6"):
        build_plan("tensorrt_rtx", model_graph(model).path)


def test_a_build_that_hangs_is_stopped(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = tmp_path / "python"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(build.sys, "executable", str(hanging))
    monkeypatch.setattr(build, "_BUILD_TIMEOUT_S", 0.2)
    with pytest.raises(EngineError, match=r"did not build the model within 0\.2 s"):
        build_plan("tensorrt_rtx", model_graph(model).path)


def test_a_library_that_is_not_installed_is_named(model: Model) -> None:
    with pytest.raises(EngineError, match="pip install no-such-rt"):
        build.load_library("no_such_rt")
