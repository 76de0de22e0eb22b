"""Output of the commands: progress bars, tables of numbers, and the same numbers as a JSON file."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from acquisition.archive.atomic_files import write_whole
from acquisition.archive.folder import waiting_announced
from app.progress import Report
from drivers.base import SpeckleScopeError
from drivers.limits import MAX_JSON_BYTES
from drivers.safe_text import parse_json
from drivers.visible_text import visible

#: Progress and messages go to stderr, so that stdout holds only results.
console = Console(stderr=True)
#: Seconds between two lines of progress if there is no terminal.
_LINE_EVERY_S = 10.0


@contextmanager
def progress_bars() -> Iterator[Report]:
    """Yield a report that draws one bar for each stage, or prints lines if there is no terminal.

    Meanwhile a line says when the command waits for another process.
    """
    with waiting_announced(_print_line), _bars() if console.is_terminal else nullcontext(_progress_lines()) as report:
        yield report


@contextmanager
def _bars() -> Iterator[Report]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int, note: str = "") -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, note=note)
            bars.update(tasks[stage], completed=done, total=total, note=note)

        yield report


def _progress_lines() -> Report:
    """Return a report for a log file: a line at the start and end of each stage, and one every ten seconds."""
    printed_s: dict[str, float] = {}
    lines: dict[str, str] = {}

    def report(stage: str, done: int, total: int, note: str = "") -> None:
        now_s = time.monotonic()
        line = f"{stage}: {done} of {total}{', ' if note else ''}{note}"
        due = stage not in printed_s or done == total or now_s - printed_s[stage] >= _LINE_EVERY_S
        # A stage that is complete may be reported again and again while its data are written.
        if due and lines.get(stage) != line:
            printed_s[stage], lines[stage] = now_s, line
            _print_line(line)

    return report


def _print_line(line: str) -> None:
    console.print(visible(line), soft_wrap=True, highlight=False, markup=False)


def publish(title: str, numbers: Mapping[str, object], json_file: Path | None) -> None:
    """Print a table of ``numbers`` and, if there is a ``json_file``, write them to it.

    Raises
    ------
    SpeckleScopeError
        The file cannot be written.
    """
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in numbers.items():
        table.add_row(key, Text(visible(_cell(value), keep="\n")))  # as text: "[...]" would be taken for rich's markup
    Console().print(table)
    if json_file is not None:
        write_json(json_file, numbers)


def publish_rows(title: str, numbers: Mapping[str, object], json_file: Path | None) -> None:
    """Print ``numbers["rows"]``, mappings with the same keys, as a table; then their notes, and then the other numbers."""
    rows = numbers["rows"]
    assert isinstance(rows, list)
    keys = [key for key in dict.fromkeys(key for row in rows for key in row) if key != "note"]
    table = Table(title=title, title_justify="left")
    for number, key in enumerate(keys):
        table.add_column(
            key.replace("_", " "), no_wrap=number == 0, overflow="fold", justify="left" if number == 0 else "right"
        )
    for row in rows:
        table.add_row(*(Text("" if row.get(key) is None else visible(_cell(row[key]), keep="\n")) for key in keys))
    Console().print(table)
    for row in rows:
        if row.get("note"):
            Console().print(f"{row[keys[0]]}: {row['note']}", soft_wrap=True)
    publish("", {key: value for key, value in numbers.items() if key != "rows"}, None)
    if json_file is not None:
        write_json(json_file, numbers)


def write_json(path: Path, numbers: Mapping[str, object]) -> None:
    """Write numbers as a JSON file, completely or not at all. NaN and infinity become null, because JSON has neither."""
    text = json.dumps({key: _for_json(value) for key, value in numbers.items()}, indent=2, allow_nan=False) + "\n"
    write_whole(path, text, "choose another file for --json")


def read_numbers(path: Path) -> dict[str, object]:
    """Return the numbers that :func:`write_json` has written to a file.

    Raises
    ------
    SpeckleScopeError
        It cannot be read, or holds something else.
    """
    try:
        with path.open("rb") as file:
            numbers = parse_json(file.read(MAX_JSON_BYTES + 1))
    except (OSError, ValueError) as error:
        raise SpeckleScopeError(f"cannot read {path}: {error}; choose another file for --json") from error
    if not isinstance(numbers, dict):
        raise SpeckleScopeError(f"{path} does not hold the numbers of a benchmark; choose another file for --json")
    return numbers


def _cell(value: object) -> str:
    """Return a value as the text of a table cell."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {_cell(item)}" for key, item in value.items())
    return "\n".join(map(_cell, value)) if isinstance(value, list | tuple) else str(value)


def _for_json(value: object) -> object:
    """Return a value as JSON can hold it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _for_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_for_json(item) for item in value]
    return str(value) if isinstance(value, Path) else value
