"""States and outcomes are enums: nothing in the program compares one with text, as the syntax tree shows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("specklescope", "app", "reconstruction", "calibration", "acquisition", "drivers")
#: Last part of the name of something that is a state or an outcome.
NAMES = {"state", "status", "verdict", "outcome", "level", "reason", "kind", "event", "result", "mode", "phase", "end"}


def name_of(node: ast.expr) -> str:
    """The last part of a name, an attribute or a key: ``row.state``, ``answer["event"]``, ``archive.status.get("kind")``."""
    if isinstance(node, ast.Name):
        return node.id.rpartition("_")[2]
    if isinstance(node, ast.Attribute):
        if isinstance(node.value, ast.Attribute | ast.Name) and name_of(node.value) == "dtype":
            return ""  # numpy's letters
        return node.attr.rpartition("_")[2]
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value).rpartition("_")[2]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
        return str(getattr(node.args[0], "value", "")).rpartition("_")[2]
    return ""


def is_text(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(is_text(item) for item in node.elts)
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def compared_with_text(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of everything that is compared with text, or matched against it, and bears a state's name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if isinstance(node.ops[0], ast.In | ast.NotIn):  # text on the left asks for a key of a mapping
                sides = sides if is_text(node.comparators[0]) else []
            if any(is_text(side) for side in sides):
                yield from ((node.lineno, name) for side in sides if (name := name_of(side)) in NAMES)
        if isinstance(node, ast.Match) and (name := name_of(node.subject)) in NAMES:
            patterns = [part for case in node.cases for part in ast.walk(case.pattern) if isinstance(part, ast.MatchValue)]
            if any(is_text(part.value) for part in patterns):
                yield node.lineno, name


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_state_is_compared_with_text(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    texts = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in files
        for line, name in compared_with_text(ast.parse(path.read_text("utf-8")))
    ]
    assert not texts, "compare enums, with 'is':\n" + "\n".join(texts)


@pytest.mark.parametrize(
    "line",
    [
        'row.state == "refused"',
        '"complete" != status.verdict',
        'message.level in ("info", "error")',
        'answer["event"] == "lost"',
        'archive.status.get("kind") == "recording"',
        'match run.state:\n    case "done": pass',
    ],
)
def test_the_test_sees_what_it_should(line: str) -> None:
    assert list(compared_with_text(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "row.state is State.REFUSED",
        'name == "speckle"',
        "x.kind == other.kind",
        '"kind" in status',
        'a.dtype.kind in "iu"',
    ],
)
def test_the_test_leaves_the_rest(line: str) -> None:
    assert not list(compared_with_text(ast.parse(line)))
