"""Segment Anything as a segmenter: everything that it sees in the picture becomes a label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray

from reconstruction.segmentation.base import Segmenter
from reconstruction.segmentation.config import SegmentationConfig
from reconstruction.segmentation.foundation.automatic_masks import MaskChoice, automatic_masks
from reconstruction.segmentation.foundation.devices import usable_device
from reconstruction.segmentation.foundation.picture import ContrastWindow, picture
from reconstruction.segmentation.foundation.prompts import SamPrompts
from reconstruction.segmentation.foundation.sam_network import SAM, SAM2, SamFamily, SamNetwork
from reconstruction.segmentation.foundation.weights import default_folder, read_checkpoint


@dataclass(frozen=True, kw_only=True)
class SamSettings:
    """Settings of Segment Anything.

    Parameters
    ----------
    window : ContrastWindow
        Phases of black and white.
    choice : MaskChoice
        Which masks become labels.
    most_area : float
        A mask that covers a larger part of the image is dropped: it is the background, or the whole disc.
    min_area_px : int
        A label with fewer pixels is dropped.
    device : str
        ``cpu``, ``cuda``, or ``auto``: the graphics card where torch can use one.
    allow_pickle : bool
        Read weights from a pickle where the folder has no safetensors file.

    Raises
    ------
    ValueError
        A setting is impossible.
    """

    window: ContrastWindow = field(default_factory=ContrastWindow)
    choice: MaskChoice = field(default_factory=MaskChoice)
    most_area: float = 0.5
    min_area_px: int = 12
    device: Literal["auto", "cpu", "cuda"] = "auto"
    allow_pickle: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.most_area <= 1:
            raise ValueError(f"most_area is a fraction of the image, got {self.most_area}")
        if self.min_area_px < 1:
            raise ValueError(f"the smallest object has at least 1 pixel, got {self.min_area_px}")


class Sam(Segmenter):
    """Segment Anything (Kirillov et al., 2023).

    Parameters
    ----------
    folder : Path
        Folder with ``config.json`` and ``model.safetensors``.
    settings : SamSettings, optional
        Its settings.

    Raises
    ------
    SegmentationError
        transformers is not installed, a file is absent or damaged, or the weights are not those of this network.
    """

    kind: ClassVar[str] = "sam"
    _family: ClassVar[SamFamily] = SAM

    def __init__(self, folder: Path, settings: SamSettings | None = None) -> None:
        self._settings = settings or SamSettings()
        checkpoint = read_checkpoint(folder, self._family.source, allow_pickle=self._settings.allow_pickle)
        self._device = usable_device(self._settings.device)
        self.network = SamNetwork(self._family, checkpoint, self._device)
        self._hashes = {"weights_sha256": checkpoint.sha256, "config_sha256": checkpoint.config_sha256}

    @classmethod
    def of(cls, config: SegmentationConfig) -> Self:
        """Return the segmenter of a configuration; its threshold is the smallest score of a mask."""
        choice = MaskChoice() if config.threshold is None else MaskChoice(min_score=config.threshold)
        settings = SamSettings(choice=choice, min_area_px=config.min_area_px, allow_pickle=config.allow_pickle)
        return cls(config.weights or default_folder(cls.kind), settings)

    def settings(self) -> Mapping[str, str | float | bool]:
        """Return kind, hashes of the checkpoint, versions, and every setting."""
        chosen = asdict(self._settings)
        del chosen["device"], chosen["allow_pickle"]
        return {
            "segmenter": self.kind,
            **self._hashes,
            "transformers": self.network.version,
            "torch": torch.__version__,
            "device": self._device,
            **chosen.pop("window"),
            **chosen.pop("choice"),
            **chosen,
        }

    def prompts(self) -> SamPrompts:
        """Return what answers clicks and boxes, with the same network and contrast."""
        return SamPrompts(self.network, self._settings.window)

    def _segment(
        self, phase_rad: NDArray[np.float32], mask: NDArray[np.bool_], std_rad: NDArray[np.float32] | None
    ) -> tuple[NDArray[np.integer], NDArray[np.floating]]:
        embedding = self.network.embed(picture(phase_rad, mask, self._settings.window))
        masks, scores = automatic_masks(self.network, embedding, self._settings.choice)
        return labels_of_masks(masks, scores, mask, most_area=self._settings.most_area, min_area_px=self._settings.min_area_px)


class Sam2(Sam):
    """SAM 2.1 (Ravi et al., 2024), for single images; otherwise as :class:`Sam`."""

    kind: ClassVar[str] = "sam2"
    _family: ClassVar[SamFamily] = SAM2


def labels_of_masks(
    masks: NDArray[np.bool_], scores: NDArray[np.float32], disc: NDArray[np.bool_], *, most_area: float, min_area_px: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return one label for each mask; where masks overlap, a pixel belongs to the one with the highest score.

    Parameters
    ----------
    masks : ndarray of bool, shape (n, h, w)
        The masks.
    scores : ndarray of float32, shape (n,)
        Their scores.
    disc : ndarray of bool, shape (h, w)
        The fibre's disc.
    most_area : float
        Masks that cover a larger fraction of the image are dropped.
    min_area_px : int
        So are those of which fewer pixels are left in the disc and below better ones.

    Returns
    -------
    labels : ndarray of int32, shape (h, w)
        0 is background; mask ``k`` has the label ``k + 1``.
    scores : ndarray of float32, shape (n,)
        Scores between 0 and 1.
    """
    labels = np.zeros(disc.shape, np.int32)
    for number in np.argsort(scores, kind="stable"):  # the best is drawn last
        if masks[number].sum() <= most_area * disc.size:
            labels[masks[number]] = number + 1
    labels[~disc] = 0
    small = np.bincount(labels.ravel(), minlength=len(scores) + 1) < min_area_px
    labels[small[labels]] = 0
    return labels, np.clip(scores, 0, 1)
