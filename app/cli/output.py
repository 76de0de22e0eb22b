"""What the commands print: progress bars, tables of numbers, and the same numbers as a JSON file."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from acquisition.archive.atomic_files import write_whole
from app.progress import Report

#: Progress and words go to stderr, so that stdout holds only results.
console = Console(stderr=True)
#: Seconds between two lines of progress where there is no terminal.
_LINE_EVERY_S = 10.0


@contextmanager
def progress_bars() -> Iterator[Report]:
    """Yield ``report(stage, done, total, note)``, which draws one bar for every stage named; lines where nobody watches."""
    if not console.is_terminal:
        yield _progress_lines()
        return
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
    """Progress for a log file: a line at each stage's beginning and end, and now and then between."""
    last: dict[str, float] = {}

    def report(stage: str, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if stage not in last or done == total or now - last[stage] >= _LINE_EVERY_S:
            last[stage] = now
            console.print(
                f"{stage}: {done} of {total}{', ' if note else ''}{note}", soft_wrap=True, highlight=False, markup=False
            )

    return report


def publish(title: str, numbers: Mapping[str, object], json_file: Path | None) -> None:
    """Print a table of ``numbers`` and, when asked, write them to a file.

    Raises
    ------
    SpeckleScopeError
        The file cannot be written.
    """
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in numbers.items():
        table.add_row(key, _shown(value))
    Console().print(table)
    if json_file is not None:
        write_json(json_file, numbers)


def publish_rows(title: str, numbers: Mapping[str, object], json_file: Path | None) -> None:
    """Print ``numbers["rows"]``, mappings with the same keys, as a table, their notes below it, and the rest as ever."""
    rows = numbers["rows"]
    assert isinstance(rows, list)
    keys = [key for key in dict.fromkeys(key for row in rows for key in row) if key != "note"]
    table = Table(title=title, title_justify="left")
    for number, key in enumerate(keys):
        table.add_column(
            key.replace("_", " "), no_wrap=number == 0, overflow="fold", justify="left" if number == 0 else "right"
        )
    for row in rows:
        table.add_row(*("" if row.get(key) is None else _shown(row[key]) for key in keys))
    Console().print(table)
    for row in rows:
        if row.get("note"):
            Console().print(f"{row[keys[0]]}: {row['note']}", soft_wrap=True)
    publish("", {key: value for key, value in numbers.items() if key != "rows"}, None)
    if json_file is not None:
        write_json(json_file, numbers)


def write_json(path: Path, numbers: Mapping[str, object]) -> None:
    """Write numbers as JSON, whole or not at all; NaN, which JSON does not know, becomes null."""
    text = json.dumps({key: _plain(value) for key, value in numbers.items()}, indent=2, allow_nan=False) + "\n"
    write_whole(path, text, "choose another file for --json")


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {_shown(item)}" for key, item in value.items())
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)


def _plain(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
