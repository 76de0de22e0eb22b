"""Shapes that an operator has drawn on a picture, and the numbers that belong to them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from app.measuring.csv_text import Cell, csv_text
from app.measuring.line_profile import LineProfile, line_profile
from app.measuring.region_statistics import region_mean, region_statistics
from app.measuring.shapes import EllipseShape, LineShape, PixelGrid, PointShape, RectangleShape, Shape
from app.measuring.time_series import TimeSeries


class Kind(StrEnum):
    """What is measured."""

    POINT = "point"
    DISTANCE = "distance"
    PROFILE = "profile"
    RECTANGLE = "rectangle"
    ELLIPSE = "ellipse"

    @property
    def shape(self) -> type[PointShape | LineShape | RectangleShape]:
        """The class of its shape."""
        return {Kind.POINT: PointShape, Kind.RECTANGLE: RectangleShape, Kind.ELLIPSE: EllipseShape}.get(self, LineShape)

    @property
    def has_trace(self) -> bool:
        """Whether it has one value for each frame, whose course over time can be followed."""
        return self in (Kind.POINT, Kind.RECTANGLE, Kind.ELLIPSE)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A shape on a picture.

    Parameters
    ----------
    name : str
        Its name, such as "Line 2".
    kind : Kind
        What is measured.
    picture : str
        The picture that it lies on, such as "phase".
    shape : PointShape, LineShape, RectangleShape or EllipseShape
        Where it lies, in micrometres.
    """

    name: str
    kind: Kind
    picture: str
    shape: Shape

    def state(self) -> dict[str, object]:
        """Return plain data for :meth:`from_state`."""
        shape = {name: float(value) for name, value in vars(self.shape).items()}
        return {"name": self.name, "kind": self.kind.value, "picture": self.picture, "shape": shape}

    @classmethod
    def from_state(cls, state: Mapping[str, object]) -> Measurement:
        """Return the measurement from plain data; raises KeyError, TypeError or ValueError for other content."""
        kind, shape = Kind(str(state["kind"])), state["shape"]
        if not isinstance(shape, dict) or not all(isinstance(v, float) and math.isfinite(v) for v in shape.values()):
            raise TypeError(f"the shape {shape!r} has no finite coordinates")
        return cls(name=str(state["name"]), kind=kind, picture=str(state["picture"]), shape=kind.shape(**shape))


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasuredPicture:
    """A picture on which is measured.

    Parameters
    ----------
    values : ndarray, shape (h, w)
        Counts, or phase in radians.
    pitch_um : float
        Side of a pixel in micrometres.
    unit : str
        Unit of the values.
    frame_index : int or None
        The camera's counter of its frame; None when it belongs to no frame.
    full_scale : int or None
        The count at which the camera saturates.
    filters : tuple of str
        What was done to the values.
    """

    values: NDArray[np.generic]
    pitch_um: float
    unit: str
    frame_index: int | None = None
    full_scale: int | None = None
    filters: tuple[str, ...] = ()

    @property
    def grid(self) -> PixelGrid:
        """Its pixels."""
        rows, columns = self.values.shape
        return PixelGrid(rows, columns, self.pitch_um)


