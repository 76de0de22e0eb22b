"""The network of the learned segmenter, and its file of weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.special import expit
from torch import nn

from acquisition.archive.atomic_files import write_bytes
from drivers.safe_text import parse_json
from reconstruction.models.size_check import limited_parameters, stored_elements
from reconstruction.networks.step_unet import StepUNet
from reconstruction.segmentation.base import SegmentationError
from reconstruction.segmentation.learned.maps import BOUNDARY, DEPTH, FOREGROUND, MAPS, Maps

#: A network that runs: from an input (1, 2, h, w) to maps (1, 3, h, w).
Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]

#: Key of the facts in the header of a file of weights, and their version.
_KEY, _VERSION = "specklescope-segmenter", 1
#: Larger files are refused: ours have less than 10 MB.
_MOST_BYTES: Final = 64 * 2**20
#: Part of the loss that each map has.
_SHARES: Final = {FOREGROUND: 1.0, BOUNDARY: 1.0, DEPTH: 2.0}


@dataclass(frozen=True, kw_only=True)
class SegmenterShape:
    """Shape of the network.

    Parameters
    ----------
    base_channels : int
        Channels of the finest grid.
    multipliers : tuple of int
        Channels of every grid, from the finest, over ``base_channels``; each grid has half the side of the one before.

    Raises
    ------
    ValueError
        A number is out of its range.
    """

    base_channels: int = 24
    multipliers: tuple[int, ...] = (1, 2, 4, 8)

    def __post_init__(self) -> None:
        object.__setattr__(self, "multipliers", tuple(int(each) for each in self.multipliers))
        if (
            not 1 <= self.base_channels <= 128
            or not 1 <= len(self.multipliers) <= 6
            or not all(1 <= each <= 64 for each in self.multipliers)
        ):
            raise ValueError(f"a segmenter has 1 to 128 channels and 1 to 6 multipliers of 1 to 64, got {self}")


class SegmenterNetwork(nn.Module):
    """From phase and disc to three maps: foreground and boundary as logits, and depth.

    Parameters
    ----------
    shape : SegmenterShape
        Its widths.
    """

    def __init__(self, shape: SegmenterShape) -> None:
        super().__init__()
        self.shape = shape
        self.unet = StepUNet(2, MAPS, shape.base_channels, shape.multipliers)

    @property
    def multiple_px(self) -> int:
        """Sides of the input are a multiple of this."""
        return int(2 ** (len(self.shape.multipliers) - 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maps (b, 3, h, w) of inputs (b, 2, h, w) from :func:`network_input`."""
        return torch.as_tensor(self.unet(x))

    def loss(self, x: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
        """Return the loss of a batch of inputs (b, 2, h, w) with their true maps (b, 3, h, w), inside the disc."""
        out, inside = self(x).float(), x[:, 1]
        logits = {part: F.binary_cross_entropy_with_logits(out[:, part], maps[:, part], reduction="none") for part in _LOGITS}
        errors = {**logits, DEPTH: (out[:, DEPTH] - maps[:, DEPTH]).abs()}
        # Boundaries are few pixels, and decide whether two cells are one.
        errors[BOUNDARY] = errors[BOUNDARY] * (1 + 4 * maps[:, BOUNDARY])
        total = torch.stack([share * errors[part] for part, share in _SHARES.items()]).sum(0)
        return torch.as_tensor((total * inside).sum() / inside.sum().clamp(min=1))


_LOGITS = (FOREGROUND, BOUNDARY)


def network_input(phase_rad: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the input of the network: the phase above its median in the disc, in radians, and the disc; (2, h, w)."""
    inside = mask.astype(np.float32)
    return np.stack([(phase_rad - np.median(phase_rad[mask])) * inside, inside]).astype(np.float32)


def in_torch(network: SegmenterNetwork) -> Run:
    """Return what runs a network in torch."""

    def run(images: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return np.asarray(network(torch.from_numpy(images)).float().numpy())

    return run


def predicted_maps(run: Run, multiple_px: int, phase_rad: NDArray[np.float32], mask: NDArray[np.bool_]) -> Maps:
    """Return the maps (3, h, w) that a network predicts: probabilities of foreground and boundary, and depth; 0 outside.

    ``run`` is the network. It takes images whose sides are multiples of ``multiple_px``.
    """
    height, width = phase_rad.shape
    beyond = ((0, 0), (0, -height % multiple_px), (0, -width % multiple_px))
    maps = run(np.pad(network_input(phase_rad, mask), beyond)[None])[0, :, :height, :width]
    maps = np.concatenate([expit(maps[:DEPTH]), maps[DEPTH:]])
    return np.asarray(maps * mask, np.float32)


def save_network(path: Path, network: SegmenterNetwork, facts: Mapping[str, object]) -> None:
    """Write weights (float16) with shape and facts about the training into one safetensors file.

    Raises
    ------
    SegmentationError
        The file cannot be written.
    """
    halved = dict(network.named_parameters())
    tensors = {
        key: (value.half() if key in halved else value).contiguous().cpu() for key, value in network.state_dict().items()
    }
    header = json.dumps({"version": _VERSION, "shape": asdict(network.shape), "facts": dict(facts)}, allow_nan=False)
    write_bytes(path, safetensors.torch.save(tensors, {_KEY: header}), "choose another folder", SegmentationError)


def load_network(path: Path) -> tuple[SegmenterNetwork, dict[str, Any], str]:
    """Return the network of a file in evaluation mode, the facts about it, and 12 digits of the file's SHA-256.

    Raises
    ------
    SegmentationError
        The file is missing, damaged, no file of a segmenter, or larger than one of ours.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise SegmentationError(f"{path} has {path.stat().st_size} bytes, more than a segmenter; choose another file")
        data = path.read_bytes()
    except OSError as error:
        raise SegmentationError(
            f"the weights of the learned segmenter, {path}, cannot be read ({error.strerror}); train them with 'specklescope "
            "train FOLDER --kind segmentation', or name another file as segmentation.weights"
        ) from error
    try:
        with safetensors.safe_open(path, "pt") as file:
            header = parse_json((file.metadata() or {})[_KEY])
        if header["version"] != _VERSION:
            raise ValueError("another version of the program has written it")
        with limited_parameters(stored_elements(data)):
            network = SegmenterNetwork(SegmenterShape(**header["shape"]))
        weights = safetensors.torch.load(data)
        network.load_state_dict({key: each.float() if each.is_floating_point() else each for key, each in weights.items()})
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SegmentationError(f"{path} holds no learned segmenter ({cause}); copy or train it again") from error
    if not all(torch.isfinite(each).all() for each in network.state_dict().values()):
        raise SegmentationError(f"{path} holds weights that are not finite; copy or train it again")
    return network.eval(), dict(header["facts"]), hashlib.sha256(data).hexdigest()[:12]
