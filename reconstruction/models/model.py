"""A trained reconstructor on disk: its weights (safetensors), and a card with facts about them.

A model folder holds ``weights.safetensors``, ``card.yaml`` (for the program) and ``README.md`` (for people).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import docstring_parser
import numpy as np
import safetensors
import safetensors.torch
import torch
import yaml
from numpy.typing import NDArray

from acquisition.archive.atomic_files import write_together
from acquisition.archive.old_names import with_present_names
from acquisition.archive.validation import check_types
from drivers.base import channel_count
from drivers.limits import LimitError, check_inside
from drivers.manifest import values_sha256
from drivers.safe_text import dump_yaml, parse_machine_yaml, read_yaml
from reconstruction.base import ReconstructionError
from reconstruction.field import field_mask
from reconstruction.models.base import Reconstructor
from reconstruction.models.registry import build, config_of
from reconstruction.models.size_check import check_sides, limited_parameters, stored_elements

WEIGHTS, CARD, README = "weights.safetensors", "card.yaml", "README.md"
#: Key of the SHA-256 of all other values of a card; older cards lack it.
_CARD_SHA256 = "card_sha256"
#: Key of the older card, in a card that is there while the weights are replaced.
_PREVIOUS = "previous"
SHIPPED = Path(__file__).parents[1] / "weights"
DEFAULT_MODEL = "default-twin"


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Facts about trained weights.

    Parameters
    ----------
    name : str
        Name of the model.
    fibre : str
        Name of the fibre that the model is for. For a twin the name contains a hash of its optics.
    field_radius : float
        Radius of the fibre's disc as a fraction of half the frame.
    phase_range_rad : float
        What white means in the patterns of the training.
    network : mapping
        Configuration of the network.
    kind : str
        One of :data:`reconstruction.models.registry.KINDS`.
    data, command : str
        The training data, and the command that trained the model.
    seconds : float
        Duration of the training.
    scores, training : mapping
        Scores on held-out images, and settings of the training.
    parameters : int
        Number of learned parameters; 0 in older cards, which lack it.
    evaluations : int
        Evaluations of the network for one frame.
    device : str
        Where the model was trained.
    weights_sha256 : str
        SHA-256 of the weights file; empty in older cards.
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
        It is switched to evaluation mode.
    card : ModelCard
        Facts about it.
    id : str
        First 12 hexadecimal digits of the SHA-256 of the weights file.
    """

    def __init__(self, network: Reconstructor, card: ModelCard, id: str) -> None:
        self.network = network.eval()
        self.card = card
        self.id = id

    @property
    def frame_px(self) -> int:
        """Side of the frames."""
        return self.network.config.frame_px

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Shape of the frames: (H, W), or (C, H, W) for frames with colours or planes."""
        channels = self.network.channels
        return (self.frame_px, self.frame_px) if channels == 1 else (channels, self.frame_px, self.frame_px)

    @property
    def grid_px(self) -> int:
        """Side of the reconstructed phase."""
        return self.network.config.grid_px

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Disc of the fibre on the grid."""
        return field_mask(self.grid_px, self.card.field_radius)

    def check_frame(self, shape: tuple[int, ...]) -> None:
        """Raise ReconstructionError if frames of ``shape``, (H, W) or (C, H, W), do not fit the model."""
        if shape[:-2] != self.frame_shape[:-2]:
            channels = channel_count(shape)
            raise ReconstructionError(
                f"model {self.card.name!r} takes frames with {self.network.channels} channels, the camera gives {channels}; "
                "choose another model"
            )
        if shape != self.frame_shape:
            raise ReconstructionError(
                f"model {self.card.name!r} takes frames of {self.frame_px} x {self.frame_px} px, the camera gives "
                f"{shape[-2]} x {shape[-1]}; set the camera's ROI or choose another model"
            )

    def check_fibre(self, fibre: str) -> None:
        """Raise ReconstructionError if the model was trained for another fibre; an empty name is an unknown fibre."""
        if fibre and fibre != self.card.fibre:
            raise ReconstructionError(
                f"model {self.card.name!r} was trained for fibre '{self.card.fibre}', the instrument has '{fibre}'; "
                "train one for this fibre (specklescope train) or choose another model"
            )


def shipped_models() -> list[str]:
    """Return the names of the models that come with the program."""
    return sorted(card.parent.name for card in SHIPPED.glob(f"*/{CARD}"))


