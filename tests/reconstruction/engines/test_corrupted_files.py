"""Damaged caches and models: none is used, each is named with a remedy, and there is always an engine that runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
import yaml
from onnx import numpy_helper

from reconstruction.base import ReconstructionError
from reconstruction.engines.artifacts import Artifact
from reconstruction.engines.base import EngineError
from reconstruction.engines.choose import open_engine
from reconstruction.engines.onnx.export import model_graph
from reconstruction.models.model import CARD, WEIGHTS, Model, load_model
from tests.helpers.small_instrument import FRAME_PX, small_model

PLACES = (0.0, 0.02, 0.3, 0.5, 0.7, 0.98)


def cut(data: bytes, place: float) -> bytes:
    return data[: int(place * len(data))]


def flip(data: bytes, place: float) -> bytes:
    at = min(int(place * len(data)), len(data) - 1)
    return data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :]


def text(data: bytes, place: float) -> bytes:
    return b"no such file here\n" * 40


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    **{f"cut at {place}": lambda data, place=place: cut(data, place) for place in PLACES},
    **{f"bit flipped at {place}": lambda data, place=place: flip(data, place) for place in PLACES},
    "text": lambda data: text(data, 0),
}


#: Where an engine is opened after each: one of each kind, and all of them in the slow suite.
SOME_DAMAGES = [
    damage if damage in ("cut at 0.0", "bit flipped at 0.98", "text") else pytest.param(damage, marks=pytest.mark.slow)
    for damage in DAMAGES
]


pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def whole(model: Model, shared_cache: Path) -> bytes:
    """The model's graph."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPECKLESCOPE_CACHE", str(shared_cache))
        data = model_graph(model).load()
    assert data is not None
    return data


def name_and_reason(model: Model, preference: str) -> tuple[str, str]:
    """Open an engine, compare its phase with that of the network, and return its name and reason."""
    frame, reference = np.random.default_rng(1).exponential(36, (2, FRAME_PX, FRAME_PX)).astype(np.float32)
    chosen = open_engine(model, preference)
    with torch.inference_mode():
        expected = model.network(*(torch.from_numpy(image)[None, None] for image in (frame, reference)))[0, 0].numpy()
    assert np.abs(chosen.run(frame, reference) - expected).max() < 1e-3
    return chosen.name, chosen.reason


@pytest.mark.parametrize("damage", SOME_DAMAGES)
def test_a_graph_damaged_on_the_disk_is_made_again(damage: str, model: Model, caplog: pytest.LogCaptureFixture) -> None:
    graph = model_graph(model)
    content = graph.path.read_bytes()
    graph.path.write_bytes(DAMAGES[damage](content))
    name, _ = name_and_reason(model, "onnxruntime")
    assert name == "onnxruntime fp32"
    assert "its checksum differs from that of" in caplog.text
    assert graph.path.read_bytes() == content


def with_weights(graph: onnx.ModelProto, change: Callable[[np.ndarray], np.ndarray]) -> onnx.ModelProto:
    """Change the first convolution's weights."""
    node = next(node for node in graph.graph.node if node.op_type == "Conv")
    tensor = next(tensor for tensor in graph.graph.initializer if tensor.name == node.input[1])
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), tensor.name))
    return graph


def nan(graph: onnx.ModelProto) -> onnx.ModelProto:
    return with_weights(graph, lambda values: values * np.float32(np.nan))


def wrong_numbers(graph: onnx.ModelProto) -> onnx.ModelProto:
    return with_weights(graph, lambda values: values + np.float32(0.5))


def wrong_shape(graph: onnx.ModelProto) -> onnx.ModelProto:
    for node in graph.graph.input:
        node.type.tensor_type.shape.dim[2].dim_value = FRAME_PX // 2
    return graph


def wrong_name(graph: onnx.ModelProto) -> onnx.ModelProto:
    for node in graph.graph.node:
        node.input[:] = ["picture" if name == "frame" else name for name in node.input]
    graph.graph.input[0].name = "picture"
    return graph


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("change", [nan, wrong_numbers, wrong_shape, wrong_name])
def test_a_wrong_graph_with_a_right_checksum_does_not_pass(
    change: Callable[[onnx.ModelProto], onnx.ModelProto], name: str, model: Model, whole: bytes
) -> None:
    model_graph(model).store(change(onnx.load_from_string(whole)).SerializeToString())
    engine, reason = name_and_reason(model, name)
    assert engine == "torch fp32"
    assert reason.startswith(f"{name} refused: ")


