"""Cells that an operator marks on one frame by clicks, and the segmenter that answers the clicks."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import tifffile
from numpy.typing import NDArray

from acquisition.archive.atomic_files import write_bytes
from reconstruction.segmentation.base import SegmentationError, Segmenter
from reconstruction.segmentation.config import SegmentationConfig
from reconstruction.segmentation.foundation.prompts import PromptedMask, SamPrompts
from reconstruction.segmentation.registry import open_segmenter

#: Segmenters that answer clicks; the last one is used where the live view has another segmenter.
_KINDS = ("sam", "sam2")
_MOST_CELLS = np.iinfo(np.uint16).max


@runtime_checkable
class Promptable(Protocol):
    """A segmenter that answers clicks and boxes."""

    def prompts(self) -> SamPrompts:
        """Return what answers them."""


class PromptSource:
    """Opens the segmenter that answers clicks, once for all frames.

    Parameters
    ----------
    opened : callable
        Opens the segmenter of a configuration.
    """

    def __init__(self, opened: Callable[[SegmentationConfig], Segmenter] = open_segmenter) -> None:
        self._open = opened
        self._last: tuple[SegmentationConfig, Segmenter] | None = None

    def prepared(
        self, live: SegmentationConfig, phase_rad: NDArray[np.float32], mask: NDArray[np.bool_]
    ) -> tuple[SamPrompts, Mapping[str, str | float | bool]]:
        """Return what answers clicks on a phase image, and the settings of its segmenter. Takes seconds: for a thread.

        Parameters
        ----------
        live : SegmentationConfig
            The segmenter of the live view: it is used if it answers clicks.
        phase_rad : ndarray of float32, shape (h, w)
            Phase in radians.
        mask : ndarray of bool, shape (h, w)
            The fibre's disc.

        Raises
        ------
        SegmentationError
            The segmenter cannot be opened, or does not answer clicks.
        """
        config = live if live.kind in _KINDS else SegmentationConfig(kind=_KINDS[-1])
        if self._last is None or self._last[0] != config:
            self._last = None
            self._last = config, self._open(config)
        segmenter = self._last[1]
        if not isinstance(segmenter, Promptable):
            raise SegmentationError(f"the segmenter '{config.kind}' does not answer clicks; choose sam or sam2")
        prompts = segmenter.prompts()
        prompts.embed(phase_rad, mask)
        return prompts, segmenter.settings()


class MarkedCells:
    """The cells that are marked on one frame, in the order in which they were marked.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the phase in pixels.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        self._masks: list[NDArray[np.bool_]] = []

    def __len__(self) -> int:
        return len(self._masks)

    def add(self, answer: PromptedMask) -> None:
        """Mark a cell; where it overlaps an older one, the pixels are its own.

        Raises
        ------
        SegmentationError
            It has no pixel, or there are too many cells.
        """
        if not answer.mask.any():
            raise SegmentationError("this answer has no pixel; click somewhere else")
        if len(self._masks) >= _MOST_CELLS:
            raise SegmentationError(f"a frame has at most {_MOST_CELLS} cells; save these first")
        self._masks.append(answer.mask)

    def remove_last(self) -> None:
        """Remove the cell that was marked last."""
        del self._masks[-1:]

    def labels(self, beside: NDArray[np.bool_] | None = None) -> NDArray[np.uint16]:
        """Return labels, shape (h, w): 0 is background, 1, 2, ... are the cells in their order; ``beside`` is one more cell."""
        labels = np.zeros(self._shape, np.uint16)
        for number, mask in enumerate([*self._masks, *([] if beside is None else [beside])], start=1):
            labels[mask] = number
        return labels


def save_labels(path: Path, labels: NDArray[np.uint16], facts: Mapping[str, str | float | bool]) -> None:
    """Write labels as a TIFF file of 16 bits, with what they depend on as JSON in its description.

    Raises
    ------
    SpeckleScopeError
        The file cannot be written; an older one is unchanged.
    """
    content = io.BytesIO()
    tifffile.imwrite(content, labels, photometric="minisblack", compression="zlib", description=json.dumps(dict(facts)))
    write_bytes(path, content.getvalue(), "choose another folder")
