"""The networks of Segment Anything, SAM and SAM 2.1, of the transformers package: a picture is embedded once, then prompted."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

from drivers.limits import LimitError
from reconstruction.models.size_check import MAX_SIDE_PX, limited_parameters
from reconstruction.segmentation.base import SegmentationError
from reconstruction.segmentation.foundation.weights import Checkpoint, Source

#: Mean and standard deviation of the channels of the photographs with which both networks were trained.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: Parts of a network; a weight of one of them that the network does not have belongs to another network.
_PARTS = ("vision_encoder.", "prompt_encoder.", "mask_decoder.", "shared_image_embedding.")


@dataclass(frozen=True, kw_only=True)
class SamFamily:
    """What differs between the networks.

    Parameters
    ----------
    source : Source
        Where weights come from.
    prefix : str
        How its classes in transformers begin.
    model_types : frozenset of str
        What ``config.json`` may state as its ``model_type``.
    stretches : bool
        It stretches a picture to a square; else it adds black at the right or below.
    """

    source: Source
    prefix: str
    model_types: frozenset[str]
    stretches: bool


SAM = SamFamily(
    source=Source(kind="sam", page="facebook/sam-vit-base", licence="Apache-2.0"),
    prefix="Sam",
    model_types=frozenset({"sam"}),
    stretches=False,
)
#: The published weights of SAM 2.1 are those of the network for videos, of which the one for pictures is a part.
SAM2 = SamFamily(
    source=Source(kind="sam2", page="facebook/sam2.1-hiera-tiny", licence="Apache-2.0"),
    prefix="Sam2",
    model_types=frozenset({"sam2", "sam2_video"}),
    stretches=True,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Embedding:
    """A picture as the network sees it.

    Parameters
    ----------
    features : tensor or list of tensors
        What the encoder of the network gives.
    shape : tuple of int
        Height and width of the picture in pixels.
    resized : tuple of int
        Height and width to which it was resized.
    """

    features: Any
    shape: tuple[int, int]
    resized: tuple[int, int]


@dataclass(frozen=True, eq=False, kw_only=True)
class Prompts:
    """What is asked about a picture: ``n`` objects with ``p`` points each, a box each, or both.

    Parameters
    ----------
    points : ndarray of float64, shape (n, p, 2), optional
        Points in pixels, x before y.
    labels : ndarray of int64, shape (n, p), optional
        1 for a point of the object, 0 for one of its surroundings.
    boxes : ndarray of float64, shape (n, 4), optional
        Boxes in pixels: left, top, right, bottom.
    """

    points: NDArray[np.float64] | None = None
    labels: NDArray[np.int64] | None = None
    boxes: NDArray[np.float64] | None = None


class SamNetwork:
    """A network of Segment Anything with its weights. Several threads may use it; they wait for each other.

    Parameters
    ----------
    family : SamFamily
        Which network.
    checkpoint : Checkpoint
        Its configuration and weights.
    device : str
        torch's device, such as ``cpu`` or ``cuda``.

    Raises
    ------
    SegmentationError
        transformers is not installed, or configuration and weights are not those of such a network.
    """

    def __init__(self, family: SamFamily, checkpoint: Checkpoint, device: str) -> None:
        self._family = family
        self._device = device
        self._lock = threading.Lock()
        self._last: tuple[NDArray[np.uint8], Embedding] | None = None
        transformers = _transformers()
        self.version = str(transformers.__version__)
        try:
            config = _config(transformers, family, checkpoint.config)
            self._side_px = _side_px(config)
            network_class = getattr(transformers, f"{family.prefix}Model")
            _try_shape(network_class, config, self._side_px, most_elements=checkpoint.elements)
            network = _loaded(network_class, config, checkpoint)
        except SegmentationError:
            raise
        except Exception as error:  # noqa: BLE001 - transformers answers a strange configuration with errors of any kind
            cause = str(error).partition("\n")[0][:200] or type(error).__name__
            raise SegmentationError(
                f"{checkpoint.folder} holds no network for the segmenter '{family.source.kind}' ({cause}); "
                f"{family.source.remedy(checkpoint.folder)}"
            ) from error
        self._network = network.to(device).eval().requires_grad_(requires_grad=False)

    def embed(self, picture: NDArray[np.uint8]) -> Embedding:
        """Return the embedding of a picture (h, w, 3). The last one is kept: the same picture again costs nothing.

        Raises
        ------
        SegmentationError
            The network cannot be computed, for example for lack of memory.
        """
        with self._lock:
            if self._last is None or not np.array_equal(self._last[0], picture):
                self._last = picture.copy(), self._embedded(picture)
            return self._last[1]

    def decode(self, embedding: Embedding, prompts: Prompts, *, several: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the masks of prompted objects.

        Parameters
        ----------
        embedding : Embedding
            The picture.
        prompts : Prompts
            What is asked about it.
        several : bool
            Three masks for each object, such as a part, the object and a group; else one.

        Returns
        -------
        logits : tensor, shape (n, m, h, w)
            The masks are where these are above 0.
        scores : tensor, shape (n, m)
            Intersection over union that the network predicts for each mask.

        Raises
        ------
        SegmentationError
            The network cannot be computed.
        """
        rows, columns = (new / old for new, old in zip(embedding.resized, embedding.shape, strict=True))
        scale = np.array([columns, rows])
        inputs: dict[str, torch.Tensor] = {}
        if prompts.points is not None and prompts.labels is not None:
            inputs["input_points"] = torch.from_numpy(prompts.points * scale)[None]
            inputs["input_labels"] = torch.from_numpy(prompts.labels)[None]
        if prompts.boxes is not None:
            inputs["input_boxes"] = torch.from_numpy(prompts.boxes * np.tile(scale, 2))[None]
        with self._lock:
            return self._computed(self._decoded, embedding, inputs, several)

    def _embedded(self, picture: NDArray[np.uint8]) -> Embedding:
        height, width = picture.shape[:2]
        side = self._side_px
        resized = side, side
        if not self._family.stretches:
            scale = side / max(height, width)
            resized = int(height * scale + 0.5), int(width * scale + 0.5)
        image = np.asarray(Image.fromarray(picture).resize(resized[::-1], Image.Resampling.BILINEAR))
        pixels = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1) / 255
        pixels = (pixels - torch.tensor(_MEAN)[:, None, None]) / torch.tensor(_STD)[:, None, None]
        pixels = F.pad(pixels, (0, side - resized[1], 0, side - resized[0]))
        features = self._computed(lambda: self._network.get_image_embeddings(pixels[None].to(self._device)))
        return Embedding(features=features, shape=(height, width), resized=resized)

    def _decoded(
        self,
        embedding: Embedding,
        inputs: Mapping[str, torch.Tensor],
        several: bool,  # noqa: FBT001
    ) -> tuple[torch.Tensor, torch.Tensor]:
        output = self._network(
            image_embeddings=embedding.features,
            multimask_output=several,
            **{name: value.to(self._device) for name, value in inputs.items()},
        )
        logits = output.pred_masks[0].float()
        if not self._family.stretches:
            logits = F.interpolate(logits, (self._side_px, self._side_px), mode="bilinear", align_corners=False)
            logits = logits[..., : embedding.resized[0], : embedding.resized[1]]
        logits = F.interpolate(logits, embedding.shape, mode="bilinear", align_corners=False)
        return logits, output.iou_scores[0].float()

    def _computed(self, work: Any, *inputs: Any) -> Any:
        try:
            with torch.inference_mode():
                return work(*inputs)
        except Exception as error:  # noqa: BLE001 - a lack of memory, or what only strange weights do
            cause = str(error).partition("\n")[0][:200] or type(error).__name__
            raise SegmentationError(
                f"the network of the segmenter '{self._family.source.kind}' cannot be computed ({cause}); use smaller weights, "
                "the device cpu, or other weights"
            ) from error


