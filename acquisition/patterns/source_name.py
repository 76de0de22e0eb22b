"""Names of pattern sources with parameters, such as ``usaf?bar_px=32`` or ``my-images?size_px=980``."""

from __future__ import annotations

from collections.abc import Mapping

from drivers.base import SpeckleScopeError


class PatternError(SpeckleScopeError):
    """A pattern source does not exist, cannot be read, or does not take a parameter."""


class Parameters:
    """The parameters of one source name. :meth:`done` refuses those that were never read.

    Parameters
    ----------
    name : str
        ``base`` or ``base?key=number&key=number``.

    Raises
    ------
    PatternError
        A parameter has no number.
    """

    def __init__(self, name: str) -> None:
        self.base, _, query = name.partition("?")
        self._name = name
        self._values: dict[str, float] = {}
        self._read: dict[str, str] = {}
        for part in query.split("&") if query else []:
            key, _, value = part.partition("=")
            try:
                self._values[key] = float(value)
            except ValueError:
                raise PatternError(
                    f"pattern source {name!r}: {part!r} is not 'name=number'; write {self.base}?name=1"
                ) from None

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """Return a parameter, or its default; raises PatternError outside ``low`` to ``high``."""
        self._read[key] = f"{key} ({low:g} to {high:g})"
        value = self._values.get(key, default)
        if key in self._values and not low <= value <= high:
            raise PatternError(f"pattern source {self._name!r}: {key} must lie in {low:g} to {high:g}, got {value:g}")
        return value

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        """Return a parameter that is a whole number; raises PatternError otherwise, as :meth:`number` does."""
        value = self.number(key, default, low, high)
        if value != int(value):
            raise PatternError(f"pattern source {self._name!r}: {key} must be a whole number, got {value:g}")
        return int(value)

    def done(self) -> None:
        """Raise PatternError when the name has parameters that were never read."""
        unknown = sorted(set(self._values) - set(self._read))
        if unknown:
            known = ", ".join(self._read.values()) or "no parameters"
            raise PatternError(f"pattern source {self._name!r} does not take {', '.join(unknown)}; {self.base} takes {known}")


#: What each source shows, by its name; for help texts and the window.
DESCRIPTIONS: Mapping[str, str] = {
    "mixed": "cells, overlapping shapes and parts of photographs in turn, as used for training",
    "cells": "synthetic adherent cells",
    "tissue": "synthetic tissue: touching cells with nuclei, fibres, debris",
    "lone-cells": "synthetic cells that stand alone",
    "leaves": "overlapping shapes with the edges of natural images",
    "crops": "parts of packaged photographs",
    "builtin": "packaged photographs",
    "digits": "synthetic digits",
    "usaf": "the USAF-1951 resolution chart (bar_px: width of its largest bar)",
    "siemens": "a Siemens star (spokes)",
    "zernike": "Zernike modes in turn (first: Noll index)",
    "gratings": "binary, sinusoidal and blazed gratings in turn",
    "checkerboards": "checkerboards of cells from 1 px up in turn",
    "random": "uniform random phase (cell_px)",
    "blank": "flat phase",
}
