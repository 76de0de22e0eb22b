"""``specklescope bench``: every benchmark gets its own options, and its numbers are written."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from app.benchmarks import acquisition
from app.live.loop_back.results import Flash, LoopBackState, LoopBackStatus, Moment
from tests.helpers.command import refused, run_here

_BENCHMARKS = acquisition.__package__
#: Benchmarks whose module has another name.
_MODULE_OF = {"twin": "live.live_loop", "live": "live.live_loop", "segmentation": "segmentation.bench"}


@pytest.mark.parametrize(
    ("name", "options", "passed"),
    [
        ("acquisition", ["--pairs", 7], {"quick": False}),
        ("acquisition", ["--quick"], {"quick": True}),
        ("calibration", ["--quick"], {"quick": True, "captured": None}),
        ("calibration", ["--captured-pairs", "pairs"], {"quick": False, "captured": Path("pairs")}),
        ("devices", ["--quick"], {"quick": True, "patterns": None, "pairs": None}),
        ("devices", ["--patterns", 3, "--pairs", 4], {"quick": False, "patterns": 3, "pairs": 4}),
        ("engines", ["--quick"], {"quick": True}),
        ("live", [], {"rounds": 24, "frames_per_round": 60}),
        ("live", ["--quick"], {"rounds": 5, "frames_per_round": 24}),
        ("segmentation", ["--quick"], {"quick": True, "model": None}),
        ("segmentation", ["--model", "default-twin"], {"quick": False, "model": "default-twin"}),
        ("training", ["--quick"], {"quick": True}),
        ("twin", [], {}),
    ],
    ids=str,
)
def test_a_benchmark_gets_its_options(
    name: str,
    options: list[object],
    passed: dict[str, object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[dict[str, Any]] = []

    def benchmark(*arguments: object, **keywords: object) -> dict[str, object]:
        calls.append(keywords)
        return {"rows": [{"engine": "torch fp32"}], "answer": 42, "contract_suites_failed": 0, "wrong_pairs": 0}

    monkeypatch.setattr("app.benchmarks.live.bench.bench_window", lambda report, *, quick: {"window": 1})
    monkeypatch.setattr(
        "app.benchmarks.live.bench.bench_segmented", lambda report, *, quick: {"raw_fps_with_segmentation": 60.0}
    )
    monkeypatch.setattr("app.benchmarks.live.bench.bench_library", lambda config, report, *, quick: {"search_ms_p99": 1.0})
    monkeypatch.setattr(importlib.import_module(f"{_BENCHMARKS}.{_MODULE_OF.get(name, name)}"), f"bench_{name}", benchmark)
    assert "42" in run_here("bench", name, *options, "--json", "numbers.json", cwd=tmp_path)
    (keywords,) = calls
    assert passed.items() <= keywords.items()
    assert json.loads((tmp_path / "numbers.json").read_text())["answer"] == 42


@pytest.mark.parametrize(
    ("name", "fault", "message"),
    [
        ("devices", {"contract_suites_failed": 1}, "a device does not keep its contract;"),
        ("devices", {"wrong_pairs": 2}, "a pair is wrong;"),
        ("devices", {"slm_exact_fraction": {"100": 1.0, "125": 0.99}}, "the screen SLM is not exact;"),
        ("acquisition", {"wrong_pairs": 1, "acknowledged_lost": 1}, "a pair is wrong, and an acknowledged pair is lost;"),
        ("acquisition", {"verified": False}, "the pairs are not verified;"),
        ("engines", {"rows": []}, "no engine was timed;"),
        ("segmentation", {"false_objects_empty": 0.06}, "empty fields have objects;"),
    ],
    ids=str,
)
def test_a_benchmark_that_shows_a_fault_is_a_failure(
    name: str, fault: dict[str, object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = {"contract_suites_failed": 0, "wrong_pairs": 0, "slm_exact_fraction": {"100": 1.0, "150": "skipped: no Xvfb"}}
    numbers = {**good, "acknowledged_lost": 0, "verified": True, "rows": [{"engine": "torch fp32"}], **fault}
    module = importlib.import_module(f"{_BENCHMARKS}.{_MODULE_OF.get(name, name)}")
    monkeypatch.setattr(module, f"bench_{name}", lambda *_, **__: numbers)
    monkeypatch.setattr("app.benchmarks.live.bench.bench_segmented", lambda report, *, quick: {})
    assert message in refused("bench", name, cwd=tmp_path)


def test_flashes_are_measured_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flash = Flash(commanded_ns=0, frame_index=4, after_s={Moment.FRAME: 0.04, Moment.RECONSTRUCTION: 0.06})
    status = LoopBackStatus(state=LoopBackState.FINISHED, requested=7, flashes=(flash,))
    calls: list[int] = []
    monkeypatch.setattr(
        "app.benchmarks.live.loop_back.bench_loop_back", lambda config, flashes, report: calls.append(flashes) or status
    )
    options = ["--flashes", 7, "--csv", "flashes.csv", "--json", "flashes.json"]
    assert "SLM to reconstruction, measured by 1 flashes" in " ".join(
        run_here("bench", "loop-back", *options, cwd=tmp_path).split()
    )
    assert calls == [7]
    assert (tmp_path / "flashes.csv").read_text().splitlines()[-1] == "1,yes,4,,40,60,"
    assert json.loads((tmp_path / "flashes.json").read_text())["after_command"]["reconstruction"]["p50_ms"] == pytest.approx(60)


def test_options_of_another_benchmark_are_refused(tmp_path: Path) -> None:
    assert "--patterns" in refused("bench", "training", "--patterns", 3, cwd=tmp_path, code=2)
    assert 'Did you mean "live"' in refused("bench", "lve", cwd=tmp_path, code=2)
