"""Move every file of ``moves.txt`` and rewrite the imports, and nothing else.

Run once, from the project's root: ``python docs/moves.py docs/moves.txt``.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOTS = ("app", "drivers", "reconstruction", "calibration", "acquisition", "tests")


#: (file after the move, old text, new text): paths relative to a file that moved, and what the imports cannot tell.
REPAIRS = (
    ("reconstruction/models/model.py", 'Path(__file__).parent / "weights"', 'Path(__file__).parents[1] / "weights"'),
    ("reconstruction/training/environment.py", "parents[2]", "parents[2]"),
    ("app/benchmarks/calibration.py", "parents[2]", "parents[3]"),
    (
        "app/benchmarks/devices.py",
        'Path(__file__).parents[1] / "tests" / "contracts"',
        'Path(__file__).parents[2] / "tests" / "drivers"',
    ),
    ("app/benchmarks/devices.py", "cwd=CONTRACTS.parents[1]", "cwd=CONTRACTS.parents[1]"),
    ("tests/reconstruction/data/test_dataset.py", "parents[2]", "parents[3]"),
    ("tests/acquisition/archive/test_writer.py", "parents[2]", "parents[3]"),
    ("tests/acquisition/archive/test_kill9_writer.py", "parents[2]", "parents[3]"),
    ("tests/drivers/displays/test_screen.py", "parents[2]", "parents[3]"),
    ("tests/drivers/displays/test_slmpy_local.py", "cwd=SCRIPT.parents[1]", "cwd=SCRIPT.parents[2]"),
    ("tests/calibration/fibre/test_second_order.py", "parents[3]", "parents[4]"),
    ("tests/test_house.py", "parents[2]", "parents[1]"),
    ("app/gui/widgets/style.py", "arrow_down.svg", "arrow_down.svg"),
    ("setup.cfg", "app.gui =\n    *.qss\n    *.svg\n    *.png", "app.gui.widgets =\n    *.svg"),
    ("reconstruction/engines/tensorrt/build.py", "_STAGE", "STAGE"),
    ("reconstruction/engines/tensorrt/build.py", "_REFUSED", "REFUSED"),
    ("reconstruction/engines/tensorrt/build.py", '"reconstruction.engines.tensorrt.build"', 'f"{__package__}.worker"'),
    ("reconstruction/engines/tensorrt/worker.py", "_STAGE", "STAGE"),
    ("reconstruction/engines/tensorrt/worker.py", "_REFUSED", "REFUSED"),
    (
        "reconstruction/engines/tensorrt/worker.py",
        "from __future__ import annotations\n",
        "from __future__ import annotations\n\n"
        "from reconstruction.engines.tensorrt.build import REFUSED, STAGE, load_library\n",
    ),
    ("reconstruction/engines/tensorrt/build.py", '\n\nif __name__ == "__main__":\n    sys.exit(_main(sys.argv[1:]))\n', ""),
    ("reconstruction/engines/tensorrt/build.py", "from reconstruction.engines.tensorrt.worker import _main\n", ""),
    ("setup.cfg", "app.cli:main", "app.cli.main:main"),
)


def module_of(path: str) -> str:
    name = path.removesuffix(".py").replace("/", ".")
    return name.removesuffix(".__init__")


def read_moves(text: str) -> tuple[dict[str, str], dict[tuple[str, str], str]]:
    files: dict[str, str] = {}
    carried: dict[tuple[str, str], str] = {}
    for line in text.splitlines():
        if match := re.match(r"\s*(\S+) moves to (\S+)$", line):
            files[match[1]] = match[2]
        elif match := re.match(r"\s*from (\S+) to (\S+): (.+)$", line):
            for name in match[3].split(", "):
                carried[(match[1], name.strip())] = match[2]
    return files, carried


def carry(source: Path, target: Path, names: list[str]) -> None:
    """Move top-level definitions, with the comments right above them, and give the target every import of the source."""
    text = source.read_text("utf-8")
    tree, lines = ast.parse(text), text.splitlines(keepends=True)
    taken: list[tuple[int, int]] = []
    for node in tree.body:
        targets = [t.id for t in getattr(node, "targets", []) if isinstance(t, ast.Name)]
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            targets = [node.target.id]
        if getattr(node, "name", None) in names or set(targets) & set(names):
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]) - 1
            while lines[first - 1].startswith("#"):
                first -= 1
            taken.append((first, node.end_lineno or 0))
    body = "\n\n".join("".join(lines[a:b]) for a, b in taken)
    imports = "".join(
        "".join(lines[n.lineno - 1 : n.end_lineno]) for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)
    )
    for a, b in reversed(taken):
        del lines[a:b]
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():  # a second source: its imports go behind the first's, its definitions to the end
        known = target.read_text("utf-8")
        at = known.index("from __future__ import annotations\n") + len("from __future__ import annotations\n")
        more = imports.replace("from __future__ import annotations\n", "")
        target.write_text(f"{known[:at]}{more}{known[at:]}\n\n{body}", "utf-8")
    else:
        target.write_text(f'"""{target.stem.replace("_", " ")}"""\n\n{imports}\n\n{body}', "utf-8")
    old = "".join(lines)
    if any(re.search(rf"\b{name}\b", old) for name in names):
        at = ast.parse(old).body[1].end_lineno or 0
        kept = [name for name in names if re.search(rf"\b{name}\b", old)]
        new = old.splitlines(keepends=True)
        new.insert(at, f"from {module_of(str(target))} import {', '.join(kept)}\n")
        old = "".join(new)
    source.write_text(old, "utf-8")


def rewrite(path: Path, modules: dict[str, str], carried: dict[tuple[str, str], str], everything: set[str]) -> None:
    text = path.read_text("utf-8")
    lines = text.splitlines(keepends=True)
    edits: list[tuple[int, int, str]] = []  # first line, last line, new text
    renamed: dict[str, str] = {}
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ImportFrom) or node.level or not node.module or node.module.split(".")[0] not in ROOTS:
            continue
        groups: dict[str, list[str]] = {}
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            if full in modules or (full in everything and full not in modules):
                new = modules.get(full, full)
                package, _, name = new.rpartition(".")
                shown = alias.asname
                if shown is None and name != alias.name:
                    renamed[alias.name] = name
                groups.setdefault(package, []).append(f"{name} as {shown}" if shown else name)
            else:
                new = carried.get((node.module, alias.name)) or modules.get(node.module, node.module)
                groups.setdefault(new, []).append(f"{alias.name} as {alias.asname}" if alias.asname else alias.name)
        pad = " " * node.col_offset
        new_text = "".join(
            f"{pad}from {module} import {names[0]}\n"
            if len(names) == 1
            else f"{pad}from {module} import ({', '.join(names)})\n"
            for module, names in groups.items()
            if module != module_of(str(path))
        )
        edits.append((node.lineno - 1, node.end_lineno or 0, new_text))
    for first, last, new_text in sorted(edits, reverse=True):
        lines[first:last] = [new_text]
    text = "".join(lines)
    for old, new in renamed.items():
        spots = [
            (n.lineno, n.col_offset)
            for n in ast.walk(ast.parse(text))
            if isinstance(n, ast.Name) and n.id == old and isinstance(n.ctx, ast.Load)
        ]
        rows = text.splitlines(keepends=True)
        for line, column in sorted(spots, reverse=True):
            raw = rows[line - 1].encode()
            rows[line - 1] = (raw[:column] + new.encode() + raw[column + len(old.encode()) :]).decode()
        text = "".join(rows)
    # Modules named in strings: patches of tests, children of our own.
    for old, new in sorted(modules.items(), key=lambda item: -len(item[0])):
        text = re.sub(rf"""(?<=["'`]){re.escape(old)}(?=["'`.])""", new, text)
        text = re.sub(rf"(?<=:`)({re.escape(old)})(?=\.)|(?<=^from )({re.escape(old)})(?= import \*)", new, text, flags=re.M)
        text = re.sub(rf"(?<=by the protocol of ){re.escape(old)}\b", new, text)
    path.write_text(text, "utf-8")


def main() -> None:
    files, carried_paths = read_moves(Path(sys.argv[1]).read_text("utf-8"))
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.split()
    missing = [old for old in files if old not in tracked]
    assert not missing, missing
    everything = {module_of(name) for name in tracked if name.endswith(".py")}
    modules = {module_of(old): module_of(new) for old, new in files.items() if old.endswith(".py")}
    names: dict[tuple[str, str], list[str]] = {}
    for (source, name), target in carried_paths.items():
        names.setdefault((source, target), []).append(name)
    for (source, target), wanted in names.items():
        carry(Path(source), Path(target), wanted)
    carried = {(module_of(s), n): module_of(t) for (s, n), t in carried_paths.items()}
    everything |= {module_of(target) for target in carried_paths.values()}
    # Two steps, because a new folder may bear the name of an old file.
    aside = {old: f"{old}.moving" for old in files}
    for old, new in aside.items():
        subprocess.run(["git", "mv", old, new], check=True)
    for old, new in files.items():
        Path(new).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "mv", aside[old], new], check=True)
    for path in sorted({*files.values(), *tracked, *(t for t in carried_paths.values())}):
        if path.endswith(".py") and Path(path).is_file():
            rewrite(Path(path), modules, carried, everything)
    # Paths in words: README, docs, docstrings, settings.
    for path in [*(p for p in tracked if p.endswith((".md", ".cfg", ".toml")) or p in ("Makefile", ".ci/run"))]:
        if not Path(path).is_file() or path == "CHANGELOG.md":
            continue
        text = Path(path).read_text("utf-8")
        for old, new in sorted(files.items(), key=lambda item: -len(item[0])):
            text = re.sub(rf"(?<![\w/]){re.escape(old)}", new, text)
        Path(path).write_text(text, "utf-8")
    for path, old, new in REPAIRS:
        text = Path(path).read_text("utf-8")
        assert old in text, (path, old)
        Path(path).write_text(text.replace(old, new), "utf-8")
    with Path("reconstruction/engines/tensorrt/worker.py").open("a", encoding="utf-8") as worker:
        worker.write('\n\nif __name__ == "__main__":\n    sys.exit(_main(sys.argv[1:]))\n')
    for new in {*files.values(), *carried_paths.values()}:
        folder = Path(new).parent
        while folder.parts and folder.parts[0] != "tests":
            if not (folder / "__init__.py").exists():
                (folder / "__init__.py").write_text(f'"""{folder.name}"""\n', "utf-8")
            folder = folder.parent


main()