def _transformers() -> ModuleType:
    """Return the package transformers: imported when a segmenter is opened, because it takes seconds."""
    try:
        return import_module("transformers")
    except ImportError as error:
        raise SegmentationError(
            "Segment Anything needs the package transformers, which is not installed; run pip install '.[sam]' in the folder "
            "of SpeckleScope, or pip install transformers"
        ) from error


def _config(transformers: ModuleType, family: SamFamily, stated: Mapping[str, Any]) -> Any:
    """Return the configuration of a network from what ``config.json`` states about its shape.

    Everything else in the file is ignored: names of code, of other files and of backbones that would be fetched.
    """
    if stated.get("model_type") not in family.model_types:
        expected = " or ".join(sorted(family.model_types))
        raise LimitError(f"its model_type is {stated.get('model_type')!r}, not {expected}")

    def part(name: str, values: object, **nested: Any) -> Any:
        config_class = getattr(transformers, f"{family.prefix}{name}Config")
        if not isinstance(values, dict):
            raise LimitError(f"its settings of {name} are no mapping")
        known = {key: value for key, value in values.items() if key in inspect.get_annotations(config_class)}
        return config_class(**{**known, **nested})

    vision = stated.get("vision_config", {})
    nested = {}
    if family is SAM2 and isinstance(vision, dict):
        nested["backbone_config"] = part("HieraDet", vision.get("backbone_config", {}))
    return getattr(transformers, f"{family.prefix}Config")(
        vision_config=part("Vision", vision, **nested),
        prompt_encoder_config=part("PromptEncoder", stated.get("prompt_encoder_config", {})),
        mask_decoder_config=part("MaskDecoder", stated.get("mask_decoder_config", {})),
    )


