"""A network's options from ``--set name=value``, typed by the fields of its kind's configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, get_origin, get_type_hints

import pydantic
import yaml

from drivers.base import SpeckleScopeError
from reconstruction.models.registry import config_of

#: What the instrument says, and nobody may set.
_FIXED = ("frame_px", "field_radius", "phase_range_rad")


def network_options(kind: str, options: Sequence[str]) -> dict[str, object]:
    """Return options by name, typed.

    Raises
    ------
    SpeckleScopeError
        An unknown kind, an option that is no ``name=value``, a name that the kind does not have, or a value of another type.
    """
    shape = type(config_of(kind, {}))
    hints = get_type_hints(shape)
    names = [item.name for item in fields(shape) if item.name not in _FIXED]
    found: dict[str, object] = {}
    for option in options:
        name, equals, text = option.partition("=")
        if not equals:
            raise SpeckleScopeError(f"--set takes name=value, got {option!r}")
        if name not in names:
            raise SpeckleScopeError(f"kind '{kind}' has no option {name!r}; it has {', '.join(names)}")
        found[name] = _typed(name, text, hints[name])
    return found


def _typed(name: str, text: str, hint: Any) -> Any:
    """``1,2,4`` is a tuple where one is wanted; words are words, and never code."""
    listed = get_origin(hint) is tuple and not text.startswith("[")
    try:
        return pydantic.TypeAdapter(hint).validate_python(yaml.safe_load(f"[{text}]" if listed else text))
    except (pydantic.ValidationError, yaml.YAMLError) as error:
        wanted = error.errors()[0]["msg"] if isinstance(error, pydantic.ValidationError) else "no valid value"
        raise SpeckleScopeError(f"--set {name}={text}: {wanted}") from error