def load_model(name_or_path: str | Path) -> Model:
    """Load a shipped model by its name, or any model folder by its path.

    Raises
    ------
    ReconstructionError
        There is no model, a file is damaged, or the weights do not fit their card.
    """
    folder = model_folder(name_or_path)
    data = _read_weights(folder)
    return _model(_read_card(folder / CARD, hashlib.sha256(data).hexdigest()), data, folder)


def read_card(name_or_path: str | Path) -> ModelCard:
    """Return the card of a model without building its network; ``weights_sha256`` is that of the weights which lie there.

    Raises
    ------
    ReconstructionError
        There is no model, or a file cannot be read.
    """
    folder = model_folder(name_or_path)
    digest = hashlib.sha256(_read_weights(folder)).hexdigest()
    return replace(_read_card(folder / CARD, digest), weights_sha256=digest)


def model_folder(name_or_path: str | Path) -> Path:
    """Return the folder of a shipped model, by its name, or of any model, by its path.

    Raises
    ------
    ReconstructionError
        There is no model, or a file of it leads to another place.
    """
    folder = SHIPPED / str(name_or_path)
    if not folder.is_dir():
        folder = Path(name_or_path)
    if not (folder / WEIGHTS).is_file() or not (folder / CARD).is_file():
        shipped = ", ".join(shipped_models())
        raise ReconstructionError(f"no model at {name_or_path}; give a model folder or a shipped one ({shipped})")
    try:
        check_inside(folder, [WEIGHTS, CARD])
    except LimitError as error:
        raise ReconstructionError(f"model {folder.name} is refused: {error}") from error
    return folder


def _read_weights(folder: Path) -> bytes:
    try:
        return (folder / WEIGHTS).read_bytes()
    except OSError as error:
        raise ReconstructionError(f"{folder / WEIGHTS} cannot be read: {error.strerror}; copy the model again") from error


def save_model(folder: Path, network: Reconstructor, card: ModelCard) -> Model:
    """Write a model folder, and load it again.

    Weights are stored as float16, which changes a reconstruction by less than 0.002 rad. Buffers keep their type, because the
    variances of batch norm and the scales of 8-bit maps are outside the range of float16.

    Raises
    ------
    ReconstructionError
        A weight is not finite, or a file cannot be written; an older model in the folder is unchanged.
    """
    halved = dict(network.named_parameters())
    state = {key: value.half() if key in halved else value for key, value in network.state_dict().items()}
    data = safetensors.torch.save({key: value.contiguous() for key, value in state.items()})
    card = replace(card, weights_sha256=hashlib.sha256(data).hexdigest())
    values = {item.name: getattr(card, item.name) for item in fields(card)}
    page = readme(_model(card, data, folder)).encode("utf-8")
    files = [(folder / WEIGHTS, data), (folder / CARD, _card_text(values)), (folder / README, page)]
    if older := _card_in_place(folder):
        # First a card that fits the older weights and the new ones: a power cut between two renames leaves a whole model.
        files.insert(0, (folder / CARD, _card_text({**values, _PREVIOUS: older})))
    write_together(files, "free space on its disk, or choose another folder", ReconstructionError)
    return load_model(folder)


def _card_text(values: Mapping[str, object]) -> bytes:
    text = dump_yaml({k: dict(v) if isinstance(v, Mapping) else v for k, v in values.items()})
    return f"{text}{_CARD_SHA256}: {values_sha256(parse_machine_yaml(text))}\n".encode()


def _card_in_place(folder: Path) -> dict[str, object] | None:
    """Return the values of the card of the weights that lie in a folder; None if there are none."""
    try:
        return _card_values(folder / CARD, hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest())
    except (OSError, yaml.YAMLError, TypeError, ValueError, AttributeError):
        return None


def _card_values(path: Path, weights_sha256: str) -> dict[str, object]:
    """Read the values of the card that fits the weights: a card may also hold the one before."""
    content = read_yaml(path)
    if content.pop(_CARD_SHA256, None) not in (None, values_sha256(content)):
        raise LimitError(f"it differs from what was written; if you changed it yourself, delete {_CARD_SHA256} in it")
    previous = content.pop(_PREVIOUS, None)
    values: dict[str, object] = content if previous is None or content["weights_sha256"] == weights_sha256 else previous
    return values