def _side_px(config: Any) -> int:
    """Return the side of the square picture that the encoder gets."""
    side = config.prompt_encoder_config.image_size
    side = side[0] if isinstance(side, list | tuple) and side else side
    if not isinstance(side, int) or not 16 <= side <= MAX_SIDE_PX:
        raise LimitError(f"image_size = {side}, this version takes 16 .. {MAX_SIDE_PX}")
    return side


def _try_shape(network_class: Any, config: Any, side_px: int, *, most_elements: int) -> None:
    """Raise an error if a configuration describes no network, one that is far too large, or parts that do not fit together.

    On torch's device ``meta`` tensors have shapes and no values, so this needs neither memory nor time.
    """
    # Twice as many as the file holds, because a file holds a table only once that two parts of the network share.
    with torch.device("meta"), torch.inference_mode(), limited_parameters(2 * most_elements):
        network = network_class(config).eval()
        features = network.get_image_embeddings(torch.zeros(1, 3, side_px, side_px))
        network(
            image_embeddings=features, input_points=torch.zeros(1, 1, 1, 2), input_labels=torch.ones(1, 1, 1, dtype=torch.int64)
        )


def _loaded(network_class: Any, config: Any, checkpoint: Checkpoint) -> Any:
    """Return the network with its weights; every weight that it needs must be there, in its shape, and finite."""
    # With the tensors themselves, and no name, transformers looks for nothing: neither in folders nor elsewhere.
    with _without_progress_bar():
        network, report = network_class.from_pretrained(
            None, config=config, state_dict=dict(checkpoint.weights), dtype=torch.float32, output_loading_info=True
        )
    absent = sorted(report["missing_keys"])
    if absent:
        raise LimitError(f"{len(absent)} of its weights are absent, such as {absent[0]}")
    foreign = sorted(name for name in report["unexpected_keys"] if name.startswith(_PARTS))
    if foreign:
        raise LimitError(f"{len(foreign)} of its weights belong to another network, such as {foreign[0]}")
    if not all(torch.isfinite(value).all() for value in network.state_dict().values()):
        raise LimitError("a weight is not finite")
    return network


@contextmanager
def _without_progress_bar() -> Iterator[None]:
    """Keep transformers from drawing a progress bar on the terminal, as long as this lasts."""
    messages = import_module("transformers.utils.logging")
    was_enabled = messages.is_progress_bar_enabled()
    messages.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            messages.enable_progress_bar()
