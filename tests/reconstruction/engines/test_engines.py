"""The choice of an engine, the engine check, the fallback engine, and models in parts."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from app.training.engine_check_frames import frames_for
from reconstruction.engines import choose, engine_kinds
from reconstruction.engines.artifacts import Artifact, cache_folder
from reconstruction.engines.base import EngineError, Precision, noise_of
from reconstruction.engines.check_frames import CheckFrames, recall
from reconstruction.engines.choose import interleaved_ms, open_engine, present, reopen_engine
from reconstruction.engines.engine_check import SIGMA_TOLERANCE_RAD, EngineCheck
from reconstruction.engines.engine_kinds import ENGINES, EngineKind, parse, preference_of
from reconstruction.engines.fallback import FallbackEngine
from reconstruction.engines.onnx.export import export_module, model_graph
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.models.model import Model
from tests.helpers.small_instrument import FRAME_PX, GRID_PX, small_instrument, small_mean_flow, small_model

pytestmark = pytest.mark.usefixtures("in_shared_cache")


@pytest.fixture(scope="session")
def engine_check(model: Model, check_frames: CheckFrames) -> EngineCheck:
    return EngineCheck(model, check_frames)


def frames(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).exponential(36, (2, FRAME_PX, FRAME_PX)).astype(np.float32)


def engine_kind(open_engine: Callable[[Model], object], *precisions: Precision) -> EngineKind:
    """Return an engine kind that is always available, in fp32 unless precisions are given."""
    precisions = precisions or (Precision.FP32,)
    return EngineKind(precisions=precisions, tried=precisions, open=lambda model, precision, check: open_engine(model))


# -- the choice -------------------------------------------------------------------------------------------------------


class Slow(TorchEngine):
    """Takes twenty milliseconds longer than torch."""

    name = "slow fp32"

    def run_with_sigma(self, frame: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        time.sleep(0.02)
        return super().run_with_sigma(frame, reference)


class Quick(TorchEngine):
    name = "quick fp32"


@pytest.mark.parametrize("order", [("slow", "quick"), ("quick", "slow")], ids=" ".join)
def test_auto_measures_which_engine_is_the_fastest(
    order: tuple[str, str], model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {"slow": engine_kind(Slow), "quick": engine_kind(Quick)}
    monkeypatch.setattr(choose, "ENGINES", {**{name: kinds[name] for name in order}, "torch_cuda": ENGINES["torch_cuda"]})
    chosen = open_engine(model, frames=CheckFrames.noise(model), remembered=False)
    assert type(chosen.engine) is Quick
    assert chosen.reason.startswith("fastest here: quick fp32 ")
    assert ", slow fp32 " in chosen.reason


def test_the_choice_follows_the_measured_times(
    model: Model, check_frames: CheckFrames, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [" ".join(choice) for choice in present(check_frames)]
    assert {"torch fp32", "openvino fp32", "onnxruntime fp32"} <= set(names)
    for number, fastest in enumerate(names):
        # The others take longer, the one after the fastest takes the longest.
        times_ms = {name: 2.0 + (number - place) % len(names) for place, name in enumerate(names)} | {fastest: 1.0}
        monkeypatch.setattr(choose, "interleaved_ms", lambda engines, frames, of=times_ms: [of[e.name] for e in engines])
        chosen = open_engine(model, frames=check_frames, remembered=False)
        assert chosen.name == fastest
        listed = [part.rsplit(" ", 2)[0] for part in chosen.reason.removeprefix("fastest here: ").split(", ")]
        assert listed == sorted(names, key=times_ms.__getitem__)


def test_times_are_those_of_each_engine(model: Model) -> None:
    noise = CheckFrames.noise(model)
    slow_ms, quick_ms = interleaved_ms([Slow(model), Quick(model)], noise)
    start = time.perf_counter()
    Quick(model).run(noise.frames[0], noise.reference)
    own_ms = (time.perf_counter() - start) * 1e3
    assert slow_ms > 20
    assert quick_ms < slow_ms
    assert 0 < quick_ms < 20 * own_ms


def test_without_real_frames_only_full_precision_is_tried(model: Model) -> None:
    assert {precision for _, precision in present(CheckFrames.noise(model))} == {Precision.FP32}


def test_a_choice_is_measured_once_on_a_machine(
    model: Model, engine_check: EngineCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_engine(model, frames=engine_check.frames, remembered=False)
    timed = []
    monkeypatch.setattr(choose, "interleaved_ms", lambda *arguments: timed.append(arguments) or interleaved_ms(*arguments))
    second = open_engine(model, frames=engine_check.frames)
    assert (second.name, timed) == (first.name, [])
    assert second.reason.startswith(first.reason)
    assert "(measured 2" in second.reason
    assert open_engine(model, frames=engine_check.frames, remembered=False).name
    assert len(timed) == 1, "asked not to use the stored choice, it measures"
    monkeypatch.setattr(choose, "_processor", lambda: "another machine")
    open_engine(model, frames=engine_check.frames)
    assert len(timed) == 2, "another machine has to be measured"


class Wrong(TorchEngine):
    name = "wrong fp32"

    def run(self, frame: np.ndarray, reference: np.ndarray) -> np.ndarray:
        return super().run(frame, reference) + 0.03


def test_a_remembered_engine_that_went_wrong_is_measured_again(
    model: Model, engine_check: EngineCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_engine(model, frames=engine_check.frames, remembered=False)
    name = first.name.split()[0]
    monkeypatch.setitem(engine_kinds.ENGINES, name, engine_kind(Wrong, Precision.FP32, Precision.BF16))
    second = open_engine(model, frames=engine_check.frames)
    assert not second.name.startswith("wrong")
    assert "wrong" in second.reason


def test_a_wrong_engine_is_replaced_by_torch_and_the_reason_kept(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engine_kinds.ENGINES, "wrong", engine_kind(Wrong))
    chosen = open_engine(model, "wrong")
    assert chosen.name == "torch fp32"
    assert "wrong fp32 differs from torch by 0.03 rad" in chosen.reason


def test_an_unknown_engine_is_refused_by_name(model: Model) -> None:
    with pytest.raises(EngineError, match="no engine named 'warp'; use auto"):
        open_engine(model, "warp")


def test_an_unknown_precision_is_refused_with_those_there_are() -> None:
    with pytest.raises(EngineError, match="onnxruntime has no precision 'fp64'; use fp32, int8"):
        parse("onnxruntime fp64")
    assert parse("openvino") == ("openvino", Precision.FP32)
    assert parse(" openvino  bf16 ")[1] is Precision.BF16


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", ["tensorrt", "tensorrt_rtx", "torch_cuda"])
def test_without_a_gpu_nothing_of_nvidia_is_touched(name: str, model: Model) -> None:
    chosen = open_engine(model, name)
    assert chosen.name == "torch fp32"
    assert "there is no NVIDIA GPU, or no driver for it" in chosen.reason


# -- the engine check -------------------------------------------------------------------------------------------------


def engine_of(change: Callable[[np.ndarray], np.ndarray], model: Model) -> SimpleNamespace:
    """Return an engine that changes the phases of torch."""
    torch_engine = TorchEngine(model)
    return SimpleNamespace(name="changed", run=lambda *inputs: change(torch_engine.run(*inputs)))


@pytest.mark.parametrize(
    ("change", "precision", "message"),
    [
        (lambda phase: phase + 0.0011, Precision.FP32, "differs from torch by 0.0011 rad"),
        (lambda phase: phase + 0.021, Precision.BF16, "by 0.021 rad rms, more than 0.02; use fp32"),
        (lambda phase: phase * np.nan, Precision.FP32, "not finite"),
        (lambda phase: phase[1:], Precision.FP32, "belongs to another model"),
        (lambda phase: phase - 9, Precision.INT8, "of SSIM, more than 0.005"),
    ],
)
def test_a_changed_engine_fails_the_check(
    change: Callable[[np.ndarray], np.ndarray], precision: Precision, message: str, model: Model, check_frames: CheckFrames
) -> None:
    torch_engine = TorchEngine(model)
    truth_rad = np.stack([torch_engine.run(frame, check_frames.reference) for frame in check_frames.frames])
    engine_check = EngineCheck(model, CheckFrames(check_frames.frames, check_frames.reference, truth_rad))
    with pytest.raises(EngineError, match=message):
        engine_check.check(engine_of(change, model), precision)


def test_an_engine_within_the_tolerances_passes_the_check(engine_check: EngineCheck) -> None:
    report = engine_check.check(engine_of(lambda phase: phase + 0.0005, engine_check.model), Precision.FP32)
    assert report.max_abs_diff_rad == pytest.approx(0.0005, rel=0.01)
    assert report.ssim_loss is not None
    assert report.frames == len(engine_check.frames.frames)


def test_16_bits_are_not_checked_on_noise(model: Model) -> None:
    with pytest.raises(EngineError, match="only be checked on real frames"):
        EngineCheck(model, CheckFrames.noise(model)).check(TorchEngine(model), Precision.BF16)


@pytest.mark.usefixtures("own_cache")
def test_check_frames_are_stored_for_the_next_start(model: Model, tmp_path: Path) -> None:
    assert recall(model) is None
    simulated = frames_for(model, small_instrument(tmp_path))
    stored = recall(model)
    assert simulated is not None
    assert stored is not None
    assert stored.truth_rad is not None
    assert len(stored.frames) == 8
    assert all(np.array_equal(one, other) for one, other in zip(stored.frames, simulated.frames, strict=True))


# -- the fallback engine ----------------------------------------------------------------------------------------------


class Failing:
    """Works for two frames, then does something else."""

    name = "failing fp32"

    def __init__(self, model: Model, then: Callable[[np.ndarray], np.ndarray]) -> None:
        self._torch = TorchEngine(model)
        self._then = then
        self._runs = 0

    def run(self, frame: np.ndarray, reference: np.ndarray) -> np.ndarray:
        self._runs += 1
        phase = self._torch.run(frame, reference)
        return phase if self._runs <= 2 else self._then(phase)


def out_of_memory(phase: np.ndarray) -> np.ndarray:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.mark.parametrize(
    ("then", "cause"),
    [(lambda phase: phase * np.nan, "not finite"), (out_of_memory, "CUDA out of memory")],
    ids=["nan", "memory"],
)
def test_an_engine_that_fails_while_it_runs_is_replaced(
    model: Model, then: Callable[[np.ndarray], np.ndarray], cause: str
) -> None:
    def refused() -> TorchEngine:
        raise EngineError("not this one either")

    messages: list[str] = []
    engine = FallbackEngine(Failing(model, then), model, "", [refused, lambda: TorchEngine(model)], messages.append)
    phases = [engine.run(*frames(seed)) for seed in range(5)]
    torch_engine = TorchEngine(model)
    assert all(np.array_equal(phase, torch_engine.run(*frames(seed))) for seed, phase in enumerate(phases))
    assert engine.name == "torch fp32"
    assert len(messages) == 1
    assert cause in messages[0]
    assert "going on with torch fp32" in messages[0]
    assert "specklescope compile" in messages[0]
    assert cause in engine.reason


def test_a_frame_in_which_torch_finds_no_numbers_ends_nothing(model: Model) -> None:
    messages: list[str] = []
    engine = FallbackEngine(TorchEngine(model), model, "", on_replaced=messages.append)
    hook = model.network.register_forward_hook(lambda network, args, phase: phase * torch.nan)
    try:
        assert np.isnan(engine.run(*frames(0))).all()
    finally:
        hook.remove()
    assert np.isfinite(engine.run(*frames(0))).all()
    assert not messages


def test_when_torch_fails_too_it_says_so(model: Model) -> None:
    engine = FallbackEngine(TorchEngine(model), model, "")
    with pytest.raises(EngineError, match="torch cannot reconstruct this frame"):
        engine.run(*np.zeros((2, 3, 3), np.float32))


# -- files in the cache -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("own_cache")
def test_a_damaged_graph_is_logged_and_made_again(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    graph = model_graph(model)
    graph.path.write_bytes(graph.path.read_bytes()[:1000])
    assert open_engine(model, "openvino").name == "openvino fp32"
    assert "its checksum differs from that of" in caplog.text
    assert graph.load() is not None


@pytest.mark.usefixtures("own_cache")
def test_a_graph_of_other_facts_is_not_used(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    graph = model_graph(model)
    note = json.loads(graph.sidecar.read_text())
    graph.sidecar.write_text(json.dumps({**note, "facts": {**note["facts"], "torch": "1.0"}}))
    assert open_engine(model, "onnxruntime").name == "onnxruntime fp32"
    assert "that of another model, version or machine" in caplog.text


def test_a_full_disk_is_reported(model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("SPECKLESCOPE_CACHE", str(blocked / "cache"))
    chosen = open_engine(model, "openvino")
    assert chosen.name == "torch fp32"
    assert "SPECKLESCOPE_CACHE" in chosen.reason
    assert cache_folder() == blocked / "cache"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="the folder is that of Linux")
def test_the_cache_is_the_folder_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPECKLESCOPE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_folder() == Path("/home/somebody/.cache/specklescope")


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
    torch.nn.init.normal_(network.sigma_head.head.weight, std=30.0)  # its random features are small
    card = ModelCard(
        name="loop",
        fibre=start.card.fibre,
        field_radius=start.card.field_radius,
        phase_range_rad=2.85,
        network=shape.to_dict(),
        kind="calibrated",
    )
    model = save_model(folder / "loop", network, card)
    model.network.attach(SpeckleResidual(FibreOptics(OPTICS), OPTICS.background, GRID_PX))
    return model


def torch_phase(model: Model, frame: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return what the network itself gives."""
    with torch.inference_mode():
        return model.network(*(torch.from_numpy(image)[None, None] for image in (frame, reference)))[0, 0].numpy()


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_the_loop_computes_in_parts_what_torch_computes(calibrated: Model, name: str) -> None:
    chosen = open_engine(calibrated, name)
    assert chosen.name == f"torch + {name} fp32", chosen.reason
    for seed in range(2):
        assert np.abs(chosen.run(*frames(seed)) - torch_phase(calibrated, *frames(seed))).max() <= 1e-3
    assert np.abs(torch_phase(calibrated, *frames(0)) - torch_phase(calibrated, *frames(1))).max() > 3e-3