@pytest.mark.parametrize("damage", ["cut at 0.0", "cut at 0.3", "text"])
@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_graph_that_was_stored_damaged_is_refused_and_removed(damage: str, name: str, model: Model, whole: bytes) -> None:
    graph = model_graph(model)
    graph.store(DAMAGES[damage](whole))
    engine, reason = name_and_reason(model, name)
    assert engine == "torch fp32"
    assert "refused" in reason
    assert not graph.path.exists()
    assert name_and_reason(model, name)[0] == f"{name} fp32"


@pytest.mark.parametrize("damage", ["cut at 0.5", "bit flipped at 0.5", "text"])
def test_a_damaged_choice_is_measured_again(damage: str, model: Model, caplog: pytest.LogCaptureFixture) -> None:
    first = open_engine(model)
    (path,) = (file for file in model_graph(model).path.parent.iterdir() if file.suffix == ".choice")
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert open_engine(model).reason.startswith("fastest here: ")
    assert "its checksum differs" in caplog.text
    assert first.name


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"ranked": 7}', b'{"ranked": [["warp", "fp32"]], "reason": ""}'])
def test_a_choice_that_makes_no_sense_is_measured_again(content: bytes, model: Model) -> None:
    open_engine(model)
    (path,) = (file for file in model_graph(model).path.parent.iterdir() if file.suffix == ".choice")
    known = yaml.safe_load(path.with_name(path.name + ".json").read_text())["facts"]
    artifact = Artifact(model.id, "choice", known)
    assert artifact.path == path
    artifact.store(content)
    assert open_engine(model).reason.startswith("fastest here: ")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_plan_is_refused(damage: str) -> None:
    plan = Artifact("plan", "rtx", {"device": "any"})
    plan.store(np.random.default_rng(0).bytes(5000))
    plan.path.write_bytes(DAMAGES[damage](plan.path.read_bytes()))
    with pytest.raises(EngineError, match=r"plan-\w+\.rtx is refused: it is damaged.*will be made again"):
        plan.load()
    assert plan.load() is None


# -- models -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_model(tmp_path / "copied")
    return tmp_path / "copied"


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_weights_are_refused(damage: str, folder: Path) -> None:
    path = folder / WEIGHTS
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(ReconstructionError, match=r"weights\.safetensors is damaged.*copy the model again"):
        load_model(folder)


@pytest.mark.parametrize("damage", [damage for damage in DAMAGES if not damage.startswith("bit")])
def test_damaged_weights_of_an_older_card_are_refused(damage: str, folder: Path) -> None:
    forget_checksum(folder)
    path = folder / WEIGHTS
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    message = r"weights\.safetensors (does not fit its card|is damaged) \(.*copy the model again"
    with pytest.raises(ReconstructionError, match=message):
        load_model(folder)


def test_weights_that_are_not_finite_are_refused(folder: Path) -> None:
    forget_checksum(folder)
    weights = safetensors.torch.load_file(folder / WEIGHTS)
    next(value for value in weights.values() if value.is_floating_point()).fill_(torch.nan)
    safetensors.torch.save_file(weights, folder / WEIGHTS)
    with pytest.raises(ReconstructionError, match="not finite"):
        load_model(folder)


def test_weights_of_another_model_are_refused(folder: Path, tmp_path: Path) -> None:
    small_model(tmp_path / "other", front_end="fold")
    shutil.copy(tmp_path / "other" / WEIGHTS, folder / WEIGHTS)
    with pytest.raises(ReconstructionError, match="not that of its card"):
        load_model(folder)
    forget_checksum(folder)
    with pytest.raises(ReconstructionError, match="does not fit its card"):
        load_model(folder)


def forget_checksum(folder: Path) -> None:
    card = yaml.safe_load((folder / CARD).read_text())
    card["weights_sha256"] = ""
    del card["card_sha256"]
    (folder / CARD).write_text(yaml.safe_dump(card))