def _model(card: ModelCard, data: bytes, folder: Path) -> Model:
    """Return the model of a card and the content of a weights file; the folder is for the messages of errors."""
    digest = hashlib.sha256(data).hexdigest()
    if card.weights_sha256 not in ("", digest):
        raise ReconstructionError(f"{folder / WEIGHTS} is damaged, or not that of its card; copy the model again")
    network = _build(card, data, folder)
    _load_weights(network, data, folder / WEIGHTS)
    return Model(network, card, digest[:12])


def _read_card(path: Path, weights_sha256: str) -> ModelCard:
    try:
        card = ModelCard(**with_present_names(_card_values(path, weights_sha256), range_rad="phase_range_rad"))
        check_types(vars(card), ModelCard)
        if not (0 < card.field_radius < math.inf and 0 < card.phase_range_rad < math.inf):
            raise LimitError(
                f"field_radius {card.field_radius} and phase_range_rad {card.phase_range_rad} must be positive and finite"
            )
        return card
    except (yaml.YAMLError, TypeError, ValueError, AttributeError) as error:
        raise ReconstructionError(f"{path} is no model card of this version: {str(error).splitlines()[0]}") from error


def _build(card: ModelCard, data: bytes, folder: Path) -> Reconstructor:
    """Build the network of a card, unless the card promises more than the weights file holds."""
    try:
        elements = stored_elements(data)
    except ValueError as error:
        raise ReconstructionError(f"{folder / WEIGHTS} is damaged ({error}); copy the model again") from error
    try:
        if card.parameters > elements:
            raise LimitError(f"it states {card.parameters} parameters, the weights file holds {elements}")
        check_sides(card.network)
        with limited_parameters(elements):
            return build(card.kind, config_of(card.kind, card.network))
    except (TypeError, ValueError, ArithmeticError, RuntimeError, MemoryError) as error:
        cause = str(error).partition("\n")[0]
        raise ReconstructionError(f"{folder / CARD} describes no network of this version ({cause}); copy it again") from error


def _load_weights(network: Reconstructor, data: bytes, path: Path) -> None:
    try:
        weights = safetensors.torch.load(data)
        weights = {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}
        network.load_state_dict(network.with_present_names(weights))
    except (safetensors.SafetensorError, RuntimeError) as error:
        cause = str(error).splitlines()[0]
        raise ReconstructionError(f"{path} does not fit its card ({cause}); copy the model again") from error
    if not all(torch.isfinite(value).all() for value in network.state_dict().values()):
        raise ReconstructionError(f"{path} holds weights that are not finite; copy or train the model again")


def readme(model: Model) -> str:
    """Return the README of a model folder: its card for people, as Markdown."""
    card, network = model.card, model.network
    description = docstring_parser.parse(type(network).__doc__ or "").short_description or ""
    response = "measure its calibrated response and " if network.needs_response else ""
    engines = "every engine" if network.exportable else "torch; OpenVINO and ONNX Runtime can run its networks"
    parameters = card.parameters or sum(parameter.numel() for parameter in network.parameters())
    shape = ", ".join(f"{name} {value}" for name, value in card.network.items())
    scores = "\n".join(f"| {name} | {value} |" for name, value in card.scores.items())
    # The experiment of the published methods counts fits as training, because all of its models have the same minutes.
    fits = " is not included" if " bench papers " in card.command else " and\n  closed-form fits are not included"
    return f"""# Model card: {card.name}

{description}

Input: a speckle frame of {model.frame_px} x {model.frame_px} px and the reference speckle of the fibre. Output: the phase in
radians on a grid of {model.grid_px} x {model.grid_px} px over the whole field of view.

- **Kind:** `{card.kind}`, {parameters / 1e6:.2f} M parameters, evaluations of the network per frame: {network.evaluations}.
- **Engines:** {engines}.
- **Fibre:** {card.fibre}. For another fibre, or after the fibre was bent, {response}train the model again.
- **Network:** {shape}.
- **Training data:** {card.data}.
- **Command:** `{card.command}`
- **Training time:** {card.seconds / 60:.0f} minutes on {card.device or "an unknown device"}. The simulation of pairs{fits}.
- **Limits:** Speckle depends only weakly on the mean phase. The model estimates the mean phase from the content of the
  picture, so scores are given with and without it (`_centred`). Details finer than the fibre's cores cannot be resolved.
- **Licence:** GPL-3.0-or-later, like the program.

The scores are means over whole images that no training run has used, inside the fibre's disc. Phase is in radians. The data
range of SSIM and PSNR is the phase range, {card.phase_range_rad} rad.

| score on held-out images | value |
|---|---|
{scores}
"""
