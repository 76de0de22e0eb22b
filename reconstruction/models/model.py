"""A trained reconstructor on disk: weights (safetensors), and a card that says what they are and for which fibre.

A model folder holds ``weights.safetensors``, ``card.yaml`` (read by the program) and ``README.md`` (read by people).
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
import yaml
from numpy.typing import NDArray

from acquisition.archive.old_names import with_present_names
from reconstruction.base import ReconstructionError
from reconstruction.field import field_mask
from reconstruction.models.reconstructor import Reconstructor
from reconstruction.models.registry import build, config_of

WEIGHTS, CARD = "weights.safetensors", "card.yaml"
SHIPPED = Path(__file__).parents[1] / "weights"
DEFAULT_MODEL = "default-twin"


@dataclass(frozen=True)
class ModelCard:
    """Facts about trained weights.

    ``fibre`` names the fibre (for the twin, a hash of its optics). ``field_radius`` is the radius of the fibre's disc as a
    fraction of half the frame. ``phase_range_rad`` is the phase of white in training. ``kind`` is one of
    :data:`reconstruction.models.registry.KINDS`, and ``network`` holds its configuration. ``parameters`` counts the learned
    numbers, ``evaluations`` the evaluations of the network for one frame. ``device`` is where the model was trained.
    ``weights_sha256`` is the check sum of the weights. Older cards lack the last four.
    """

    name: str
    fibre: str
    field_radius: float
    phase_range_rad: float
    network: Mapping[str, object]
    kind: str = "referenced"
    data: str = ""
    command: str = ""
    seconds: float = 0.0
    scores: Mapping[str, object] = field(default_factory=dict)
    training: Mapping[str, object] = field(default_factory=dict)
    parameters: int = 0
    evaluations: int = 1
    device: str = ""
    weights_sha256: str = ""


class Model:
    """A network with its card.

    Parameters
    ----------
    network : Reconstructor
        In evaluation mode.
    card : ModelCard
        Its facts.
    id : str
        First 12 hexadecimal digits of SHA-256 over the weights file.
    """

    def __init__(self, network: Reconstructor, card: ModelCard, id: str) -> None:
        self.network = network.eval()
        self.card = card
        self.id = id

    @property
    def frame_px(self) -> int:
        """Side of the frames it takes."""
        return self.network.config.frame_px

    @property
    def grid_px(self) -> int:
        """Side of the phase it gives."""
        return self.network.config.grid_px

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Disc of the fibre on the grid."""
        return field_mask(self.grid_px, self.card.field_radius)

    def check_frame(self, shape: tuple[int, int]) -> None:
        """Raise ReconstructionError when frames of ``shape`` do not fit."""
        if shape != (self.frame_px, self.frame_px):
            raise ReconstructionError(
                f"model {self.card.name!r} takes frames of {self.frame_px} x {self.frame_px} px, the camera gives "
                f"{shape[0]} x {shape[1]}; set the camera's ROI or choose another model"
            )

    def check_fibre(self, fibre: str) -> None:
        """Raise ReconstructionError when the model was trained for another fibre than ``fibre``; empty is unknown."""
        if fibre and fibre != self.card.fibre:
            raise ReconstructionError(
                f"model {self.card.name!r} was trained for fibre '{self.card.fibre}', the instrument has '{fibre}'; "
                "train one for this fibre (specklescope train) or choose another model"
            )


def shipped_models() -> list[str]:
    """Return the names of the models that come with the program."""
    return sorted(card.parent.name for card in SHIPPED.glob(f"*/{CARD}"))


