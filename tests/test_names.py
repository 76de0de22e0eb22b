"""Names are the field's, and words are plain: identifiers, files, options and keys against one table, prose against another."""

from __future__ import annotations

import ast
import csv
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = ("specklescope", "app", "reconstruction", "calibration", "acquisition", "drivers")

#: What no name may hold, as a pattern over its words joined by "_", and what to call it instead.
NAMES: Mapping[str, str] = {
    r"(^|_)takes?($|_)": "recording (the noun), capture or set (the verb)",
    r"(^|_)sentinels?($|_)": "reference check",
    r"(^|_)lag_scans?($|_)|(^|_)sync_patterns?($|_)": "sync check",
    r"(^|_)exchange($|_)": "coupling (of light between cores)",
    r"(^|_)depths?_rad($|_)": "phase_range_rad",
    r"(?<!phase_)(?<!slm_)(?<!display_)\branges?_rad\b|^range_rad": "phase_range_rad, slm_range_rad, peak_to_valley_rad",
    r"(^|_)gates?($|_)": "engine check, check frames",
    r"(^|_)guarded($|_)": "fallback",
    r"(^|_)runners?($|_)": "engine kind",
    r"(^|_)tuned($|_)": "reference pairs",
    r"(^|_)ahead($|_)": "prefetcher",
    r"(^|_)wish($|_)": "close request",
    r"(^|_)efforts?($|_)": "evaluation budget",
    r"(^|_)spread($|_)": "parallel_map, sigma_head or bandwidth",
    r"(^|_)probes?($|_(?!patterns?))": "probe pattern, or device preview",
    r"(^|_)(words|found|told)($|_)": "what it is: message, matches, steps",
    r"(^|_)heap($|_)": "malloc",
    r"(^|_)prove[ds]?($|_)|(^|_)proving($|_)": "verify, verified",
    r"(^|_)unexplained($|_)": "residual_fraction",
    r"(^|_)judged($|_)": "evaluated",
    r"(^|_)left_out($|_)": "skipped",
    r"(^|_)floors?($|_)": "baseline (of a comparison)",
}
#: Names that rightly hold such a word, by the end of their file's path, and why.
KEPT: Mapping[tuple[str, str], str] = {
    ("acquisition/archive/old_names.py", "*"): "the names of version 0.1.0, which are read",
    ("calibration/stored.py", "*"): "keys of calibrations of version 0.1.0, which are read",
    ("reconstruction/calibrated/few_step.py", "spread"): "a part's name in weights of version 0.1.0",
    ("reconstruction/diffusion/mean_flow.py", "spread"): "a part's name in weights of version 0.1.0",
    ("acquisition/capture/runner.py", "runner"): "it runs an acquisition; the engines' kinds were called runners",
    ("drivers/displays/slmpy.py", "_exchange"): "a message and its answer over a socket, no light between cores",
    ("drivers/slmsuite/camera.py", "_must_take_triggers"): "take is the verb here",
    ("app/gui/window_bench/robust.py", "told_s"): "the benchmark's key: how soon the operator is told",
    ("app/gui/window_bench/__main__.py", "told_s"): "the benchmark's key, which is handed on",
    ("tests/app/library/test_library.py", "take"): "the folder of a recording of version 0.1.0",
}
#: What no sentence may say, and what to say instead.
WORDS: Mapping[str, str] = {
    r"what stands out": "detected objects",
    r"no shift maps (it )?onto itself": "a sequence in which every shift by a frame is detected",
    r"has to be the one that looks like it": "the matching frame must score higher than its neighbours",
    r"the phase that acts over": "actual phase divided by requested phase",
    r"knows no level": "only after the mean phase is removed",
    r"[Aa]s fast as SpecDiffusion": "speed-up over SpecDiffusion",
    r"lag 0 wins|won by lag 0": "sync check passed, margin",
    r"\b(un|not )proved\b|\bproved\b|\bproves?\b": "verified; verification failed",
    r"pair in hand": "the current pair",
    r"polite kill": "SIGTERM",
    r"that a table taught|on a table yet": "on an optical bench",
    r"[Ww]hat has a plug": "camera and SLM drivers",
    r"anybody waits for": "skipped above this many evaluations",
    r"\b[Ss]entinels?\b": "reference check",
    r"\blag scans?\b": "sync check",
    r"\b(a|the|this|last|each|every|one) take\b(?! (of|on)\b)|\b(recorded|finished) takes?\b": "recording",
    r"card\.yaml of a dataset|dataset's card": "metadata.yaml",
}
_ANY_WORD = re.compile("|".join(WORDS))


