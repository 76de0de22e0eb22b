"""Plain values and texts, changed at random places: what YAML and JSON files may hold instead of what they should."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from random import Random
from typing import Any

import yaml

from drivers.safe_text import parse_machine_yaml

#: Values that are unlikely where something else is expected.
STRANGE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 255, 256, 65536, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**40, 10**90,
    0.0, -0.0, 0.5, -1.5, 1e-320, 1e-9, 1e9, 1e19, 1e308, math.inf, -math.inf, math.nan,
    "", " ", "0", "nan", "1e400", "\0", "a\0b", "\x85", "\ud7ff\N{RIGHT-TO-LEFT OVERRIDE}\N{GRINNING FACE}", "../../x", "/",
    "~", "a" * 5000, "9" * 90, "2026-02-31", "speckle", "phase", "float32", "complex128", "object", "<U9", "%s%n", "{0}", "*",
    "?=&",
    [], {}, [[]], [None], [1], [1, 2, 3], [0, 0], [-1, -1], [10**9, 10**9], ["a", "b"], [1.5, math.nan], [[1, 2], [3]],
    {"": None}, {"a": 1}, {"__class__": "x"}, {"shape": [10**9, 10**9]},
)  # fmt: skip
#: How deep a value that is nested too deeply is nested.
_DEEP = 60


def changed_values(content: Any, random: Random) -> Any:
    """Return a copy of plain values in which one to three places are changed."""
    changed = copy.deepcopy(content)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        changed = _changed_once(changed, random)
    return changed


def changed_yaml(text: str, random: Random) -> str:
    """Return a YAML text with changed values, or with a key or a line that occurs twice."""
    try:
        content = parse_machine_yaml(text)
    except yaml.YAMLError:
        return text
    if random.random() < 0.1:
        return doubled_line(text, random)
    try:
        return yaml.safe_dump(changed_values(content, random), sort_keys=False, allow_unicode=random.random() < 0.5)
    except (yaml.YAMLError, TypeError):  # a key that no YAML can hold
        return text


def changed_json(text: str, random: Random) -> str:
    """Return a JSON text with changed values; NaN and infinity are written as Python does."""
    try:
        content = json.loads(text)
    except ValueError:
        return text
    return json.dumps(changed_values(content, random), default=str, skipkeys=True)


def doubled_line(text: str, random: Random) -> str:
    """Return a text in which one line occurs again somewhere else."""
    lines = text.splitlines(keepends=True) or [""]
    lines.insert(random.randrange(len(lines) + 1), random.choice(lines))
    return "".join(lines)


def _places(content: Any) -> list[tuple[Any, Any]]:
    """Return every place of nested values: a mapping or list, and the key or index in it."""
    places: list[tuple[Any, Any]] = []
    waiting = [content]
    while waiting:
        value = waiting.pop()
        keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
        places += [(value, key) for key in keys]
        waiting += [value[key] for key in keys]
    return places


def _changed_once(content: Any, random: Random) -> Any:
    places = _places(content)
    if not places or random.random() < 0.02:
        return copy.deepcopy(random.choice(STRANGE))
    within, key = random.choice(places)
    random.choice(_CHANGES)(within, key, random)
    return content


def _replace(within: Any, key: Any, random: Random) -> None:
    within[key] = copy.deepcopy(random.choice(STRANGE))


def _scale(within: Any, key: Any, random: Random) -> None:
    value = within[key]
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        within[key] = random.choice((-value, value * 1000, value + 1, value - 1, value / 3, value * 10**9, str(value)))
    elif isinstance(value, str):
        within[key] = random.choice((value[: len(value) // 2], value * 2, value.upper(), [value], value.encode().hex()))
    else:
        _replace(within, key, random)


def _remove(within: Any, key: Any, random: Random) -> None:
    del within[key]


def _rename(within: Any, key: Any, random: Random) -> None:
    if isinstance(within, dict):
        name = random.choice((f"{key}s", f"{key}"[::-1], "", 1, None, True, 1.5, "\N{GREEK SMALL LETTER MU}", f" {key}"))
        within[name] = within.pop(key)
    else:
        within.insert(key, copy.deepcopy(within[key]))


def _wrap(within: Any, key: Any, random: Random) -> None:
    within[key] = random.choice(([within[key]], {"value": within[key]}, [within[key]] * 3, str(within[key])))


def _nest(within: Any, key: Any, random: Random) -> None:
    value: Any = within[key]
    for _ in range(random.choice((3, _DEEP))):
        value = [value]
    within[key] = value


def _swap(within: Any, key: Any, random: Random) -> None:
    other = random.choice(list(within) if isinstance(within, dict) else range(len(within)))
    within[key], within[other] = within[other], within[key]


_CHANGES: tuple[Callable[[Any, Any, Random], None], ...] = (
    _replace, _replace, _replace, _replace, _scale, _scale, _scale, _remove, _remove, _rename, _wrap, _nest, _swap,
)  # fmt: skip
