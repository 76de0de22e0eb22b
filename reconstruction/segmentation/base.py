"""What every segmenter takes and gives, so that the live view, recordings and benchmarks use any of them in the same way."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from drivers.base import SpeckleScopeError, frozen_array


class SegmentationError(SpeckleScopeError):
    """A segmenter, its settings, its weights or what it gave cannot be used."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Segmentation:
    """The objects of one phase image.

    Parameters
    ----------
    labels : ndarray of uint16, shape (h, w)
        0 is background; 1, 2, ... n are the objects, numbered without gaps.
    scores : ndarray of float32, shape (n,)
        How sure the segmenter is of each object, from 0 to 1, in the order of the numbers.
    seconds : float
        Time that it took.
    """

    labels: NDArray[np.uint16]
    scores: NDArray[np.float32]
    seconds: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", frozen_array(self.labels))
        object.__setattr__(self, "scores", frozen_array(self.scores))

    @property
    def count(self) -> int:
        """Number of objects."""
        return len(self.scores)


class Segmenter(ABC):
    """Labels the objects of a phase image.

    A subclass states its ``kind`` and implements :meth:`_segment`. A package of its own offers one through the entry point
    group ``specklescope.segmenters``, with the kind as its name. One thread at a time uses a segmenter.
    """

    #: Name under which it is chosen and stored.
    kind: ClassVar[str]

    def segment(
        self, phase_rad: NDArray[np.float32], mask: NDArray[np.bool_], std_rad: NDArray[np.float32] | None = None
    ) -> Segmentation:
        """Label the objects of a phase image.

        Parameters
        ----------
        phase_rad : ndarray of float32, shape (h, w)
            Phase in radians.
        mask : ndarray of bool, shape (h, w)
            The fibre's disc. Outside it there are no objects.
        std_rad : ndarray of float32, shape (h, w), optional
            Standard deviation of the phase in radians, where it is known.

        Returns
        -------
        Segmentation
            The objects. An image with values in the disc that are not finite has none, nor has an empty disc.

        Raises
        ------
        SegmentationError
            The shapes differ, or the segmenter gave something else than labels and their scores.
        """
        started_s = time.perf_counter()
        for name, array in (("mask", mask), ("standard deviation", std_rad)):
            if array is not None and array.shape != phase_rad.shape:
                raise SegmentationError(
                    f"the {name} has shape {array.shape}, the phase {phase_rad.shape}; give both the same shape"
                )
        if not mask.any() or not np.isfinite(phase_rad[mask]).all():
            numbered = np.zeros(phase_rad.shape, np.uint16), np.zeros(0, np.float32)
        else:
            labels, scores = self._segment(phase_rad, mask, std_rad)
            numbered = _numbered(np.where(mask, labels, 0), scores, self.kind)
        return Segmentation(labels=numbered[0], scores=numbered[1], seconds=time.perf_counter() - started_s)

    @abstractmethod
    def _segment(
        self, phase_rad: NDArray[np.float32], mask: NDArray[np.bool_], std_rad: NDArray[np.float32] | None
    ) -> tuple[NDArray[np.integer], NDArray[np.floating]]:
        """Return labels (h, w), numbered from 1 in any order, and the score of label ``k`` at place ``k - 1``.

        The phase is finite in the disc, and the disc is not empty. Numbers without a pixel are removed by the caller.
        """

    def settings(self) -> Mapping[str, str | float | bool]:
        """Return what a recording or a result keeps of this segmenter, in plain types: all that its labels depend on."""
        return {"segmenter": self.kind}

    def close(self) -> None:  # noqa: B027 - most segmenters hold nothing
        """Free what it holds; it is not used afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _numbered(
    labels: NDArray[np.integer], scores: NDArray[np.floating], kind: str
) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """Return labels without gaps, and the scores that belong to them."""
    most = np.iinfo(np.uint16).max
    if labels.min() < 0 or labels.max() > min(len(scores), most):
        raise SegmentationError(
            f"the segmenter '{kind}' gave labels from {labels.min()} to {labels.max()} and {len(scores)} scores; labels are 0 "
            f"to the number of scores, at most {most}"
        )
    present = np.bincount(labels.ravel(), minlength=len(scores) + 1) > 0
    present[0] = False
    numbers = (np.cumsum(present) * present).astype(np.uint16)
    return numbers[labels], np.asarray(scores, np.float32)[present[1:]]
