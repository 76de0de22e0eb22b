"""One contract for every engine on this machine, and what happens to one that breaks it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from app.training.engine_check_frames import frames_for
from reconstruction.engines import choose, engine_kinds
from reconstruction.engines.artifacts import cache_folder
from reconstruction.engines.base import EngineError
from reconstruction.engines.check_frames import CheckFrames, recall
from reconstruction.engines.choose import interleaved_ms, open_engine, opened, present
from reconstruction.engines.engine_check import TOLERANCE_RAD, EngineCheck
from reconstruction.engines.engine_kinds import ENGINES, EngineKind, parse
from reconstruction.engines.fallback import FallbackEngine
from reconstruction.engines.onnx.export import model_graph
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.models.model import Model
from tests.helpers.small_instrument import FRAME_PX, GRID_PX, small_instrument, small_model

HERE = [
    (name, precision)
    for name, engine_kind in ENGINES.items()
    for precision in engine_kind.precisions
    if precision != "int8" and not engine_kind.missing(precision)
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return small_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch, exported_once: None) -> None:
    monkeypatch.setenv("SPECKLESCOPE_CACHE", str(cache))


@pytest.fixture
def engine_check(model: Model, tmp_path: Path) -> EngineCheck:
    frames = frames_for(model, small_instrument(tmp_path))
    assert frames is not None
    return EngineCheck(model, frames)


def frames(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).exponential(36, (2, FRAME_PX, FRAME_PX)).astype(np.float32)


# -- the contract -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("choice", HERE, ids=" ".join)
def test_every_engine_computes_what_torch_computes(choice: choose.Choice, engine_check: EngineCheck) -> None:
    engine = opened(choice, engine_check)
    assert engine.name == " ".join(choice)
    made = engine.run(engine_check.frames.frames[0], engine_check.frames.reference)
    assert made.shape == (GRID_PX, GRID_PX)
    assert made.dtype == np.float32


@pytest.mark.parametrize("choice", HERE, ids=" ".join)
def test_a_result_stays_what_it_was(choice: choose.Choice, engine_check: EngineCheck) -> None:
    engine = opened(choice, engine_check)
    first = engine.run(*frames(1))
    copy = first.copy()
    engine.run(*frames(2))
    assert np.array_equal(first, copy)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("choice", HERE, ids=" ".join)
def test_counts_of_every_type_mean_the_same(choice: choose.Choice, dtype: type, engine_check: EngineCheck) -> None:
    engine = opened(choice, engine_check)
    frame, reference = np.minimum(frames(3), 255).round()
    assert np.array_equal(engine.run(frame.astype(dtype), reference), engine.run(frame, reference))


@pytest.mark.parametrize("choice", HERE, ids=" ".join)
def test_a_new_reference_is_taken_over(choice: choose.Choice, engine_check: EngineCheck) -> None:
    engine, again = opened(choice, engine_check), opened(choice, engine_check)
    frame, reference = frames(4)
    engine.run(frame, frame)
    assert np.array_equal(engine.run(frame, reference), again.run(frame, reference))


# -- the choice -------------------------------------------------------------------------------------------------------


def test_auto_takes_the_fastest_and_says_so(model: Model) -> None:
    chosen = open_engine(model)
    assert chosen.reason.startswith("fastest here: ")
    assert chosen.name in chosen.reason


def test_without_real_frames_only_full_precision_is_tried(model: Model) -> None:
    assert {precision for _, precision in present(CheckFrames.noise(model))} == {"fp32"}


def test_a_choice_is_measured_once_on_a_machine(
    model: Model, engine_check: EngineCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_engine(model, frames=engine_check.frames, remembered=False)
    timed = []
    monkeypatch.setattr(choose, "interleaved_ms", lambda *words: timed.append(words) or interleaved_ms(*words))
    second = open_engine(model, frames=engine_check.frames)
    assert (second.name, timed) == (first.name, [])
    assert second.reason.startswith(first.reason)
    assert "(measured 2" in second.reason
    assert open_engine(model, frames=engine_check.frames, remembered=False).name
    assert timed, "asked not to remember, it measures"
    monkeypatch.setattr(choose, "_processor", lambda: "another machine")
    open_engine(model, frames=engine_check.frames)
    assert len(timed) == 2, "another machine has to be measured"


def test_a_remembered_engine_that_went_wrong_is_measured_anew(
    model: Model, engine_check: EngineCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_engine(model, frames=engine_check.frames, remembered=False)
    name = first.name.split()[0]
    broken = EngineKind(
        ("fp32", "bf16"), ("bf16", "fp32"), lambda model, precision, engine_check: Wrong(model), lambda precision: ""
    )
    monkeypatch.setitem(engine_kinds.ENGINES, name, broken)
    second = open_engine(model, frames=engine_check.frames)
    assert not second.name.startswith("wrong")
    assert "wrong" in second.reason


class Wrong(TorchEngine):
    name = "wrong"

    def run(self, frame: np.ndarray, reference: np.ndarray) -> np.ndarray:
        return super().run(frame, reference) + 0.03


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    engine_kind = EngineKind(("fp32",), ("fp32",), lambda model, precision, engine_check: Wrong(model), lambda precision: "")
    monkeypatch.setitem(engine_kinds.ENGINES, "wrong", engine_kind)
    return


@pytest.mark.usefixtures("wrong")
def test_a_wrong_engine_is_replaced_by_torch_and_the_reason_kept(model: Model) -> None:
    chosen = open_engine(model, "wrong")
    assert chosen.name == "torch fp32"
    assert "wrong differs from torch by 0.03 rad" in chosen.reason


def test_an_unknown_engine_is_refused_by_name(model: Model) -> None:
    with pytest.raises(EngineError, match="no engine named 'warp'; use auto"):
        open_engine(model, "warp")


def test_an_unknown_precision_is_refused_with_those_there_are() -> None:
    with pytest.raises(EngineError, match="onnxruntime has no precision 'fp64'; use fp32, int8"):
        parse("onnxruntime fp64")
    assert parse("openvino") == ("openvino", "fp32")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
@pytest.mark.parametrize("name", ["tensorrt", "tensorrt_rtx", "torch_cuda"])
def test_without_a_card_nothing_of_nvidia_is_touched(name: str, model: Model) -> None:
    chosen = open_engine(model, name)
    assert chosen.name == "torch fp32"
    assert "there is no NVIDIA card, or no driver for it" in chosen.reason


# -- the gate ---------------------------------------------------------------------------------------------------------


def engine_of(change: object, engine_check: EngineCheck) -> SimpleNamespace:
    torch_engine = TorchEngine(engine_check.model)
    return SimpleNamespace(name="made up", run=lambda *inputs: change(torch_engine.run(*inputs)))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("change", "precision", "words"),
    [
        (lambda phase: phase + 0.0011, "fp32", "differs from torch by 0.0011 rad"),
        (lambda phase: phase + 0.021, "bf16", "by 0.021 rad rms, more than 0.02; use fp32"),
        (lambda phase: phase * np.nan, "fp32", "not finite"),
        (lambda phase: phase[1:], "fp32", "belongs to another model"),
        (lambda phase: phase - 9, "int8", "of SSIM, more than 0.005"),
    ],
)
def test_the_gate_stays_shut(change: object, precision: str, words: str, engine_check: EngineCheck) -> None:
    truth = TorchEngine(engine_check.model)
    sure = np.stack([truth.run(frame, engine_check.frames.reference) for frame in engine_check.frames.frames])
    engine_check = EngineCheck(engine_check.model, CheckFrames(engine_check.frames.frames, engine_check.frames.reference, sure))
    with pytest.raises(EngineError, match=words):
        engine_check.check(engine_of(change, engine_check), precision)  # type: ignore[arg-type]


def test_the_gate_opens_for_what_is_near_enough(engine_check: EngineCheck) -> None:
    report = engine_check.check(engine_of(lambda phase: phase + 0.0005, engine_check), "fp32")  # type: ignore[arg-type]
    assert report.max_abs_diff_rad == pytest.approx(0.0005, rel=0.01)
    assert report.ssim_loss is not None
    assert report.frames == len(engine_check.frames.frames)


def test_16_bits_are_not_judged_on_noise(model: Model) -> None:
    with pytest.raises(EngineError, match="only be judged on real frames"):
        EngineCheck(model, CheckFrames.noise(model)).check(TorchEngine(model), "bf16")


def test_frames_of_a_fibre_are_kept_for_the_next_start(engine_check: EngineCheck) -> None:
    kept = recall(engine_check.model)
    assert kept is not None
    assert kept.truth_rad is not None
    assert np.array_equal(kept.frames[0], engine_check.frames.frames[0])


# -- while it runs ----------------------------------------------------------------------------------------------------


class Failing:
    """Works for two frames, then does something else."""

    name = "failing fp32"

    def __init__(self, model: Model, then: object) -> None:
        self._torch, self._then, self._runs = TorchEngine(model), then, 0

    def run(self, frame: np.ndarray, reference: np.ndarray) -> np.ndarray:
        self._runs += 1
        phase = self._torch.run(frame, reference)
        return phase if self._runs <= 2 else self._then(phase)  # type: ignore[operator]


def out_of_memory(phase: np.ndarray) -> np.ndarray:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.mark.parametrize(
    ("then", "words"),
    [(lambda phase: phase * np.nan, "not finite"), (out_of_memory, "CUDA out of memory")],
    ids=["nan", "memory"],
)
def test_an_engine_that_fails_while_it_runs_is_replaced(model: Model, then: object, words: str) -> None:
    def refused() -> TorchEngine:
        raise EngineError("not this one either")

    told: list[str] = []
    engine = FallbackEngine(Failing(model, then), model, "", [refused, lambda: TorchEngine(model)], told.append)
    made = [engine.run(*frames(seed)) for seed in range(5)]
    truth = TorchEngine(model)
    assert all(np.array_equal(phase, truth.run(*frames(seed))) for seed, phase in enumerate(made))
    assert engine.name == "torch fp32"
    assert len(told) == 1
    assert words in told[0]
    assert "going on with torch fp32" in told[0]
    assert "specklescope compile" in told[0]
    assert words in engine.reason


def test_when_torch_fails_too_it_says_so(model: Model) -> None:
    engine = FallbackEngine(TorchEngine(model), model, "")
    with pytest.raises(EngineError, match="torch cannot reconstruct this frame"):
        engine.run(*np.zeros((2, 3, 3), np.float32))


# -- what lies on the disk --------------------------------------------------------------------------------------------


def test_a_damaged_graph_is_logged_and_made_anew(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    graph = model_graph(model)
    whole = graph.path.read_bytes()
    graph.path.write_bytes(whole[:1000])
    assert open_engine(model, "openvino").name == "openvino fp32"
    assert "its check sum is not the one of" in caplog.text
    assert graph.load() is not None


def test_a_graph_of_other_facts_is_not_believed(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    graph = model_graph(model)
    note = json.loads(graph.sidecar.read_text())
    graph.sidecar.write_text(json.dumps({**note, "facts": {**note["facts"], "torch": "1.0"}}))
    assert open_engine(model, "onnxruntime").name == "onnxruntime fp32"
    assert "of another model, version or machine" in caplog.text


def test_a_full_disk_is_said(model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("SPECKLESCOPE_CACHE", str(blocked / "cache"))
    chosen = open_engine(model, "openvino")
    assert chosen.name == "torch fp32"
    assert "SPECKLESCOPE_CACHE" in chosen.reason
    assert cache_folder() == blocked / "cache"


# -- models in parts --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A calibrated model with its fibre, whose random steps do something small."""
    from drivers.twin.optics import FibreOptics
    from reconstruction.calibrated.few_step import CalibratedFewStep, FewStepConfig
    from reconstruction.calibrated.speckle_residual import SpeckleResidual
    from reconstruction.models.model import ModelCard, save_model
    from tests.helpers.small_instrument import OPTICS

    folder = tmp_path_factory.mktemp("models")
    start = small_model(folder / "start")
    shape = FewStepConfig(
        frame_px=FRAME_PX,
        grid_px=GRID_PX,
        field_radius=start.card.field_radius,
        start=str(folder / "start"),
        steps=2,
        base_channels=4,
    )
    torch.manual_seed(1)
    network = CalibratedFewStep(shape)
    for step in network.steps:
        torch.nn.init.normal_(step.head.weight, std=0.3)
    card = ModelCard("loop", start.card.fibre, start.card.field_radius, 2.85, shape.to_dict(), "calibrated")
    model = save_model(folder / "loop", network, card)
    model.network.attach(SpeckleResidual(FibreOptics(OPTICS), OPTICS.background, GRID_PX))
    return model


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_the_loop_computes_in_parts_what_torch_computes(calibrated: Model, name: str) -> None:
    chosen = open_engine(calibrated, name)
    assert chosen.name == f"torch + {name} fp32", chosen.reason
    truth = TorchEngine(calibrated)
    for seed in range(2):
        difference = chosen.run(*frames(seed)) - truth.run(*frames(seed))
        assert np.abs(difference).max() <= TOLERANCE_RAD
    assert np.abs(truth.run(*frames(0)) - truth.run(*frames(1))).max() > 3 * TOLERANCE_RAD


def test_the_model_itself_stays_as_it_was(calibrated: Model) -> None:
    before = dict(calibrated.network.named_modules())
    open_engine(calibrated, "openvino")
    assert dict(calibrated.network.named_modules()) == before


@pytest.mark.slow
def test_a_sampler_computes_in_parts_what_torch_computes(tmp_path: Path) -> None:
    from reconstruction.diffusion.specdiffusion import SpecDiffusion, SpecDiffusionConfig
    from reconstruction.models.model import ModelCard, save_model

    shape = SpecDiffusionConfig(frame_px=FRAME_PX, grid_px=GRID_PX, base_channels=8, heads=2, schedule="uniform-4")
    torch.manual_seed(2)
    network = SpecDiffusion(shape)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    card = ModelCard("draws", "some fibre", 1.0, 2.85, shape.to_dict(), "specdiffusion")
    sampler = save_model(tmp_path / "draws", network, card)
    chosen = open_engine(sampler, "openvino")
    assert chosen.name == "torch + openvino fp32", chosen.reason
    assert np.abs(chosen.run(*frames(0)) - TorchEngine(sampler).run(*frames(0))).max() <= TOLERANCE_RAD
