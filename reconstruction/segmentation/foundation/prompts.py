"""Clicks and boxes: single objects of one frame, whose picture is embedded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconstruction.segmentation.base import SegmentationError
from reconstruction.segmentation.foundation.picture import ContrastWindow, picture
from reconstruction.segmentation.foundation.sam_network import Embedding, Prompts, SamNetwork


@dataclass(frozen=True, kw_only=True)
class Click:
    """A point that an operator has clicked.

    Parameters
    ----------
    x_px, y_px : float
        Column and row in pixels of the phase.
    on_object : bool
        It lies on the object; else on what does not belong to it.
    """

    x_px: float
    y_px: float
    on_object: bool = True


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle around an object, in pixels of the phase."""

    left_px: float
    top_px: float
    right_px: float
    bottom_px: float


@dataclass(frozen=True, eq=False, kw_only=True)
class PromptedMask:
    """The answer to clicks and a box.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        The object.
    score : float
        Intersection over union that the network predicts for it, from 0 to 1.
    """

    mask: NDArray[np.bool_]
    score: float


class SamPrompts:
    """Answers clicks and boxes with the object that is meant.

    :meth:`embed` costs the most, once for each frame; an answer costs little.

    Parameters
    ----------
    network : SamNetwork
        The network.
    window : ContrastWindow
        Phases of black and white.
    """

    def __init__(self, network: SamNetwork, window: ContrastWindow) -> None:
        self._network = network
        self._window = window
        self._frame: tuple[Embedding, NDArray[np.bool_]] | None = None

    def embed(self, phase_rad: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
        """Prepare a phase image, shape (h, w), in radians; ``mask`` is the fibre's disc. What was prepared before is forgotten.

        Raises
        ------
        SegmentationError
            The phase is not finite in the disc, or the network cannot be computed.
        """
        if not mask.any() or not np.isfinite(phase_rad[mask]).all():
            raise SegmentationError("this frame has no finite phase in the disc; choose another frame")
        self._frame = self._network.embed(picture(phase_rad, mask, self._window)), mask

    def prompted(self, clicks: Sequence[Click] = (), box: Box | None = None) -> PromptedMask:
        """Return the one object that clicks, a box or both show.

        Parameters
        ----------
        clicks : sequence of Click
            Points of the object and of its surroundings.
        box : Box, optional
            A rectangle around it.

        Raises
        ------
        SegmentationError
            No image was prepared, nothing is asked, or the network cannot be computed.
        """
        if self._frame is None:
            raise SegmentationError("no frame is prepared; freeze a frame first")
        if not clicks and box is None:
            raise SegmentationError("nothing is asked; click on an object or draw a box around it")
        embedding, disc = self._frame
        points = np.array([[(click.x_px, click.y_px) for click in clicks]], np.float64) if clicks else None
        labels = np.array([[int(click.on_object) for click in clicks]], np.int64) if clicks else None
        corners = None if box is None else np.array([[box.left_px, box.top_px, box.right_px, box.bottom_px]], np.float64)
        # One click may mean a part, the object or a group: the network gives all three, and the best score is shown.
        several = box is None and len(clicks) == 1
        logits, scores = self._network.decode(embedding, Prompts(points=points, labels=labels, boxes=corners), several=several)
        best = int(scores[0].argmax())
        return PromptedMask(mask=(logits[0, best] > 0).cpu().numpy() & disc, score=float(scores[0, best].clamp(0, 1)))
