"""Options of a network from ``--set name=value``. Their types come from the configuration class of the kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, get_origin, get_type_hints

import pydantic
import yaml

from drivers.base import SpeckleScopeError
from drivers.safe_text import parse_yaml
from reconstruction.models.registry import config_of

#: Fields that the instrument fixes; they cannot be set.
_FIXED = ("frame_px", "field_radius", "phase_range_rad")


def network_options(kind: str, options: Sequence[str]) -> dict[str, object]:
    """Return the options by name, with the right types.

    Parameters
    ----------
    kind : str
        Kind of model, see :data:`reconstruction.models.registry.KINDS`.
    options : sequence of str
        Each of the form ``name=value``.

    Raises
    ------
    SpeckleScopeError
        The kind is unknown, an option has not the form ``name=value``, the kind has no such option, or the value has another
        type.
    """
    config_class = type(config_of(kind, {}))
    hints = get_type_hints(config_class)
    names = [item.name for item in fields(config_class) if item.name not in _FIXED]
    values: dict[str, object] = {}
    for option in options:
        name, equals, text = option.partition("=")
        if not equals:
            raise SpeckleScopeError(f"--set takes name=value, got {option!r}")
        if name not in names:
            raise SpeckleScopeError(f"kind '{kind}' has no option {name!r}; it has {', '.join(names)}")
        values[name] = _typed(name, text, hints[name])
    return values


def _typed(name: str, text: str, hint: Any) -> Any:
    """Convert the text of a value to the type of its field. ``1,2,4`` becomes a tuple; text is never run as code."""
    needs_brackets = get_origin(hint) is tuple and not text.startswith("[")
    try:
        return pydantic.TypeAdapter(hint).validate_python(parse_yaml(f"[{text}]" if needs_brackets else text))
    except (pydantic.ValidationError, yaml.YAMLError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, pydantic.ValidationError) else "no valid value"
        raise SpeckleScopeError(f"--set {name}={text}: {reason}") from error
