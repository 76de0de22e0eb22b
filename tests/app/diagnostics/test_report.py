"""The report: it holds what helps, no picture, and nothing that is private."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from app.diagnostics.report import ReportSource, without_names, write_report
from app.instrument.config import load_config
from drivers.base import SpeckleScopeError
from tests.helpers.small_instrument import small_instrument


def _source(tmp_path: Path) -> ReportSource:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "error-20260101.log").write_text("Traceback: file /home/alice/data/liver.zarr\n")
    return ReportSource(
        config=small_instrument(tmp_path),
        in_use=True,
        messages=["12:00:01 Error: camera 192.168.0.12 does not answer"],
        window={"theme": "light"},
        log_folder=logs,
    )


def test_a_report_holds_messages_findings_versions_settings_and_errors(tmp_path: Path) -> None:
    source = _source(tmp_path)
    write_report(tmp_path / "report.zip", source)
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert set(texts) == {
        "messages.txt", "doctor.txt", "versions.txt", "instrument.yaml", "window.txt", "errors/error-20260101.log",
    }  # fmt: skip
    assert texts["messages.txt"] == "12:00:01 Error: camera 192.168.0.12 does not answer\n"
    assert "numpy==" in texts["versions.txt"]
    assert texts["window.txt"] == "theme = light\n"
    assert texts["errors/error-20260101.log"] == "Traceback: file ~/data/liver.zarr\n"
    assert "processor: " in texts["doctor.txt"]
    (tmp_path / "again.yaml").write_text(texts["instrument.yaml"])
    assert load_config(tmp_path / "again.yaml").name == source.config.name


def test_the_devices_of_an_open_instrument_are_left_alone(tmp_path: Path) -> None:
    write_report(tmp_path / "report.zip", _source(tmp_path))
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        lines = archive.read("doctor.txt").decode().splitlines()
    skipped = [line.split(":")[0].split(maxsplit=1)[1] for line in lines if "not checked" in line]
    assert skipped == ["monitors", "cameras", "devices", "disk speed", "engine"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"{Path.home()}/archive", "~/archive"),
        ("/home/alice/archive, then", "~/archive, then"),
        ("C:\\Users\\Alice\\archive", "~\\archive"),
        ("/Users/alice", "~"),
        ("camera at 192.168.0.12:9000", "camera at 192.168.0.12:9000"),
        ("  password: hunter2", "  password: ***"),
        ("http://alice:hunter2@slm.local/", "http://***@slm.local/"),
        ("api_key = 12", "api_key = ***"),
    ],
)
def test_names_and_passwords_are_left_out(text: str, shown: str) -> None:
    assert without_names(text) == shown


def test_a_report_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpeckleScopeError, match="choose another folder"):
        write_report(tmp_path / "file" / "report.zip", _source(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".zip") == []
