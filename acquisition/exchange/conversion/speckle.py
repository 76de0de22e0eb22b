"""Speckle of other programs becomes counts: which integers it has, and how many bits the camera had."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Bits that cameras have; the fewest that hold all counts are taken where nothing is stated.
_DEPTHS = (8, 10, 12, 14, 16)
_MOST = 65535


class SpeckleError(ValueError):
    """A speckle cannot be converted. The message names the image, the value and the option."""


@dataclass(frozen=True, kw_only=True)
class StatedSpeckle:
    """What is stated about the speckle of some pairs.

    Parameters
    ----------
    bit_depth : int, optional
        Bits of the camera, as the operator states them.
    file_bit_depth : int, optional
        Bits of the camera, as the file states them.
    white : float, optional
        Value that becomes the highest count, for speckle that is no counts.
    ours : bool
        Whether SpeckleScope wrote the values.
    """

    bit_depth: int | None = None
    file_bit_depth: int | None = None
    white: float | None = None
    ours: bool = False


class SpeckleConverter:
    """Converts the images of one speckle array to counts of 8 or 16 bits, and remembers the highest.

    Parameters
    ----------
    dtype : dtype
        Of the array.
    stated : StatedSpeckle
        What is known about it.

    Raises
    ------
    SpeckleError
        The array cannot hold so many bits, or is not made of real numbers.
    """

    def __init__(self, dtype: np.dtype[Any], stated: StatedSpeckle) -> None:
        self._dtype, self._stated = dtype, stated
        if dtype.kind not in "biuf":
            raise SpeckleError(f"'speckle' has the type {dtype}: save it as counts of 8 or 16 bits")
        bits = 8 * dtype.itemsize if dtype.kind in "iu" else 16
        if stated.bit_depth is not None and not 8 <= stated.bit_depth <= min(16, bits):
            raise SpeckleError(
                f"--bit-depth {stated.bit_depth} does not fit speckle of type {dtype}: give 8 to {min(16, bits)}"
            )
        self.dtype = dtype.newbyteorder("=").name if stated.ours or dtype.name in ("uint8", "uint16") else "uint16"
        self._lowest, self._highest = math.inf, -math.inf
        #: The bits that any count has.
        self._used_bits = 0

    def convert(self, name: str, image: NDArray[Any]) -> NDArray[Any]:
        """Return one image as counts.

        Parameters
        ----------
        name : str
            What messages call it.
        image : ndarray, shape (H, W) or (C, H, W)
            As stored.

        Raises
        ------
        SpeckleError
            It has values that are no counts, or more than the stated bits.
        """
        counts = image
        if self._stated.white is not None:
            top = 2 ** (self._stated.bit_depth or 8 * np.dtype(self.dtype).itemsize) - 1
            counts = np.round(image.astype(np.float64) * (top / self._stated.white))
        low, high = float(counts.min()), float(counts.max())
        if self.dtype != self._dtype.name or self._stated.white is not None:
            most = np.iinfo(self.dtype).max if self.dtype in ("uint8", "uint16") else math.inf
            if not (np.isfinite(low) and np.isfinite(high)):
                raise SpeckleError(f"{name} has values that are not finite; a camera has none: replace them in the file")
            if low < 0:
                below = float(image.min())
                raise SpeckleError(
                    f"{name} has values down to {below:.6g}; counts begin at 0: add {-below:.6g} to all in the file"
                )
            if high > most:
                raise SpeckleError(
                    f"{name} spans {low:.6g} to {high:.6g}, outside the counts 0 to {most}: give --speckle-white, the value of "
                    "white"
                )
            whole = counts.astype(self.dtype)
            if not np.array_equal(whole, counts):
                raise SpeckleError(f"{name} has values between the counts: give --speckle-white, the value of white")
            counts = whole
        if self._stated.bit_depth is not None and high >= 2**self._stated.bit_depth:
            bits = self._stated.bit_depth
            remedy = _high_bits_remedy(bits) if _lowest_bit(_all_bits(counts)) >= 16 - bits else "give a larger --bit-depth"
            raise SpeckleError(f"{name} reaches {high:g} counts, more than {bits} bits hold: {remedy}")
        if counts.dtype == np.uint16 and self._stated.bit_depth is None:
            self._used_bits |= _all_bits(counts)
        self._lowest, self._highest = min(self._lowest, low), max(self._highest, high)
        return counts

    @property
    def bit_depth(self) -> int | None:
        """Bits of the camera: stated, or the fewest that hold all counts. None where our own file does not know them."""
        if self._stated.bit_depth is not None:
            return self._stated.bit_depth
        stored = self._stated.file_bit_depth
        if stored is not None and (self._stated.ours or self._highest < 2**stored):
            return stored
        if self._stated.ours:
            return None
        if self.dtype == "uint8":
            return 8
        return next((bits for bits in _DEPTHS if self._highest < 2**bits), None) if self.dtype == "uint16" else None

    def notes(self) -> list[str]:
        """Return what the operator should know."""
        stored, bits = self._stated.file_bit_depth, self.bit_depth
        notes = []
        if stored is not None and stored != bits:
            notes.append(f"speckle: its metadata states {stored} bits, but it counts as {bits} bits")
        elif stored is None and self._stated.bit_depth is None and bits is not None and self.dtype == "uint16":
            notes.append(
                f"speckle: no bit depth is stated; its highest count is {self._highest:g}, so it counts as {bits} bits "
                "(--bit-depth states another)"
            )
        used = next(bits for bits in _DEPTHS if bits >= 16 - _lowest_bit(self._used_bits))
        if not self._stated.ours and used < 16 and self._highest >= 2**used:
            notes.append(f"speckle: all its counts are multiples of {2 ** (16 - used)}: {_high_bits_remedy(used)}")
        if self._stated.white is not None:
            notes.append(f"speckle: its values were scaled, {self._stated.white:g} is white")
        elif self.dtype != self._dtype.name:
            notes.append(f"speckle: its {self._dtype} values are whole counts; they are stored as {self.dtype}")
        return notes

    def facts(self) -> Mapping[str, object]:
        """Return the type, the range and the bits, for a report."""
        source = "its metadata" if self._stated.file_bit_depth == self.bit_depth else "its values"
        source = "stated" if self._stated.bit_depth else source
        return {
            "speckle_dtype": self._dtype.name,
            "speckle_unit": "counts",
            "speckle_values": [self._lowest, self._highest] if self._lowest <= self._highest else None,
            "speckle_bit_depth": f"{self.bit_depth} ({source})",
        }


def _all_bits(counts: NDArray[Any]) -> int:
    """Return the bits that any count has; all of them for counts that are no integers."""
    return int(np.bitwise_or.reduce(counts, axis=None)) if counts.dtype.kind == "u" else -1


def _lowest_bit(bits: int) -> int:
    """Return how many of the lowest bits are not used; 0 if none is."""
    return (bits & -bits).bit_length() - 1 if bits else 0


def _high_bits_remedy(bits: int) -> str:
    return (
        f"if the {bits} bits of the camera are the high ones of 16, give --speckle-white {2**16 - 2 ** (16 - bits)} and "
        f"--bit-depth {bits}"
    )