def load_model(name_or_path: str | Path) -> Model:
    """Load a shipped model by name or any model folder by path.

    Raises
    ------
    ReconstructionError
        Nothing there, a damaged or foreign file, or weights that do not fit their card.
    """
    folder = SHIPPED / str(name_or_path)
    if not folder.is_dir():
        folder = Path(name_or_path)
    if not (folder / WEIGHTS).is_file() or not (folder / CARD).is_file():
        shipped = ", ".join(shipped_models())
        raise ReconstructionError(f"no model at {name_or_path}; give a model folder or a shipped one ({shipped})")
    card = _read_card(folder / CARD)
    try:
        network = build(card.kind, config_of(card.kind, card.network))
    except (TypeError, ValueError) as error:
        raise ReconstructionError(f"{folder / CARD} describes no network of this version: {error}") from error
    data = (folder / WEIGHTS).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if card.weights_sha256 not in ("", digest):
        raise ReconstructionError(f"{folder / WEIGHTS} is damaged, or not that of its card; copy the model again")
    try:
        weights = safetensors.torch.load(data)
        weights = {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}
        network.load_state_dict(network.with_present_names(weights))
    except (safetensors.SafetensorError, RuntimeError) as error:
        cause = str(error).splitlines()[0]
        raise ReconstructionError(f"{folder / WEIGHTS} does not fit its card ({cause}); copy the model again") from error
    if not all(torch.isfinite(value).all() for value in network.state_dict().values()):
        raise ReconstructionError(f"{folder / WEIGHTS} holds weights that are not finite; copy or train the model again")
    return Model(network, card, digest[:12])


def save_model(folder: Path, network: Reconstructor, card: ModelCard) -> Model:
    """Write a model folder; weights are stored as float16, which moves a reconstruction by less than 0.002 rad.

    Buffers stay as they are: variances of batch norm and scales of 8-bit maps lie outside the range of float16.
    """
    folder.mkdir(parents=True, exist_ok=True)
    halved = dict(network.named_parameters())
    state = {key: value.half() if key in halved else value for key, value in network.state_dict().items()}
    temporary = folder / f".{WEIGHTS}.part"
    safetensors.torch.save_file({key: value.contiguous() for key, value in state.items()}, temporary)
    temporary.chmod(0o644)
    temporary.replace(folder / WEIGHTS)
    card = replace(card, weights_sha256=hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest())
    values = {item.name: getattr(card, item.name) for item in fields(card)}
    text = yaml.safe_dump({k: dict(v) if isinstance(v, Mapping) else v for k, v in values.items()}, sort_keys=False)
    (folder / CARD).write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(_readme(card, network), encoding="utf-8")
    return load_model(folder)


def _read_card(path: Path) -> ModelCard:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return ModelCard(**with_present_names(content, range_rad="phase_range_rad"))
    except (yaml.YAMLError, TypeError, UnicodeDecodeError) as error:
        raise ReconstructionError(f"{path} is no model card of this version: {str(error).splitlines()[0]}") from error


def _through(card: ModelCard) -> str:
    return ", and its calibrated response to be measured again" if card.kind == "calibrated" else ""


def _readme(card: ModelCard, network: Reconstructor) -> str:
    scores = "\n".join(f"| {name} | {value} |" for name, value in card.scores.items())
    shape = ", ".join(f"{name} {value}" for name, value in card.network.items())
    what = (inspect.getdoc(type(network)) or "").split("\n\n")[0].replace("\n", " ")
    engines = "every engine" if network.exportable else "torch, its networks also in OpenVINO and ONNX Runtime"
    return f"""# Model card: {card.name}

{what}

Speckle frames of {network.config.frame_px} x {network.config.frame_px} px and the fibre's reference speckle in, phase in
radians on a {network.config.grid_px} x {network.config.grid_px} grid over the whole field out.

- **Kind:** `{card.kind}`, {card.parameters / 1e6:.2f} M parameters, evaluations of the network a frame: {card.evaluations};
  runs in {engines}.
- **For:** {card.fibre}. On another fibre, or after a bend, it has to be trained again{_through(card)}.
- **Shape:** {shape}.
- **Data:** {card.data}
- **Command:** `{card.command}`
- **Time:** {card.seconds / 60:.0f} minutes on {card.device or "a device not named"}, for the steps and their validation alone;
  simulating pairs and what is fitted in closed form come before.
- **Limits:** speckle hardly senses the absolute level of the phase: it is guessed from what the picture looks like, so scores
  stand with and without the mean (`_centred`). Detail finer than about 7 px of 512 is not there to be had.
- **Licence:** GPL-3.0-or-later, as the program.

Scores are means over whole images that no training run has seen, inside the fibre's disc; phase in radians, SSIM and PSNR
with the phase of white ({card.phase_range_rad} rad) as range.

| score on held-out images | value |
|---|---|
{scores}
"""