def test_the_model_itself_stays_as_it_was(calibrated: Model) -> None:
    before, fibre, phase = (
        dict(calibrated.network.named_modules()),
        calibrated.network.fibre,
        torch_phase(calibrated, *frames(0)),
    )
    open_engine(calibrated, "openvino").run(*frames(0))
    assert dict(calibrated.network.named_modules()) == before
    assert calibrated.network.fibre is fibre
    assert np.array_equal(torch_phase(calibrated, *frames(0)), phase)


@pytest.fixture(scope="module")
def mean_flow(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A mean flow of random weights, whose standard deviation depends on the frame."""
    return small_mean_flow(tmp_path_factory.mktemp("models") / "flow")


def torch_planes(model: Model, frame: np.ndarray, reference: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return model.network.with_sigma(*(torch.from_numpy(image)[None, None] for image in (frame, reference)))[0].numpy()


@pytest.mark.parametrize(
    ("kind", "name"),
    list(itertools.product(("calibrated", "mean_flow"), ("torch", "openvino", "onnxruntime"))),
)
def test_every_engine_of_a_processor_gives_the_standard_deviation_of_a_model_that_has_it(
    kind: str, name: str, request: pytest.FixtureRequest
) -> None:
    model: Model = request.getfixturevalue(kind)
    chosen = open_engine(model, name)
    assert name in chosen.name, chosen.reason
    shown = []
    for seed in range(2):
        phase, sigma = chosen.run_with_sigma(*frames(seed))
        expected = torch_planes(model, *frames(seed))
        assert sigma is not None
        assert np.abs(phase - torch_phase(model, *frames(seed))).max() <= 1e-3
        assert np.abs(phase - expected[0]).max() <= 1e-3
        assert np.abs(sigma - expected[1]).max() <= 1e-4
        shown.append(sigma)
    assert np.abs(shown[0] - shown[1]).max() > 2e-4
    assert min(float(sigma.min()) for sigma in shown) > 0


def test_a_model_without_a_standard_deviation_has_none(model: Model) -> None:
    for name in ("torch", "openvino"):
        phase, sigma = open_engine(model, name).run_with_sigma(*frames(0))
        assert sigma is None
        assert np.abs(phase - torch_phase(model, *frames(0))).max() <= 1e-3


def test_an_engine_with_another_standard_deviation_is_refused(mean_flow: Model) -> None:
    class Wrong(TorchEngine):
        def drawn(self, frame: np.ndarray, reference: np.ndarray, noise: np.ndarray) -> np.ndarray:
            return super().drawn(frame, reference, noise) * np.array([1, 1, 1.1], np.float32)[:, None, None]

    check = EngineCheck(mean_flow, CheckFrames.noise(mean_flow))
    check.check(TorchEngine(mean_flow), Precision.FP32)
    with pytest.raises(EngineError, match=r"the standard deviation of torch fp32 differs from torch by up to .* than 0\.001"):
        check.check(Wrong(mean_flow), Precision.FP32)


def test_an_engine_that_leaves_out_the_standard_deviation_is_refused(mean_flow: Model) -> None:
    mean_flow.network.set_steps(0)  # the mean alone, of which no samples are drawn
    try:
        check = EngineCheck(mean_flow, CheckFrames.noise(mean_flow))
        with pytest.raises(EngineError, match="changed gives no standard deviation, torch does; compile the model again"):
            check.check(engine_of(lambda phase: phase, mean_flow), Precision.FP32)
    finally:
        mean_flow.network.set_steps(1)


def test_an_engine_that_draws_no_samples_or_no_other_ones_is_refused(mean_flow: Model) -> None:
    class Deaf(TorchEngine):
        """Draws the same sample from every noise."""

        def drawn(self, frame: np.ndarray, reference: np.ndarray, noise: np.ndarray) -> np.ndarray:
            return super().drawn(frame, reference, np.zeros_like(noise))

    mean_flow.network.set_steps(2)  # in one step, an untrained flow gives the mean
    try:
        check = EngineCheck(mean_flow, CheckFrames.noise(mean_flow))
        with pytest.raises(EngineError, match="changed draws no samples"):
            check.check(engine_of(lambda phase: phase, mean_flow), Precision.FP32)
        with pytest.raises(EngineError, match=r"torch fp32 differs from torch by .* than 0\.001"):
            check.check(Deaf(mean_flow), Precision.FP32)
    finally:
        mean_flow.network.set_steps(1)


@pytest.mark.parametrize("name", ["torch", "openvino", "onnxruntime"])
def test_one_graph_for_a_number_of_steps_draws_every_sample(mean_flow: Model, name: str) -> None:
    network = mean_flow.network
    counts = [torch.from_numpy(image)[None, None] for image in frames(0)]
    drawn: dict[tuple[int, int], np.ndarray] = {}
    engine = open_engine(mean_flow, name)
    for steps in (2, 4):
        network.set_steps(steps)
        engine = reopen_engine(mean_flow, engine)
        assert engine.name == f"{name} fp32", engine.reason
        for seed in (0, 7):
            planes = engine.drawn(*frames(0), noise_of(network, seed))
            with torch.inference_mode():
                expected = network.drawn(*counts, network.noise(seed))[0].numpy()
                sample = network.sample(*counts, [seed]).numpy()
            assert planes.shape == (3, GRID_PX, GRID_PX)
            assert np.abs(planes - expected).max() <= 1e-3
            assert np.abs(planes[0] - sample.reshape(sample.shape[-2:])).max() <= 1e-3
            assert np.array_equal(planes, engine.drawn(*frames(0), noise_of(network, seed))), "the picture would boil"
            drawn[steps, seed] = planes
    network.set_steps(1)
    pictures = [planes[0] for planes in drawn.values()]
    assert min(np.abs(one - other).max() for one, other in itertools.combinations(pictures, 2)) > 5e-3
    assert len({planes[1].tobytes() for planes in drawn.values()}) <= 2, "the mean depends on no noise"


def test_other_steps_have_their_own_graph_and_another_seed_has_not(mean_flow: Model) -> None:
    one = model_graph(mean_flow)
    mean_flow.network.set_steps(2)
    two = model_graph(mean_flow)
    mean_flow.network.set_steps(1)
    assert one.path != two.path
    assert (one.facts["steps"], two.facts["steps"]) == (1, 2)
    assert model_graph(mean_flow).path == one.path
    assert one.path.is_file()
    assert two.path.is_file()


def test_a_reopened_engine_is_of_the_kind_before_it_and_a_refused_one_is_replaced(
    mean_flow: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_engine(mean_flow, "onnxruntime")
    again = reopen_engine(mean_flow, before)
    assert preference_of("torch cuda fp16") == "torch_cuda fp16"
    assert preference_of("torch + openvino bf16") == "openvino bf16"
    assert (again.name, again.reason) == (before.name, f"as before the number of steps was changed; {before.reason}")

    assert reopen_engine(mean_flow, again).reason == again.reason, "it is said once"

    def refuse(model: Model) -> TorchEngine:
        raise EngineError("out of memory")

    monkeypatch.setattr(choose, "ENGINES", {**ENGINES, "onnxruntime": engine_kind(refuse)})
    replaced = reopen_engine(mean_flow, before)
    assert replaced.name == "torch fp32"
    assert replaced.reason == "onnxruntime fp32 refused: out of memory; torch instead"


def test_the_check_reports_both_differences(mean_flow: Model, model: Model) -> None:
    report = EngineCheck(mean_flow, CheckFrames.noise(mean_flow)).check(open_engine(mean_flow, "openvino"), Precision.FP32)
    assert report.sigma_max_abs_diff_rad is not None
    assert 0 < report.sigma_max_abs_diff_rad <= SIGMA_TOLERANCE_RAD
    without = EngineCheck(model, CheckFrames.noise(model)).check(TorchEngine(model), Precision.FP32)
    assert without.sigma_max_abs_diff_rad is None


@pytest.mark.usefixtures("own_cache")
@pytest.mark.slow
def test_a_graph_from_before_without_the_standard_deviation_is_made_again(mean_flow: Model, model: Model) -> None:
    current = model_graph(mean_flow).facts
    before = Artifact(f"{mean_flow.id}-fp32", "onnx", {name: fact for name, fact in current.items() if name != "output"})
    network = mean_flow.network
    example = torch.rand((1, 1, FRAME_PX, FRAME_PX)), torch.rand((1, 1, FRAME_PX, FRAME_PX))
    before.store(export_module(network, example, ["frame", "reference"], "phase_rad").SerializeToString())
    model_graph(mean_flow).remove()
    chosen = open_engine(mean_flow, "onnxruntime")
    assert chosen.name == "onnxruntime fp32", chosen.reason
    assert chosen.run_with_sigma(*frames(0))[1] is not None
    assert "output" not in model_graph(model).facts, "graphs of models without a standard deviation stay valid"


@pytest.fixture
def sampler(tmp_path: Path) -> Model:
    """A sampler of random weights."""
    from reconstruction.diffusion.specdiffusion import SpecDiffusion, SpecDiffusionConfig
    from reconstruction.models.model import ModelCard, save_model

    shape = SpecDiffusionConfig(frame_px=FRAME_PX, grid_px=GRID_PX, base_channels=8, heads=2, schedule="uniform-4")
    torch.manual_seed(2)
    network = SpecDiffusion(shape)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    card = ModelCard(
        name="draws",
        fibre="some fibre",
        field_radius=1.0,
        phase_range_rad=2.85,
        network=shape.to_dict(),
        kind="specdiffusion",
    )
    return save_model(tmp_path / "draws", network, card)


@pytest.mark.slow
def test_a_sampler_of_few_steps_is_one_graph_and_of_many_a_loop(sampler: Model) -> None:
    for steps, name in ((4, "openvino fp32"), (9, "torch + openvino fp32")):
        sampler.network.set_steps(steps)
        chosen = open_engine(sampler, "openvino")
        assert chosen.name == name, chosen.reason
        assert np.abs(chosen.run(*frames(0)) - torch_phase(sampler, *frames(0))).max() <= 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torch", "openvino", "onnxruntime"])
def test_a_sampler_that_draws_several_pictures_gives_their_spread(sampler: Model, name: str) -> None:
    sampler.network.set_samples(3)
    chosen = open_engine(sampler, name)
    assert name in chosen.name, chosen.reason
    phase, sigma = chosen.run_with_sigma(*frames(0))
    counts = [torch.from_numpy(image)[None, None] for image in frames(0)]
    drawn = torch.cat([sampler.network.sample(*counts, [seed]) for seed in range(3)])
    assert np.abs(phase - drawn[0, 0].numpy()).max() <= 1e-3
    assert sigma is not None
    assert np.abs(sigma - drawn.std(0)[0].numpy()).max() <= 1e-3
    assert sigma[sampler.mask].mean() > 0.1
