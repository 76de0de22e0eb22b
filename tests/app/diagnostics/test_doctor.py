"""The doctor: what it checks, its verdicts and its remedies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.diagnostics.devices import configured
from app.diagnostics.doctor import examine
from app.diagnostics.findings import Verdict
from app.instrument.config import checked, save_config
from tests.helpers.command import refused, run_here
from tests.helpers.small_instrument import small_instrument


def test_the_doctor_looks_at_everything_and_names_remedies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECKLESCOPE_CACHE", str(tmp_path / "cache"))
    config = small_instrument(tmp_path)
    findings = {finding.subject: finding for finding in examine(config)}
    assert set(findings) == {
        "processor",
        "GPU",
        "display",
        "monitors",
        "Basler cameras",
        "UVC cameras",
        "device libraries",
        "camera settings",
        "disk space",
        "disk speed",
        "engine",
    }
    assert findings["engine"].verdict is Verdict.OK
    assert "gain: 0 dB (0 to 24 dB); frame_rate_hz: " in findings["camera settings"].text
    ill = {finding.subject: finding for finding in examine(config.model_copy(update={"model": "nowhere"}))}
    assert ill["engine"].verdict is Verdict.BAD
    assert "no model at nowhere" in ill["engine"].text
    assert all(finding.remedy for finding in ill.values() if finding.verdict is Verdict.BAD)


def test_the_doctor_opens_the_configured_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECKLESCOPE_CACHE", str(tmp_path / "cache"))
    rig = {"camera": "opencv", "opencv": {"source": "gone.avi"}, "slm": "slmpy", "slmpy": {"port": 1}}
    findings = {finding.subject: finding for finding in configured(checked(rig, "test"))}
    assert (findings["camera"].verdict, findings["SLM"].verdict) == (Verdict.BAD, Verdict.BAD)
    assert "no video file gone.avi" in findings["camera"].text
    assert "Rig page" in findings["SLM"].remedy


def test_the_command_lists_the_findings_and_fails_when_one_is_bad(tmp_path: Path) -> None:
    config = small_instrument(tmp_path)
    save_config(config, tmp_path / "good.yaml")
    save_config(config.model_copy(update={"model": "nowhere"}), tmp_path / "bad.yaml")
    assert "ok: torch" in run_here("doctor", "--config", "good.yaml", "--json", "good.json", cwd=tmp_path)
    numbers = json.loads((tmp_path / "good.json").read_text())
    assert numbers["ok"]
    assert {finding["verdict"] for finding in numbers["findings"]} <= set(Verdict)
    assert "not ready: engine" in refused("doctor", "--config", "bad.yaml", "--json", "bad.json", cwd=tmp_path)
    assert not json.loads((tmp_path / "bad.json").read_text())["ok"]
