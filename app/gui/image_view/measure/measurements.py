"""All measurements of a window, their numbers, and the course of each over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PyQt6.QtCore import QObject, pyqtSignal

from app.measuring.measurement import Kind, MeasuredPicture, Measurement, Result, measure, trace_value
from app.measuring.shapes import Shape
from app.measuring.time_series import TimeSeries

MAX_MEASUREMENTS = 64


class Measurements(QObject):
    """The list of measurements, in the order in which they were drawn."""

    added = pyqtSignal(str)
    moved = pyqtSignal(str)
    removed = pyqtSignal(str)
    measured = pyqtSignal()  # results() has new numbers

    def __init__(self) -> None:
        super().__init__()
        self._all: dict[str, Measurement] = {}
        self._results: dict[str, Result] = {}
        self._traces: dict[str, TimeSeries] = {}
        self._numbers: dict[Kind, int] = {}
        self._colours: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, name: str) -> Measurement:
        return self._all[name]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all measurements."""
        return tuple(self._all)

    def on(self, picture: str) -> tuple[Measurement, ...]:
        """Return the measurements that lie on a picture."""
        return tuple(measurement for measurement in self._all.values() if measurement.picture == picture)

    def colour_number(self, name: str) -> int:
        """Return the number of the colour of a measurement; it stays when others are removed."""
        return self._colours[name]

    def add(self, kind: Kind, picture: str, shape: Shape) -> str | None:
        """Add a measurement and return its name; None when there are too many already."""
        if len(self._all) >= MAX_MEASUREMENTS:
            return None
        self._numbers[kind] = self._numbers.get(kind, 0) + 1
        name = f"{kind.value.capitalize()} {self._numbers[kind]}"
        self._insert(Measurement(name=name, kind=kind, picture=picture, shape=shape))
        return name

    def move(self, name: str, shape: Shape) -> None:
        """Change the shape of a measurement; its course over time begins again."""
        if name in self._all and self._all[name].shape != shape:
            old = self._all[name]
            self._all[name] = Measurement(name=name, kind=old.kind, picture=old.picture, shape=shape)
            self._results[name] = measure(self._all[name], None)
            if name in self._traces:
                self._traces[name].clear()
            self.moved.emit(name)

    def remove(self, name: str) -> None:
        """Remove a measurement."""
        if name in self._all:
            del self._all[name], self._results[name], self._colours[name]
            self._traces.pop(name, None)
            self.removed.emit(name)

    def clear(self) -> None:
        """Remove all measurements."""
        for name in self.names:
            self.remove(name)
        self._numbers.clear()

    # -- numbers --------------------------------------------------------------------------------------------------

    def measure(self, pictures: Mapping[str, MeasuredPicture]) -> None:
        """Measure on the pictures that are shown now; a measurement whose picture is not among them has no values."""
        for name, measurement in self._all.items():
            self._results[name] = measure(measurement, pictures.get(measurement.picture))
        self.measured.emit()

    def trace(self, picture_name: str, picture: MeasuredPicture, time_s: float) -> None:
        """Continue the course over time of all points and regions on a picture that is new."""
        if picture.frame_index is None:
            return
        for measurement in self.on(picture_name):
            if measurement.kind.has_trace:
                series = self._traces.setdefault(measurement.name, TimeSeries(("mean",)))
                series.add(picture.frame_index, time_s, trace_value(measurement, picture))

    @property
    def results(self) -> tuple[Result, ...]:
        """The newest numbers of all measurements."""
        return tuple(self._results[name] for name in self._all)

    @property
    def traces(self) -> Mapping[str, TimeSeries]:
        """The course over time of points and regions, by name."""
        return {name: self._traces[name] for name in self._all if name in self._traces}

    def forget_traces(self) -> None:
        """Begin all courses over time again."""
        for series in self._traces.values():
            series.clear()

    # -- plain data -----------------------------------------------------------------------------------------------

    def state(self) -> list[dict[str, object]]:
        """Return plain data for :meth:`restore`."""
        return [measurement.state() for measurement in self._all.values()]

    def restore(self, state: Sequence[object]) -> list[str]:
        """Replace all measurements by what :meth:`state` has returned; return a warning for each that cannot be used."""
        self.clear()
        warnings = []
        for entry in list(state)[:MAX_MEASUREMENTS]:
            try:
                if not isinstance(entry, dict):
                    raise TypeError("it is no mapping")
                measurement = Measurement.from_state(entry)
                if measurement.name in self._all:
                    raise ValueError(f"{measurement.name!r} occurs twice")
            except (KeyError, TypeError, ValueError) as error:
                warnings.append(f"A stored measurement cannot be used ({error}); it is skipped")
                continue
            number = measurement.name.rsplit(" ", 1)[-1]
            if number.isdecimal():
                self._numbers[measurement.kind] = max(self._numbers.get(measurement.kind, 0), int(number))
            self._insert(measurement)
        return warnings

    def _insert(self, measurement: Measurement) -> None:
        self._all[measurement.name] = measurement
        used = {self._colours[name] for name in self._all if name in self._colours}
        self._colours[measurement.name] = min(set(range(MAX_MEASUREMENTS)) - used)
        self._results[measurement.name] = measure(measurement, None)
        self.added.emit(measurement.name)
