"""Every number of an instrument file is a finite number, and not negative where it is a size, a time or a count."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel

#: Numbers that have a direction, so that they may be negative.
_SIGNED = {
    "gain_db",
    "gain",
    "carrier_angle_rad",
    "lens_focal_length_mm",
    "offset_px",
    "shift_px",
    "rotation_deg",
}


def wrong_number(values: object, section: type[Any]) -> str | None:
    """Return what is wrong with the first number that cannot be right, or None.

    Parameters
    ----------
    values : mapping or section
        The values of an instrument file, or of a part of it.
    section : type
        The dataclass or pydantic model that they are for; its type hints say which of them are numbers.
    """
    for key, value in _numbers(values, section, ""):
        if isinstance(value, bool | str):
            return f"'{key}' = {value!r}: give a number, such as 12, 0.5 or 1e-3, without quotes and without leading zeros"
        if not math.isfinite(value):
            return f"'{key}' = {value}: give a finite number"
        if value < 0 and key.rpartition(".")[2] not in _SIGNED:
            return f"'{key}' = {value}: it cannot be negative"
    return None


def _numbers(values: object, section: type[Any], prefix: str) -> Iterator[tuple[str, int | float | str]]:
    """Yield every number, or bool or text in the place of a number, with its key."""
    stated = values if isinstance(values, Mapping) else vars(values) if isinstance(values, section) else {}
    for name, hint in get_type_hints(section).items():
        if name not in stated:
            continue
        value, key = stated[name], f"{prefix}{name}"
        inner = next((part for part in (hint, *get_args(hint)) if dataclasses.is_dataclass(part) or _is_model(part)), None)
        if isinstance(inner, type):
            yield from _numbers(value, inner, f"{key}.")
        elif _is_numeric(hint):
            items = value if isinstance(value, list | tuple) else [value]
            yield from ((key, item) for item in items if isinstance(item, int | float | str))


def _is_model(hint: object) -> bool:
    return isinstance(hint, type) and issubclass(hint, BaseModel)


def _is_numeric(hint: Any) -> bool:
    """Whether a hint is for numbers only, such as ``float``, ``int | None`` or ``tuple[float, float]``."""
    kinds = {part for part in get_args(hint) if part not in (type(None), ...)} or {hint}
    return all(kind in (int, float) or (kind is not hint and bool(get_args(kind)) and _is_numeric(kind)) for kind in kinds)
