"""Numbers as a table and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.cli.output import progress_bars, publish, write_json
from drivers.base import SpeckleScopeError


def test_numbers_are_plain_json(tmp_path: Path) -> None:
    numbers = {"x": float("nan"), "path": Path("p"), "list": [1.5, (2,)], "map": {"k": float("inf")}}
    write_json(tmp_path / "a" / "n.json", numbers)
    read = json.loads((tmp_path / "a" / "n.json").read_text())
    assert read == {"x": None, "path": "p", "list": [1.5, [2]], "map": {"k": None}}
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["n.json"]


def test_a_file_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SpeckleScopeError, match=r"cannot write .*choose another file for --json"):
        write_json(tmp_path / "file" / "n.json", {})


def test_numbers_that_exist_survive_a_failed_write(tmp_path: Path) -> None:
    write_json(tmp_path / "n.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "n.json", {"a": object()})
    assert json.loads((tmp_path / "n.json").read_text()) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["n.json"]


def test_a_table_prints_square_brackets_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    publish("devices", {"slmsuite": "skipped: pip install 'specklescope[slmsuite]'"}, None)
    assert "'specklescope[slmsuite]'" in capsys.readouterr().out


def test_without_a_terminal_a_finished_stage_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bars() as report:
        for done in (0, 1, 2, 3, 3, 3):
            report("acquiring pairs", done, 3)
    assert capsys.readouterr().err.splitlines() == ["acquiring pairs: 0 of 3", "acquiring pairs: 3 of 3"]
