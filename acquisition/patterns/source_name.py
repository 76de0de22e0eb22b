"""Names of pattern sources with parameters, such as ``usaf?bar_px=32`` or ``my-images?size_px=980``."""

from __future__ import annotations

from collections.abc import Mapping

from drivers.base import SpeckleScopeError


class PatternError(SpeckleScopeError):
    """A pattern source does not exist, cannot be read, or has a parameter that it does not take."""


class Parameters:
    """The parameters of one source name; every one has to be asked for, or :meth:`done` refuses it.

    Parameters
    ----------
    name : str
        ``base`` or ``base?key=number&key=number``.

    Raises
    ------
    PatternError
        A parameter without a number.
    """

    def __init__(self, name: str) -> None:
        self.base, _, query = name.partition("?")
        self._name = name
        self._values: dict[str, float] = {}
        self._asked: dict[str, str] = {}
        for part in query.split("&") if query else []:
            key, _, value = part.partition("=")
            try:
                self._values[key] = float(value)
            except ValueError:
                raise PatternError(f"pattern source {name!r}: {part!r} is no 'name=number'; write {self.base}?name=1") from None

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """Return a parameter, within its bounds."""
        self._asked[key] = f"{key} ({low:g} to {high:g})"
        value = self._values.get(key, default)
        if key in self._values and not low <= value <= high:
            raise PatternError(f"pattern source {self._name!r}: {key} must lie in {low:g} to {high:g}, got {value:g}")
        return value

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        """Return a parameter that is a whole number, within its bounds."""
        value = self.number(key, default, low, high)
        if value != int(value):
            raise PatternError(f"pattern source {self._name!r}: {key} must be a whole number, got {value:g}")
        return int(value)

    def done(self) -> None:
        """Refuse parameters that nobody asked for."""
        unknown = sorted(set(self._values) - set(self._asked))
        if unknown:
            known = ", ".join(self._asked.values()) or "no parameters"
            raise PatternError(f"pattern source {self._name!r} does not take {', '.join(unknown)}; {self.base} takes {known}")


#: Sources by name, with what they show; for help texts and the window.
DESCRIPTIONS: Mapping[str, str] = {
    "mixed": "cells, overlapping shapes and parts of photographs in turn: what models are trained on",
    "cells": "synthetic adherent cells",
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