@cache
def tracked(*endings: str) -> tuple[Path, ...]:
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no git checkout, whose files could be listed")
    names = [name for name in done.stdout.split("\0") if name.endswith(endings) and "fixtures" not in name]
    return tuple(ROOT / name for name in names if (ROOT / name).is_file())


def joined(name: str) -> str:
    """``PairCapture`` and ``pair-capture`` as ``pair_capture``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[-. ]", "_", name).lower()


def is_kept(path: Path, name: str) -> bool:
    file = path.relative_to(ROOT).as_posix()
    return (file, name) in KEPT or (file, "*") in KEPT


@cache
def identifiers(path: Path) -> frozenset[str]:
    """Return everything that the file names."""
    return frozenset(_identifiers(path))


def _identifiers(path: Path) -> Iterator[str]:
    """Yield modules, classes, functions, parameters, variables, fields, and keys of mappings."""
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Dict):
            yield from (key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"--[a-z][a-z-]+", node.value):
            yield node.value[2:]


@cache
def better_names(name: str) -> tuple[str, ...]:
    """Return what a name should be, for every pattern that it matches."""
    return tuple(better for pattern, better in NAMES.items() if re.search(pattern, joined(name)))


@pytest.mark.parametrize("folder", [*PROGRAM, "tests"])
def test_names_are_those_of_the_field(folder: str) -> None:
    wrong = {
        f"{path.relative_to(ROOT)}: {name} -> {better}"
        for path in tracked(".py")
        if path.relative_to(ROOT).parts[0] == folder and path != Path(__file__)
        for name in identifiers(path)
        if not name.startswith(("test_", "Test"))
        for better in better_names(name)
        if not is_kept(path, name)
    }
    assert not wrong, "\n".join(sorted(wrong))


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line number and text of everything in words: comments and strings of code, whole pages, code blocks left out."""
    text = path.read_text("utf-8")
    if path.suffix != ".py":
        # Code and emphasised terms are names, not sentences: a changelog has to quote old ones.
        yield 1, re.sub(r"```.*?```|`[^`\n]*`|(?<!\*)\*[^*\n]+\*(?!\*)", "", text, flags=re.DOTALL)
        return
    if not _ANY_WORD.search(text):
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING) and " " in token.string:
            yield token.start[0], token.string


@pytest.mark.parametrize("ending", [".py", ".md"])
def test_prose_is_plain_english(ending: str) -> None:
    files = [path for path in tracked(ending) if path != Path(__file__)]
    assert files
    wrong = [
        f"{path.relative_to(ROOT)}:{line + text[: match.start()].count(chr(10))}: '{match[0]}' -> {better}"
        for path in files
        for line, text in prose(path)
        if _ANY_WORD.search(text)
        for pattern, better in WORDS.items()
        for match in re.finditer(pattern, text)
    ]
    assert not wrong, "\n".join(sorted(wrong))


def test_every_kept_name_is_there_and_says_why() -> None:
    there = {path.relative_to(ROOT).as_posix(): path for path in tracked(".py")}
    gone = [(file, name) for file, name in KEPT if file not in there or name not in ("*", *identifiers(there[file]))]
    assert not gone, "these are gone: take them out of KEPT"
    assert all(len(reason.split()) > 2 for reason in KEPT.values())


def test_the_list_of_renames_is_complete_in_form() -> None:
    with (ROOT / "docs" / "renames.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert {row["kind"] for row in rows} <= {"module", "class", "function", "parameter", "option", "json", "yaml", "file"}
    assert len({(row["kind"], row["old"]) for row in rows}) == len(rows), "an old name stands for one new name"
    modules = {path.relative_to(ROOT).as_posix().removesuffix(".py").replace("/", ".") for path in tracked(".py")}
    gone = [row["new"] for row in rows if row["kind"] == "module" and row["new"] and row["new"] not in modules]
    assert not gone, f"new names that are not there: {gone}"
