"""Cellpose, version 4 (Cellpose-SAM), where its package is installed and its weights lie on this computer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import expit
from scipy.special import logit as logit_of

from reconstruction.segmentation.base import SegmentationError, Segmenter
from reconstruction.segmentation.config import SegmentationConfig
from reconstruction.segmentation.foundation.devices import usable_device
from reconstruction.segmentation.foundation.picture import ContrastWindow, picture
from reconstruction.segmentation.foundation.weights import default_folder, file_sha256, read_pickled_tensors

#: What every file of Cellpose 4 holds, and none of Cellpose 3.
_OF_VERSION_4 = "W2"
_REMEDY = (
    "get the file cpsam_v2 of mouseland/cellpose-sam from Hugging Face (the program downloads nothing); its weights were "
    "trained on images that are for non-commercial use only"
)


@dataclass(frozen=True, kw_only=True)
class CellposeSettings:
    """Settings of Cellpose.

    Parameters
    ----------
    window : ContrastWindow
        Phases of black and white.
    diameter_px : float, optional
        Diameter of the cells; the image is resized so that it becomes 30 px. By default it keeps its size.
    flow_threshold : float
        Largest error of a cell's flow field; larger values keep more cells.
    probability_threshold : float
        Smallest logit of a cell's pixel; smaller values give more and larger cells.
    min_area_px : int
        A cell with fewer pixels is dropped.
    device : str
        ``cpu``, ``cuda``, or ``auto``: the graphics card where torch can use one.
    allow_pickle : bool
        Cellpose stores its weights as a pickle; they are read only with this setting.

    Raises
    ------
    ValueError
        A setting is impossible.
    """

    window: ContrastWindow = field(default_factory=ContrastWindow)
    diameter_px: float | None = None
    flow_threshold: float = 0.4
    probability_threshold: float = 0.0
    min_area_px: int = 12
    device: Literal["auto", "cpu", "cuda"] = "auto"
    allow_pickle: bool = False

    def __post_init__(self) -> None:
        if self.diameter_px is not None and not 1 <= self.diameter_px <= 1000:
            raise ValueError(f"the diameter of a cell is 1 to 1000 px, got {self.diameter_px}")
        if self.min_area_px < 1:
            raise ValueError(f"the smallest object has at least 1 pixel, got {self.min_area_px}")


class Cellpose(Segmenter):
    """Cellpose-SAM (Pachitariu et al., 2025).

    Parameters
    ----------
    weights : Path
        File of weights of Cellpose 4.
    settings : CellposeSettings, optional
        Its settings.

    Raises
    ------
    SegmentationError
        cellpose is not installed, the file is absent or damaged, no pickle is allowed, or these are no weights of Cellpose 4.
    """

    kind: ClassVar[str] = "cellpose"

    def __init__(self, weights: Path, settings: CellposeSettings | None = None) -> None:
        self._settings = settings or CellposeSettings()
        # Cellpose would download its default weights in place of a file that is absent.
        if not weights.is_file():
            raise SegmentationError(
                f"there is no file {weights} with weights for the segmenter 'cellpose'; {_REMEDY}, and put it there"
            )
        if not self._settings.allow_pickle:
            raise SegmentationError(
                f"{weights} is a pickle, which can run a program; set allow_pickle if you trust where the file comes from"
            )
        tensors = read_pickled_tensors(weights)
        if _OF_VERSION_4 not in tensors:
            raise SegmentationError(f"{weights} holds no weights of Cellpose 4; {_REMEDY}")
        models = _models()
        self._device = usable_device(self._settings.device)
        try:
            on_card = self._device == "cuda"
            self._model = models.CellposeModel(
                pretrained_model=str(weights), device=torch.device(self._device), use_bfloat16=on_card
            )
        except Exception as error:  # noqa: BLE001 - what Cellpose and torch say about strange weights can be of any kind
            cause = str(error).partition("\n")[0][:200]
            raise SegmentationError(f"{weights} holds no weights of Cellpose 4 ({cause}); {_REMEDY}") from error
        # Cellpose loads what fits, and leaves the rest at random.
        absent = sorted(self._model.net.state_dict().keys() - {name.removeprefix("module.") for name in tensors})
        if absent:
            raise SegmentationError(f"{weights} lacks {len(absent)} weights of Cellpose 4, such as {absent[0]}; {_REMEDY}")
        self._sha256 = file_sha256(weights)

    @classmethod
    def of(cls, config: SegmentationConfig) -> Self:
        """Return the segmenter of a configuration; its threshold is the smallest probability of a pixel."""
        logit = 0.0 if config.threshold is None else float(logit_of(np.clip(config.threshold, 1e-6, 1 - 1e-6)))
        settings = CellposeSettings(
            probability_threshold=logit, min_area_px=config.min_area_px, allow_pickle=config.allow_pickle
        )
        return cls(config.weights or default_folder(cls.kind) / "cpsam_v2", settings)

    def settings(self) -> Mapping[str, str | float | bool]:
        """Return kind, hash of the weights, versions, and every setting."""
        chosen = asdict(self._settings)
        del chosen["device"], chosen["allow_pickle"]
        chosen["diameter_px"] = chosen["diameter_px"] or 0.0  # plain types only; 0 keeps the size
        return {
            "segmenter": self.kind,
            "weights_sha256": self._sha256,
            "cellpose": version("cellpose"),
            "torch": torch.__version__,
            "device": self._device,
            **chosen.pop("window"),
            **chosen,
        }

    def _segment(
        self, phase_rad: NDArray[np.float32], mask: NDArray[np.bool_], std_rad: NDArray[np.float32] | None
    ) -> tuple[NDArray[np.integer], NDArray[np.floating]]:
        # In place of its own percentiles, which give every image another contrast.
        image = picture(phase_rad, mask, self._settings.window).astype(np.float32) / 255
        try:
            labels, flows, _ = self._model.eval(
                image,
                channel_axis=-1,
                normalize=False,
                diameter=self._settings.diameter_px,
                flow_threshold=self._settings.flow_threshold,
                cellprob_threshold=self._settings.probability_threshold,
                min_size=self._settings.min_area_px,
            )
        except (RuntimeError, ValueError, IndexError) as error:
            cause = str(error).partition("\n")[0][:200]
            raise SegmentationError(f"Cellpose cannot be computed ({cause}); use the device cpu, or other weights") from error
        labels = np.asarray(labels, np.int32).reshape(phase_rad.shape)
        numbers = np.arange(1, int(labels.max()) + 1)
        return labels, np.asarray(ndimage.mean(expit(np.asarray(flows[2], np.float32)), labels, numbers), np.float32)


def _models() -> ModuleType:
    """Return the module of Cellpose's models: imported when a segmenter is opened, because it takes seconds."""
    try:
        return import_module("cellpose.models")
    except ImportError as error:
        raise SegmentationError(
            "the segmenter 'cellpose' needs the package cellpose, version 4; run pip install cellpose"
        ) from error
    except Exception as error:  # noqa: BLE001 - torchvision of another build than torch fails with a RuntimeError
        cause = str(error).partition("\n")[0][:200]
        raise SegmentationError(
            f"the package cellpose cannot be loaded ({cause}); install the torchvision that belongs to torch "
            f"{torch.__version__}"
        ) from error
