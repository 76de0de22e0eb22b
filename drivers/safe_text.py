"""YAML and JSON from files that may be hostile: size, nesting, aliases and digits are limited before values are built."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import yaml

from drivers.limits import MAX_DIGITS, MAX_JSON_BYTES, MAX_NESTING, MAX_YAML_BYTES, MAX_YAML_VALUES, LimitError


class UnsafeYamlError(yaml.YAMLError):
    """A YAML text holds more than is read, or a value that does not exist."""


def read_yaml(path: Path) -> Any:
    """Read a YAML file as plain values.

    Raises
    ------
    OSError, UnicodeDecodeError
        The file cannot be read, or is no text.
    yaml.YAMLError
        It is no YAML, or larger, deeper or with more aliases than a file of ours ever is.
    """
    with path.open("rb") as file:
        content = file.read(MAX_YAML_BYTES + 1)
    if len(content) > MAX_YAML_BYTES:
        raise UnsafeYamlError(f"it has more than {MAX_YAML_BYTES} bytes; give a smaller file")
    return parse_yaml(content.decode("utf-8"))


def parse_yaml(text: str) -> Any:
    """Return the plain values of a YAML text; raises yaml.YAMLError as :func:`read_yaml` does."""
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    except ValueError as error:  # for example the 31st of February
        raise UnsafeYamlError(f"it holds an impossible value ({error}); correct it") from error
    finally:
        loader.dispose()


def parse_json(text: str | bytes) -> Any:
    """Return the plain values of a JSON text; raises ValueError when it is no JSON, too large, or nested too deeply."""
    if len(text) > MAX_JSON_BYTES:
        raise LimitError(f"it has {len(text)} bytes of JSON, at most {MAX_JSON_BYTES} are read; export it again")
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise _too_deep() from error
    level = [content]
    for _ in range(MAX_NESTING + 1):
        level = [item for value in level for item in _items(value) if isinstance(item, dict | list)]
        if not level:
            return content
    raise _too_deep()


def _too_deep() -> LimitError:
    return LimitError(f"its lists and mappings are nested more than {MAX_NESTING} deep; correct the file")


def _items(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


class _Loader(yaml.SafeLoader):
    """A safe loader that measures the tree of nodes before it makes values of it."""

    #: Tags whose texts become numbers.
    NUMBERS: ClassVar = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise UnsafeYamlError(f"it is nested more than {MAX_NESTING} deep; correct the file")
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            self._measure(node, 1, {})
        return node

    def _measure(self, node: yaml.Node, depth: int, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
        """Return the number of values and the depth of a node, with every alias in it replaced by what it stands for."""
        if id(node) not in known:
            known[id(node)] = None  # until its parts are known
            sizes = [self._measure(part, depth + 1, known) for part in self._parts(node)]
            known[id(node)] = 1 + sum(size for size, _ in sizes), 1 + max((height for _, height in sizes), default=0)
        measured = known[id(node)]
        if measured is None:
            raise UnsafeYamlError("an alias in it stands for a part of itself; correct the file")
        size, height = measured
        if size > MAX_YAML_VALUES or depth + height > MAX_NESTING + 1:
            raise UnsafeYamlError(
                f"its aliases stand for more than {MAX_YAML_VALUES} values or {MAX_NESTING} levels; write the values themselves"
            )
        return measured

    def _parts(self, node: yaml.Node) -> list[yaml.Node]:
        if isinstance(node, yaml.MappingNode):
            return [part for pair in node.value for part in pair]
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        if node.tag in self.NUMBERS and len(node.value) > MAX_DIGITS:
            raise UnsafeYamlError(f"it holds a number of {len(node.value)} digits, at most {MAX_DIGITS} are read; correct it")
        return []
