"""What a pane can show: the newest picture of each kind, or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from app.gui.image_view.cell_marks import CellLook, PictureText, cell_texts, outline_colours
from app.gui.image_view.colour_maps import ColourMap
from app.gui.widgets.formatting import count
from app.measuring.view_filters import Quantity
from app.status import MARK_TEXTS, LiveView, Overlay
from drivers.base import Frame, FrameMark
from reconstruction.phase_filters import wrapped_difference

_TURN_RAD = 2 * math.pi
_SATURATED = 0.001  # of the pixels: above this fraction the subtitle warns of saturation
_UNCERTAINTY_LEVELS_RAD = (0.0, 0.5)


class Content(StrEnum):
    """What a pane shows."""

    SPECKLE = "speckle"
    PHASE = "phase"
    OVERLAY = "overlay"
    UNCERTAINTY = "uncertainty"
    SLM = "slm"
    TRUTH = "truth"
    ERROR = "error"

    @property
    def label(self) -> str:
        """The name for the operator."""
        return _LABELS[self]

    @property
    def values(self) -> ValueKind:
        """What its values are; pictures of the same kind share their levels."""
        return _KINDS[self]

    @property
    def colours(self) -> ColourMap:
        """Its colours until the operator chooses others."""
        return _COLOURS[self]

    @property
    def plane(self) -> Plane:
        """The plane that it lies in; pictures of the same plane share zoom and position when they are linked."""
        return _PLANES.get(self, Plane.OBJECT)


class ValueKind(StrEnum):
    """What the values of a picture are."""

    COUNTS = "counts"
    PHASE = "phase"
    UNCERTAINTY = "uncertainty"
    ERROR = "error"
    SLM_PHASE = "slm phase"

    @property
    def unit(self) -> str:
        """Unit of the values."""
        return "counts" if self is ValueKind.COUNTS else "rad"

    @property
    def decimals(self) -> int:
        """Digits after the point."""
        return 0 if self is ValueKind.COUNTS else 2

    def text(self, value: float) -> str:
        """Write a value with its unit."""
        return f"{value:.{self.decimals}f} {self.unit}" if math.isfinite(value) else "not a number"


class Plane(StrEnum):
    """Where a picture lies."""

    CAMERA = "camera"
    OBJECT = "object"
    SLM = "slm"


_LABELS = {
    Content.SPECKLE: "Speckle",
    Content.PHASE: "Phase",
    Content.OVERLAY: "Overlay",
    Content.UNCERTAINTY: "Uncertainty",
    Content.SLM: "SLM pattern",
    Content.TRUTH: "Truth",
    Content.ERROR: "Error",
}
_KINDS = {
    Content.SPECKLE: ValueKind.COUNTS,
    Content.PHASE: ValueKind.PHASE,
    Content.OVERLAY: ValueKind.PHASE,
    Content.UNCERTAINTY: ValueKind.UNCERTAINTY,
    Content.SLM: ValueKind.SLM_PHASE,
    Content.TRUTH: ValueKind.PHASE,
    Content.ERROR: ValueKind.ERROR,
}
_COLOURS = {
    Content.SPECKLE: ColourMap.GREY,
    Content.PHASE: ColourMap.AUTOMATIC,
    Content.OVERLAY: ColourMap.GREY,
    Content.UNCERTAINTY: ColourMap.MAGMA,
    Content.SLM: ColourMap.GREY,
    Content.TRUTH: ColourMap.AUTOMATIC,
    Content.ERROR: ColourMap.DIVERGING,
}
_PLANES = {Content.SPECKLE: Plane.CAMERA, Content.SLM: Plane.SLM}
_MOVED = "FIBRE MOVED"
_NO_MODEL = "No model for this fibre yet: acquire pairs, then train a model"
_UNKNOWN = {
    Content.UNCERTAINTY: "This model gives no uncertainty",
    Content.SLM: "It is not known what the SLM shows",
    Content.TRUTH: "The truth is known only while our SLM shows a pattern",
    Content.ERROR: "The error is known only while our SLM shows a pattern",
}


@dataclass(frozen=True, kw_only=True)
class PaneFacts:
    """What the panes have to know about the instrument.

    Parameters
    ----------
    field_um : float
        Width of the square field of view in micrometres.
    full_scale : int
        The count at which the camera saturates.
    display_range_rad : tuple of float
        Levels of the phase until the operator sets others.
    """

    field_um: float
    full_scale: int
    display_range_rad: tuple[float, float]

    def default_levels(self, kind: ValueKind) -> tuple[float, float]:
        """Return the levels of a kind of values until the operator sets others."""
        low, high = self.display_range_rad
        return {
            ValueKind.COUNTS: (0.0, float(self.full_scale)),
            ValueKind.PHASE: (low, high),
            ValueKind.UNCERTAINTY: _UNCERTAINTY_LEVELS_RAD,
            ValueKind.ERROR: (-(high - low) / 2, (high - low) / 2),
            ValueKind.SLM_PHASE: (0.0, _TURN_RAD),
        }[kind]

    def limits(self, kind: ValueKind) -> tuple[float, float]:
        """Return the smallest and largest value that a level may have."""
        return (0.0, float(self.full_scale)) if kind is ValueKind.COUNTS else (-99.0, 99.0)

    @property
    def wrapped_from_rad(self) -> float | None:
        """Lower end of the interval of wrapped phases; None when the phases span no full turn and are not wrapped."""
        low, high = self.display_range_rad
        return low if math.isclose(high - low, _TURN_RAD, rel_tol=0.002) else None

    def quantity(self, content: Content) -> Quantity:
        """Return what filters have to know about the values."""
        if content in (Content.PHASE, Content.OVERLAY, Content.TRUTH):
            return Quantity(is_phase=True, wrapped_from_rad=self.wrapped_from_rad)
        return Quantity(is_phase=content in (Content.ERROR, Content.SLM))


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """A picture for a pane.

    Parameters
    ----------
    values : ndarray, shape (h, w)
        Counts, or phase in radians.
    frame_index : int or None
        The camera's counter of its frame; None when it belongs to no frame.
    time_s : float
        When this frame was exposed, in seconds of the monotonic clock; NaN when it belongs to no frame.
    mask : ndarray of bool, shape (h, w)
        Where the values mean something: the fibre's disc.
    labels : ndarray of uint16, shape (h, w), optional
        Detected objects whose outlines are drawn.
    outline_colours : ndarray of uint8, shape (n, 4), optional
        Colours of the outlines of labels 1 to n; without them, all have one colour.
    texts : tuple of PictureText
        What is written on the picture.
    stamp : str
        What is wrong with the frame.
    full_scale : int or None
        The count at which the camera saturates; None when the values are no counts.
    filters : tuple of str
        What was done to the values, in words.
    is_invalid : bool
        Whether the fibre has moved, so that the picture does not show the object.
    """

    values: NDArray[np.generic]
    frame_index: int | None
    mask: NDArray[np.bool_]
    time_s: float = math.nan
    labels: NDArray[np.uint16] | None = None
    outline_colours: NDArray[np.uint8] | None = None
    texts: tuple[PictureText, ...] = ()
    stamp: str = ""
    full_scale: int | None = None
    filters: tuple[str, ...] = ()
    is_invalid: bool = False


@dataclass
class Newest:
    """The newest frame, view, overlay and SLM pattern.

    Parameters
    ----------
    facts : PaneFacts
        What the panes have to know about the instrument.
    missing : mapping of Content to str
        Why there is no picture of some contents, in place of the usual reasons: those of a recorded frame.
    cell_look : CellLook
        How cells are marked on the overlay.
    """

    facts: PaneFacts
    frame: Frame | None = None
    view: LiveView | None = None
    overlay: Overlay | None = None
    slm_phase_rad: NDArray[np.float32] | None = None
    missing: Mapping[Content, str] = field(default_factory=dict)
    cell_look: CellLook = field(default_factory=CellLook)
    _masks: dict[tuple[int, int], NDArray[np.bool_]] = field(default_factory=dict)

    def picture(self, content: Content) -> Shown | str:
        """Return the newest picture, or the reason why there is none; an empty reason means that none has come yet."""
        if content in self.missing:
            return self.missing[content]
        if content is Content.SPECKLE:
            return "" if self.frame is None else self._speckle(self.frame)
        if content is Content.SLM:
            return _UNKNOWN[content] if self.slm_phase_rad is None else self._slm(self.slm_phase_rad)
        view = self.overlay.view if content is Content.OVERLAY and self.overlay is not None else self.view
        if view is None:
            return ""
        if view.reconstruction is None:
            return _NO_MODEL
        if content is Content.OVERLAY and self.overlay is None:
            return ""
        values = self._of_view(content, view)
        if values is None:
            return _UNKNOWN[content]
        overlay = self.overlay if content is Content.OVERLAY else None
        cells = overlay.cells if overlay is not None else None
        mask = self._mask(view, values)
        return Shown(
            # Nothing outside the fibre's disc was observed.
            values=values if mask.all() else np.where(mask, values, np.float32(np.nan)),
            frame_index=view.frame.index,
            time_s=view.frame.t_ns * 1e-9,
            mask=mask,
            labels=overlay.labels if overlay is not None else None,
            outline_colours=None if cells is None else outline_colours(cells, self.cell_look),
            texts=() if cells is None else cell_texts(cells, self.cell_look),
            stamp=_stamp(view.frame),
            is_invalid=_has_moved(view.frame),
        )

    def note(self, content: Content) -> str:
        """Return what the subtitle says about the newest picture beside its frame number."""
        if content is Content.SPECKLE and self.frame is not None:
            saturated = self.frame.saturated_fraction()
            warning = f"{saturated:.1%} saturated, " if saturated >= _SATURATED else ""
            return f"{warning}exposure {self.frame.exposure_s * 1e3:.3g} ms, "
        if content is Content.OVERLAY and self.overlay is not None:
            return f"{objects_text(self.overlay.labels)}, {_drawn_text(self.overlay.view)}"
        if content is Content.PHASE and self.view is not None:
            return _drawn_text(self.view)
        if content is Content.ERROR and isinstance(shown := self.picture(content), Shown):
            inside = np.asarray(shown.values[shown.mask], np.float64)
            return f"RMS {np.sqrt(np.mean(inside**2)):.2f} rad, " if inside.size else ""
        return ""

    def _speckle(self, frame: Frame) -> Shown:
        return Shown(
            values=frame.grey,
            frame_index=frame.index,
            time_s=frame.t_ns * 1e-9,
            mask=self._everywhere(frame.shape),
            stamp=_stamp(frame),
            is_invalid=_has_moved(frame),
            full_scale=frame.full_scale,
        )

    def _slm(self, phase_rad: NDArray[np.float32]) -> Shown:
        height, width = phase_rad.shape
        return Shown(values=phase_rad, frame_index=None, mask=self._everywhere((height, width)))

    def _of_view(self, content: Content, view: LiveView) -> NDArray[np.float32] | None:
        reconstruction = view.reconstruction
        if reconstruction is None:
            return None
        if content is Content.UNCERTAINTY:
            return reconstruction.uncertainty_rad
        if content is Content.TRUTH:
            return view.truth_rad
        if content is Content.ERROR:
            return None if view.truth_rad is None else self._error(reconstruction.phase_rad, view.truth_rad)
        return reconstruction.phase_rad

    def _error(self, phase_rad: NDArray[np.float32], truth_rad: NDArray[np.float32]) -> NDArray[np.float32]:
        wrapped = self.facts.wrapped_from_rad is not None
        error = wrapped_difference(phase_rad, truth_rad) if wrapped else phase_rad - truth_rad
        return np.asarray(error, np.float32)

    def _mask(self, view: LiveView, values: NDArray[np.generic]) -> NDArray[np.bool_]:
        height, width = values.shape
        known = view.reconstruction.mask if view.reconstruction is not None else None
        return known if known is not None and known.shape == values.shape else self._everywhere((height, width))

    def _everywhere(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        if shape not in self._masks:
            self._masks = {**dict(list(self._masks.items())[-3:]), shape: np.ones(shape, np.bool_)}
        return self._masks[shape]


def _drawn_text(view: LiveView) -> str:
    """Return what is shown of a model that draws samples; empty for others."""
    sampling = view.reconstruction.sampling if view.reconstruction is not None else None
    return f"{sampling.text}, " if sampling is not None else ""


def _stamp(frame: Frame) -> str:
    return ", ".join(_MOVED if mark is FrameMark.DECORRELATED else MARK_TEXTS[mark] for mark in frame.marks)


def _has_moved(frame: Frame) -> bool:
    return FrameMark.DECORRELATED in frame.marks


def objects_text(labels: NDArray[np.uint16] | None) -> str:
    """Write how many objects were detected."""
    if labels is None:
        return "no segmentation"
    objects = int(np.count_nonzero(np.bincount(labels.ravel())[1:]))
    return f"{count(objects)} {'object' if objects == 1 else 'objects'}"
