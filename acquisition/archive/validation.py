"""One line for people out of pydantic's account of a wrong value."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any, get_type_hints

import pydantic

#: Characters of a wrong value that a message shows.
_SHOWN = 80


def explain(error: pydantic.ValidationError, known_keys: Collection[str]) -> str:
    """Return the first mistake of a validation in one line: the key, its value, and what is expected.

    Parameters
    ----------
    error : pydantic.ValidationError
        What pydantic raised.
    known_keys : collection of str
        Keys that exist; the one most like an unknown key is suggested instead of it.
    """
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        near = difflib.get_close_matches(str(first["loc"][-1]), known_keys, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "remove it"
        return f"unknown key '{key}'; {hint}{more}"
    if first["type"] in ("missing", "missing_argument"):
        return f"'{key}' is missing; add it{more}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{message}{more}" if not key else f"'{key}' = {first['input']!r}: {message}{more}"


def check_types(values: Mapping[str, Any], of: type[object]) -> None:
    """Compare values that a file holds with the type hints of the dataclass that they are for.

    Raises
    ------
    ValueError
        Names the first value of another type, and the type that it should have.
    """
    for name, hint in get_type_hints(of).items():
        try:
            pydantic.TypeAdapter(hint).validate_python(values[name], strict=True)
        except pydantic.ValidationError as error:
            value = repr(values[name])
            shown = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}..."
            raise ValueError(f"'{name}' = {shown}: {error.errors()[0]['msg']}") from error
