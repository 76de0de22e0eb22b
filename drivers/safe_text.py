"""YAML and JSON from files that may be hostile: size, nesting, aliases and digits are limited before values are built.

Files that people write are read nearly by the rules of YAML 1.2. They have fewer surprises than YAML 1.1, which PyYAML follows:
``1e-3`` is a number; ``007``, ``12:30``, ``no`` and ``~`` are text; a key that stands twice is an error.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, ClassVar

import yaml

from drivers.limits import MAX_DIGITS, MAX_JSON_BYTES, MAX_NESTING, MAX_YAML_BYTES, MAX_YAML_VALUES, LimitError, check_regular

#: Windows writes "Unicode" so.
_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
#: Characters, other than the newline, that end a line in YAML; and the byte order mark.
_LINE_ENDS = frozenset("\x85\u2028\u2029\ufeff")


class UnsafeYamlError(yaml.YAMLError):
    """A YAML text holds more than is read, or a value that does not exist."""


def read_yaml(path: Path) -> Any:
    """Read a YAML file that a program wrote, such as the metadata of an archive, as plain values.

    Raises
    ------
    OSError, UnicodeDecodeError
        The file cannot be read, or is no text.
    yaml.YAMLError
        It is no YAML, or larger, deeper or with more aliases than a file of ours ever is.
    """
    return parse_machine_yaml(_text(path))


def read_handwritten_yaml(path: Path) -> Any:
    """Read a YAML file that people write, such as an instrument file; raises as :func:`read_yaml`, also for a repeated key."""
    return parse_yaml(_text(path))


def parse_machine_yaml(text: str) -> Any:
    """Return the plain values of a YAML text that a program wrote; raises yaml.YAMLError as :func:`read_yaml` does."""
    # By YAML 1.1. Version 0.1.0 wrote texts such as 123e45 without quotes, which is a number by the rules for people.
    return _values(_Loader(text))


def parse_yaml(text: str) -> Any:
    """Return the plain values of a YAML text that people write; raises yaml.YAMLError as :func:`read_handwritten_yaml` does."""
    return _values(_PlainLoader(text))


def dump_yaml(values: Any, *, flow: bool | None = False) -> str:
    """Return plain values as YAML that reads back as the same values, by the rules of YAML 1.1 and of this module.

    Parameters
    ----------
    values : mapping, list or plain value
        What to write; keys keep their order.
    flow : bool, optional
        True writes everything in one line, None only the innermost lists.

    Raises
    ------
    yaml.YAMLError
        A value is not a plain one, such as a NumPy scalar.
    """
    text: str = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=flow)
    if not _LINE_ENDS.isdisjoint(text):  # PyYAML writes them as they are, and reads them as spaces
        text = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=False, default_flow_style=flow)
    return text


def _text(path: Path) -> str:
    check_regular(path)
    with path.open("rb") as file:
        content = file.read(MAX_YAML_BYTES + 1)
    if len(content) > MAX_YAML_BYTES:
        raise UnsafeYamlError(f"it has more than {MAX_YAML_BYTES} bytes; give a smaller file")
    try:
        return content.decode(_BYTE_ORDER_MARKS.get(content[:2], "utf-8-sig"))
    except UnicodeDecodeError as error:
        error.reason += "; save the file as UTF-8"
        raise


def _values(loader: _Loader) -> Any:
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


#: Which plain texts are something else than text: the core schema of YAML 1.2, without octal and hexadecimal numbers and "~".
_PLAIN = (
    ("tag:yaml.org,2002:null", re.compile(r"null|Null|NULL|"), ("n", "N", "")),
    ("tag:yaml.org,2002:bool", re.compile(r"true|True|TRUE|false|False|FALSE"), tuple("tTfF")),
    ("tag:yaml.org,2002:int", re.compile(r"[-+]?(0|[1-9][0-9]*)"), tuple("-+0123456789")),
    (
        "tag:yaml.org,2002:float",
        re.compile(
            r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?(0|[1-9][0-9]*)[eE][-+]?[0-9]+"
            r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
        ),
        tuple("-+.0123456789"),
    ),
    ("tag:yaml.org,2002:merge", re.compile(r"<<"), ("<",)),
)


class _PlainLoader(_Loader):
    """Reads what people write: see the module's docstring."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]  # PyYAML changes the one of the class

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        self._check_keys(node)
        return super().construct_mapping(node, deep=deep)

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        # PyYAML's own reads "1e-3" only with a point.
        text = self.construct_scalar(node).lower()
        return float(text.replace(".inf", "inf").replace(".nan", "nan"))

    def _check_keys(self, node: yaml.MappingNode) -> None:
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            line = key.start_mark.line + 1
            if (name := (key.tag, key.value)) in lines:
                both = f"in line {lines[name]} and in line {line}"
                raise UnsafeYamlError(f"key {key.value!r} stands twice, {both}; remove one of them")
            lines[name] = line


class _Dumper(yaml.SafeDumper):
    """Puts a text in quotes when one of the two sets of rules would read something else."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        tag: str = super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]
        if kind is yaml.ScalarNode and implicit[0] and tag == "tag:yaml.org,2002:str":
            return next((other for other, pattern, _ in _PLAIN if pattern.fullmatch(value)), tag)
        return tag


for _tag, _pattern, _first in _PLAIN:
    _PlainLoader.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern.pattern})\Z"), list(_first))
_PlainLoader.add_constructor("tag:yaml.org,2002:float", _PlainLoader.construct_yaml_float)
