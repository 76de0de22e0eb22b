"""Phase of other programs becomes radians: its unit is stated, or shown by its values, and never guessed in silence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.exchange.conversion.units import PhaseUnit, phase_unit

#: White of integer levels where nothing is stated.
_WHITE = {"bool": 1.0, "uint8": 255.0, "uint16": 65535.0}
#: 16-bit levels that all lie below this were probably made with fewer bits.
_FEW_LEVELS = 4096
#: Rounding of values that are the end of the range.
_TOLERANCE = 1e-5
#: A phase of which nothing is stated counts as radians up to this value.
_WRAPPED_RAD = 2 * math.pi
#: What files state of numbers without a unit, as radians are to some programs.
_NO_UNIT = ("", "1", "none", "dimensionless")
_UNITS = "rad, deg, percent or levels"


class PhaseError(ValueError):
    """A phase cannot be converted. The message names the image, the value and the option."""


@dataclass(frozen=True, kw_only=True)
class StatedPhase:
    """What is stated about the phase of some pairs.

    Parameters
    ----------
    unit : PhaseUnit, optional
        Unit of the values.
    phase_range_rad : float, optional
        Phase of white in radians.
    white : float, optional
        Level of white, for the unit ``levels``.
    fill : float, optional
        Value, in the unit of the phase, for pixels that are not finite.
    ours : bool
        Whether SpeckleScope wrote the values: floating-point values are then radians, whatever they are.
    file_unit : str
        Unit that the file states; empty if it states none.
    gaps : bool
        Whether pixels that are not finite are kept, because a recording marks them.
    """

    unit: PhaseUnit | None = None
    phase_range_rad: float | None = None
    white: float | None = None
    fill: float | None = None
    ours: bool = False
    file_unit: str = ""
    gaps: bool = False


def _with_unit_of_file(stated: StatedPhase) -> StatedPhase:
    """Take the unit that the file states, where the operator states none. Radians are still compared with the phase range."""
    if stated.file_unit.lower() in _NO_UNIT:
        return replace(stated, file_unit="")
    if stated.unit is not None or stated.ours:
        return stated
    unit = phase_unit(stated.file_unit)
    if unit is None:
        raise PhaseError(
            f"'phase' is in {stated.file_unit!r}, as its file states: give --phase-unit {_UNITS} if it is in one of these"
        )
    return stated if unit is PhaseUnit.RAD else replace(stated, unit=unit)


class PhaseConverter:
    """Converts the images of one phase array to radians, and remembers what it saw.

    Parameters
    ----------
    dtype : dtype
        Of the array.
    stated : StatedPhase
        What is known about it.

    Raises
    ------
    PhaseError
        Its unit has to be stated, or what is stated does not suffice.
    """

    def __init__(self, dtype: np.dtype[Any], stated: StatedPhase) -> None:
        self._operator_states_unit = stated.unit is not None
        stated = _with_unit_of_file(stated)
        self._dtype, self._stated = dtype, stated
        if dtype.kind not in "biufc":
            raise PhaseError(f"'phase' has the type {dtype}: save it as numbers")
        if dtype.kind == "c" and stated.unit is not PhaseUnit.RAD:
            raise PhaseError("'phase' is complex: give --phase-unit rad to store its angle in radians")
        if dtype.kind in "biu" and stated.unit is None:
            raise PhaseError(
                f"'phase' is {dtype}, and its unit is not stated: give --phase-unit {_UNITS}; percent and levels also need "
                "--phase-range-rad, the phase of white"
            )
        if stated.white is not None and stated.unit is not PhaseUnit.LEVELS:
            raise PhaseError("a white value is stated, but no levels: give --phase-unit levels too, or leave --phase-white out")
        self.unit = stated.unit or PhaseUnit.RAD
        self.white = (stated.white or _WHITE.get(dtype.name)) if self.unit is PhaseUnit.LEVELS else None
        self._full = {PhaseUnit.PERCENT: 100.0, PhaseUnit.LEVELS: self.white}.get(self.unit)
        if self.unit is PhaseUnit.LEVELS and self.white is None:
            raise PhaseError(f"'phase' has levels of type {dtype}: give --phase-white, the level of white")
        if self._full is not None and stated.phase_range_rad is None:
            raise PhaseError(f"'phase' is in {self.unit}: give --phase-range-rad, the phase of white in radians")
        self._low_rad, self._high_rad, self._highest = math.inf, -math.inf, -math.inf
        self._filled: dict[str, int] = {}
        self._gaps: set[str] = set()

    def convert(self, name: str, image: NDArray[Any]) -> NDArray[np.float32]:
        """Return one image in radians.

        Parameters
        ----------
        name : str
            What messages call it.
        image : ndarray, shape (H, W)
            As stored.

        Raises
        ------
        PhaseError
            It has values that are not finite, or that its unit does not have.
        """
        values = self._finite(name, np.angle(image) if image.dtype.kind == "c" else image)
        if values is None:
            self._gaps.add(name)
            return image.astype(np.float32)
        low, high = float(values.min()), float(values.max())
        self._check_full(name, low, high)
        phase_rad = self._radians(values)
        if not np.isfinite(phase_rad).all():
            raise PhaseError(f"{name} reaches {high:.6g}, too large for a phase: state its unit with --phase-unit {_UNITS}")
        low_rad, high_rad = float(phase_rad.min()), float(phase_rad.max())
        self._check_assumed(name, low_rad, high_rad)
        self._low_rad, self._high_rad = min(self._low_rad, low_rad), max(self._high_rad, high_rad)
        self._highest = max(self._highest, high)
        return phase_rad

    def _finite(self, name: str, image: NDArray[Any]) -> NDArray[Any] | None:
        """Return an image with all values finite, or None if it keeps its gaps."""
        if image.dtype.kind != "f":
            return image
        wrong = ~np.isfinite(image)
        if not wrong.any():
            return image
        if self._stated.gaps:
            return None
        if self._stated.fill is None:
            row, column = (int(place) for place in np.argwhere(wrong)[0])
            raise PhaseError(
                f"{name} is {image[row, column]} in pixel row {row}, column {column}, and {int(wrong.sum())} of its pixels are "
                "not finite: correct it, or give --phase-fill, the value for such pixels"
            )
        self._filled[name] = int(wrong.sum())
        return np.where(wrong, image.dtype.type(self._stated.fill), image)

    def _radians(self, values: NDArray[Any]) -> NDArray[np.float32]:
        if self._full is not None:
            factor = (self._stated.phase_range_rad or 0.0) / self._full
        else:
            factor = math.pi / 180 if self.unit is PhaseUnit.DEG else 1.0
        if values.dtype.name in ("uint8", "uint16"):
            # The same numbers as for 8-bit labels in a folder, whose ids are made from them.
            return (values * np.float32(factor)).astype(np.float32)
        if values.dtype == np.float32 and self.unit is PhaseUnit.RAD:
            return values
        with np.errstate(over="ignore"):
            return (values.astype(np.float64) * factor).astype(np.float32)

    def _check_full(self, name: str, low: float, high: float) -> None:
        if self._full is None:
            return
        outside = high if high > self._full * (1 + _TOLERANCE) else low if low < -self._full * (1 + _TOLERANCE) else None
        if outside is None:
            return
        remedy = "give --phase-white, the level of white" if self.unit is PhaseUnit.LEVELS else "state another unit"
        raise PhaseError(
            f"{name} has the value {outside:.6g}, outside -{self._full:g} to {self._full:g} of {self.unit}: {remedy}, or "
            f"--phase-unit {_UNITS}"
        )

    def _check_assumed(self, name: str, low_rad: float, high_rad: float) -> None:
        """Refuse values that cannot be radians, where nobody says that they are."""
        if self._stated.unit is not None or self._stated.ours:
            return
        most = _WRAPPED_RAD if self._stated.phase_range_rad is None else self._stated.phase_range_rad
        if max(-low_rad, high_rad) > most * (1 + _TOLERANCE):
            which = "2 pi" if self._stated.phase_range_rad is None else f"the phase range of {most:g} rad"
            raise PhaseError(
                f"{name} spans {low_rad:.6g} to {high_rad:.6g}, beyond {which}: state its unit with --phase-unit {_UNITS}"
            )

    def problems(self) -> list[str]:
        """Return what all images together show to be wrong."""
        assumed = self._stated.white is None and self._dtype == np.uint16 and self.unit is PhaseUnit.LEVELS
        if assumed and 0 <= self._highest < _FEW_LEVELS:
            return [
                f"the highest level of the 16-bit phase is {self._highest:g}: give --phase-white, the level of white; 65535 if "
                "it really has all 16 bits"
            ]
        return []

    def notes(self) -> list[str]:
        """Return what the operator should know."""
        notes = []
        if self._stated.file_unit and not self._stated.ours:
            notes.append(f"phase: its file states the unit {self._stated.file_unit!r}; it is read as {self.unit}")
        span = f"it spans {self._low_rad:.4g} to {self._high_rad:.4g} rad"
        phase_range_rad = self._stated.phase_range_rad
        if not self._stated.ours and self._stated.unit is None:
            notes.append(f"phase: {'' if self._stated.file_unit else 'no unit is stated, so it counts as radians; '}{span}")
        elif (
            not self._stated.ours
            and phase_range_rad is not None
            and (self._low_rad < -_TOLERANCE or self._high_rad > phase_range_rad * (1 + _TOLERANCE))
        ):
            notes.append(f"phase: {span}, which is not inside 0 to {phase_range_rad:g} rad")
        if self._dtype.name in ("float64", "complex128", "longdouble"):
            notes.append(f"phase: it has double precision ({self._dtype}); it is stored as float32")
        if self._dtype.kind == "c":
            notes.append("phase: its angle is stored, its amplitude is not")
        if self._filled:
            count = sum(self._filled.values())
            notes.append(
                f"phase: {count} pixels in {len(self._filled)} images were not finite; they are {self._stated.fill:g} "
                f"{self.unit} now"
            )
        if self._gaps:
            notes.append(f"phase: {len(self._gaps)} images of the recording have pixels without a phase (NaN)")
        return notes

    def _source(self) -> str:
        if self._operator_states_unit:
            return "stated"
        if self._stated.ours:
            return "written by SpeckleScope"
        return "its metadata" if self._stated.file_unit else "assumed"

    def facts(self) -> Mapping[str, object]:
        """Return the unit, where it is from, and the range, for a report."""
        return {
            "phase_dtype": self._dtype.name,
            "phase_unit": f"{self.unit} ({self._source()})",
            "phase_values_rad": [self._low_rad, self._high_rad] if self._low_rad <= self._high_rad else None,
            "phase_range_rad": self._stated.phase_range_rad,
            **({"phase_white": self.white} if self.white is not None else {}),
        }
