"""``specklescope bench``: every benchmark gets its own options, and its numbers are written."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from app.benchmarks import acquisition
from tests.helpers.command import refused, run_here

_BENCHMARKS = acquisition.__package__
#: Benchmarks whose module has another name.
_MODULE_OF = {"twin": "live"}


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
        ("live", [], {}),
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

    monkeypatch.setattr(importlib.import_module(f"{_BENCHMARKS}.{_MODULE_OF.get(name, name)}"), f"bench_{name}", benchmark)
    assert "42" in run_here("bench", name, *options, "--json", "numbers.json", cwd=tmp_path)
    (keywords,) = calls
    assert passed.items() <= keywords.items()
    assert json.loads((tmp_path / "numbers.json").read_text())["answer"] == 42


@pytest.mark.parametrize("key", ["contract_suites_failed", "wrong_pairs"])
def test_a_broken_contract_or_a_wrong_pair_is_a_failure(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {"contract_suites_failed": 0, "wrong_pairs": 0, key: 1}
    monkeypatch.setattr(importlib.import_module(f"{_BENCHMARKS}.devices"), "bench_devices", lambda *_, **__: numbers)
    assert "does not keep its contract, or a pair is wrong" in refused("bench", "devices", cwd=tmp_path)


def test_options_of_another_benchmark_are_refused(tmp_path: Path) -> None:
    assert "--patterns" in refused("bench", "training", "--patterns", 3, cwd=tmp_path, code=2)
    assert 'Did you mean "live"' in refused("bench", "lve", cwd=tmp_path, code=2)
