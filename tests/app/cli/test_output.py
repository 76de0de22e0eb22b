"""Numbers as JSON, and the doctor's verdicts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.cli.output import write_json
from app.diagnostics.devices import configured
from app.diagnostics.doctor import examine
from app.instrument.config import checked
from drivers.base import SpeckleScopeError
from tests.helpers.small_instrument import small_instrument


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


def test_the_doctor_looks_at_everything_and_names_remedies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECKLESCOPE_CACHE", str(tmp_path / "cache"))
    config = small_instrument(tmp_path)
    found = {finding.subject: finding for finding in examine(config)}
    assert set(found) == {
        "processor",
        "GPU",
        "display",
        "monitors",
        "Basler cameras",
        "UVC cameras",
        "device libraries",
        "disk space",
        "disk speed",
        "engine",
    }
    assert found["engine"].verdict == "ok"
    ill = {finding.subject: finding for finding in examine(config.model_copy(update={"model": "nowhere"}))}
    assert ill["engine"].verdict == "bad"
    assert "no model at nowhere" in ill["engine"].text
    assert all(finding.remedy for finding in ill.values() if finding.verdict == "bad")


def test_the_doctor_opens_the_configured_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECKLESCOPE_CACHE", str(tmp_path / "cache"))
    rig = {"camera": "opencv", "opencv": {"source": "gone.avi"}, "slm": "slmpy", "slmpy": {"port": 1}}
    found = {finding.subject: finding for finding in configured(checked(rig, "test"))}
    assert (found["camera"].verdict, found["SLM"].verdict) == ("bad", "bad")
    assert "no video file gone.avi" in found["camera"].text
    assert "setup page" in found["SLM"].remedy
