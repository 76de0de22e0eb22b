"""The contract tests run in any folder, all devices are listed, and results say what passed, failed or was skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.benchmarks import contract_suites, contracts
from app.benchmarks.contract_suites import SUITES, SuiteResult
from drivers.base import SpeckleScopeError


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, modules: dict[str, str]) -> dict[str, SuiteResult]:
    """Run modules with the given text as if they were the contracts."""
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.setattr(contract_suites, "_FOLDER", folder)
    monkeypatch.setattr(contract_suites, "SUITES", {name: name for name in modules})
    return contract_suites.contract_suites(lambda *_: None, list(modules))


def test_every_module_of_the_contracts_is_a_suite() -> None:
    (folder,) = contracts.__path__
    assert sorted(SUITES.values()) == sorted(path.stem for path in Path(folder).glob("test_*.py"))


def test_a_working_folder_cannot_replace_the_program_or_configure_its_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = "raise SystemExit('a module of the working folder was imported')\n"
    for name in ("app/__init__.py", "tests/__init__.py", "drivers.py", "numpy.py", "conftest.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(hostile)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --collect-only\n")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--collect-only")
    monkeypatch.chdir(tmp_path)
    steps = []
    results = contract_suites.contract_suites(lambda *step: steps.append(step), ["simulated SLM", "slmPy SLM"])
    assert {device: str(result) for device, result in results.items()} == {
        "simulated SLM": "14 passed",
        "slmPy SLM": "7 passed",
    }
    assert steps == [("contract suites", 0, 1), ("contract suites", 1, 1)]


def test_passed_failed_and_skipped_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skip = "import pytest\npytestmark = pytest.mark.skipif(True, reason='no such device; buy one')\n"
    one = "def test_one():\n    pass\n"
    results = run(
        tmp_path,
        monkeypatch,
        {
            "test_good": one,
            "test_bad": f"{one}def test_two():\n    raise ValueError('first line\\nsecond')\n",
            "test_absent": f"{skip}{one}",
            "test_partly": f"{one}def test_two():\n    import pytest\n    pytest.skip('no screen')\n",
            "test_broken": "import nothing_of_this_name\n",
            "test_empty": "",
        },
    )
    assert {name: str(result) for name, result in results.items()} == {
        "test_good": "1 passed",
        "test_bad": "1 failed",
        "test_absent": "skipped: no such device; buy one",
        "test_partly": "1 passed, 1 skipped: no screen",
        "test_broken": "1 failed",
        "test_empty": "1 failed",
    }
    assert results["test_bad"].failures == ["test_bad.test_two: ValueError: first line"]


def test_without_pytest_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract_suites, "find_spec", lambda name: None)
    with pytest.raises(SpeckleScopeError, match=r"need pytest, .* pip install 'specklescope\[bench\]'"):
        contract_suites.contract_suites(lambda *_: None)


def test_a_failed_contract_of_an_installed_copy_shows_the_compared_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source,) = contracts.__path__
    home = tmp_path / "installed"
    for name in ("", "app", "app/benchmarks", "app/benchmarks/contracts", "drivers", "drivers/testing"):
        (home / name).mkdir()
        (home / name / "__init__.py").touch()
    (home / "drivers/testing/contract.py").write_text("def check(value: int) -> None:\n    assert value == 4\n")
    folder = home / "app/benchmarks/contracts"
    (folder / "conftest.py").write_bytes((Path(source) / "conftest.py").read_bytes())
    test = "from installed.drivers.testing.contract import check\n\ndef test_one():\n    check(3)\n"
    results = run(folder, monkeypatch, {"test_contract": test})
    assert results["test_contract"].failures == ["test_contract.test_one: assert 3 == 4"]