#: Columns of a table of results after name, kind, picture, filters, frame and unit.
NUMBERS = (
    "x_um", "y_um", "x_px", "y_px", "x2_um", "y2_um", "length_um", "angle_deg", "width_um", "height_um",
    "mean", "std", "min", "max", "pixels", "not_finite", "area_um2", "saturated_fraction",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """The numbers of a measurement on one picture.

    Parameters
    ----------
    measurement : Measurement
        What was measured.
    picture : MeasuredPicture or None
        The picture; None while no pane shows one.
    numbers : mapping of str to float
        Some of :data:`NUMBERS`; values are in the unit of the picture.
    profile : LineProfile or None
        The values along a line.
    """

    measurement: Measurement
    picture: MeasuredPicture | None
    numbers: Mapping[str, float] = field(default_factory=dict)
    profile: LineProfile | None = None


def measure(measurement: Measurement, picture: MeasuredPicture | None) -> Result:
    """Return the numbers of a measurement; only those of the shape while there is no picture."""
    shape = measurement.shape
    numbers: dict[str, float] = {}
    profile = None
    if isinstance(shape, LineShape):
        numbers |= {"x_um": shape.x1_um, "y_um": shape.y1_um, "x2_um": shape.x2_um, "y2_um": shape.y2_um}
        numbers |= {"length_um": shape.length_um, "angle_deg": shape.angle_deg}
        if picture is not None and measurement.kind is Kind.PROFILE:
            profile = line_profile(picture.values, shape, picture.pitch_um)
            numbers |= _of_values(profile.values)
    else:
        numbers |= {"x_um": shape.x_um, "y_um": shape.y_um}
        if isinstance(shape, RectangleShape):
            numbers |= {"width_um": shape.width_um, "height_um": shape.height_um}
        if picture is not None:
            numbers |= _of_region(shape, picture)
    return Result(measurement=measurement, picture=picture, numbers=numbers, profile=profile)


def trace_value(measurement: Measurement, picture: MeasuredPicture) -> float:
    """Return the mean of a point or a region."""
    shape = measurement.shape
    if isinstance(shape, LineShape):
        raise ValueError(f"{measurement.name} is a line and has no course over time")
    return region_mean(picture.values, shape, picture.pitch_um)


def _of_values(values: NDArray[np.float64]) -> dict[str, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return {}
    return {
        "mean": float(finite.mean()), "std": float(finite.std()), "min": float(finite.min()), "max": float(finite.max()),
        "not_finite": values.size - finite.size,
    }  # fmt: skip


def _of_region(shape: PointShape | RectangleShape, picture: MeasuredPicture) -> dict[str, float]:
    statistics = region_statistics(picture.values, shape, picture.pitch_um, picture.full_scale)
    numbers = {
        "mean": statistics.mean, "std": statistics.std, "min": statistics.low, "max": statistics.high,
        "pixels": statistics.pixels, "not_finite": statistics.not_finite, "area_um2": statistics.area_um2,
        "saturated_fraction": statistics.saturated_fraction,
    }  # fmt: skip
    if isinstance(shape, PointShape):
        pixel = picture.grid.pixel_at(shape.x_um, shape.y_um)
        return {} if pixel is None else {"mean": statistics.mean, "x_px": pixel[1], "y_px": pixel[0]}
    return numbers | {"x_px": shape.x_um / picture.pitch_um, "y_px": shape.y_um / picture.pitch_um}


def results_csv(results: Iterable[Result]) -> str:
    """Return a table of results, one line for each measurement."""
    names = ("name", "kind", "picture", "filters", "frame", "unit", *NUMBERS)
    rows: list[list[Cell]] = []
    for result in results:
        picture, measurement = result.picture, result.measurement
        row: list[Cell] = [measurement.name, measurement.kind.value, measurement.picture]
        row += [None, None, None] if picture is None else [", ".join(picture.filters), picture.frame_index, picture.unit]
        rows.append([*row, *(result.numbers.get(number) for number in NUMBERS)])
    notes = ("x to the right and y downwards from the upper left corner of the picture", "std of the population")
    return csv_text(names, rows, notes)


def profiles_csv(results: Iterable[Result]) -> str:
    """Return the values along all lines, one line for each sample."""
    rows: list[list[Cell]] = []
    for result in results:
        if result.profile is not None and result.picture is not None:
            head: list[Cell] = [result.measurement.name, result.picture.frame_index]
            samples = zip(result.profile.distance_um.tolist(), result.profile.values.tolist(), strict=True)
            rows += [[*head, distance, value, result.picture.unit] for distance, value in samples]
    return csv_text(("name", "frame", "distance_um", "value", "unit"), rows, ("bilinear interpolation, a pixel wide",))


def traces_csv(traces: Mapping[str, TimeSeries], units: Mapping[str, str]) -> str:
    """Return the course over time of points and regions, by name, one line for each frame of each; and their units, by name."""
    rows: list[list[Cell]] = []
    for name, series in traces.items():
        columns = [series.column(column).tolist() for column in ("frame", "time_s", "mean")]
        rows += [[name, *values, units[name]] for values in zip(*columns, strict=True)]
    notes = ("time_s: end of exposure on the monotonic clock of the computer",)
    return csv_text(("name", "frame", "time_s", "mean", "unit"), rows, notes)


def series_csv(series: TimeSeries, notes: Iterable[str] = ()) -> str:
    """Return a time series, one line for each frame."""
    names = ("frame", "time_s", *series.names)
    return csv_text(names, zip(*(series.column(name).tolist() for name in names), strict=True), tuple(notes))
