"""Run the contract tests of every camera and SLM that needs no instrument, and report the result of each."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from drivers.base import SpeckleScopeError

Report = Callable[[str, int, int], None]

_FOLDER = Path(__file__).with_name("contracts")
#: Longest time for a single test, if pytest-timeout is installed, and for all of them, in seconds.
_TEST_TIMEOUT_S = 120
_TIMEOUT_S = 1800.0
_INSTALL = "install the extra 'bench': pip install 'specklescope[bench]'"
#: Device family, and the module of ``app/benchmarks/contracts`` that tests it.
SUITES: Mapping[str, str] = {
    "simulated camera": "test_simulated_camera",
    "replay camera": "test_replay_camera",
    "Basler camera (pylon's emulator)": "test_basler_camera",
    "OpenCV camera and video file": "test_opencv_camera",
    "slmsuite camera (simulated)": "test_slmsuite_camera",
    "simulated SLM": "test_simulated_slm",
    "screen SLM": "test_screen_slm",
    "slmPy SLM": "test_slmpy_slm",
    "local slmPy SLM": "test_local_slmpy_slm",
    "slmsuite SLM (simulated)": "test_slmsuite_slm",
}


@dataclass
class SuiteResult:
    """Results of one device family's tests.

    ``failures`` has one line for each failed test: its name and the first line of its message. ``skip_reason`` says what is
    missing on this computer.
    """

    passed: int = 0
    skipped: int = 0
    skip_reason: str = ""
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Return "N passed", "N failed" or "skipped: reason"."""
        if self.failures:
            return f"{len(self.failures)} failed"
        passed, skipped = f"{self.passed} passed", f"skipped: {self.skip_reason}"
        if not self.skipped:
            return passed
        return f"{passed}, {self.skipped} {skipped}" if self.passed else skipped


def contract_suites(report: Report, devices: Collection[str] = tuple(SUITES)) -> dict[str, SuiteResult]:
    """Run the contract tests in a process of their own.

    Neither the configuration nor the modules of the working folder take part.

    Parameters
    ----------
    report : callable
        Called with what runs, the number of finished steps and the number of all steps.
    devices : collection of str
        Keys of ``SUITES``.

    Returns
    -------
    dict of str to SuiteResult
        By device family. A device, library or program that is missing on this computer is skipped.

    Raises
    ------
    SpeckleScopeError
        pytest is not installed, did not run, or needed more than 30 minutes.
    """
    if find_spec("pytest") is None:
        raise SpeckleScopeError(f"the contract tests need pytest, which is not installed; {_INSTALL}")
    report("contract suites", 0, 1)
    with tempfile.TemporaryDirectory(prefix="specklescope-contracts-") as folder:
        cases = _run_pytest([SUITES[device] for device in devices], Path(folder))
    report("contract suites", 1, 1)
    return {device: _summary([case for case in cases if _module(case) == SUITES[device]]) for device in devices}


def _run_pytest(modules: list[str], folder: Path) -> list[ET.Element]:
    """Run the modules in an empty folder; return pytest's test cases in JUnit's format."""
    results = folder / "results.xml"
    command = [
        *(sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib"),
        # No setup.cfg or conftest.py above the contracts, nor in the working folder, is read.
        *("-c", os.devnull, f"--rootdir={_FOLDER}", f"--confcutdir={_FOLDER}"),
        *(("-p", "pytest_timeout", f"--timeout={_TEST_TIMEOUT_S}") if find_spec("pytest_timeout") else ()),
        *("--continue-on-collection-errors", f"--junitxml={results}"),
        *(str(_FOLDER / f"{module}.py") for module in modules),
    ]
    foreign = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")
    environment = {key: value for key, value in os.environ.items() if key not in foreign}
    environment |= {"QT_QPA_PLATFORM": "offscreen", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    try:
        process = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SpeckleScopeError(
            f"the contract tests did not end within {_TIMEOUT_S / 60:g} minutes; disconnect all devices and repeat"
        ) from error
    if not results.is_file():
        reason = process.stderr.strip() or process.stdout.strip()
        raise SpeckleScopeError(f"pytest did not run ({reason}); {_INSTALL}")
    # The file was written by our own process just now, so it needs no protection against hostile XML.
    return list(ET.parse(results).iter("testcase"))


def _module(case: ET.Element) -> str:
    """Return the name of a test's module; a module that cannot be loaded is a test without a class."""
    return (case.get("classname") or case.get("name") or "").partition(".")[0]


def _summary(cases: list[ET.Element]) -> SuiteResult:
    result = SuiteResult()
    for case in cases:
        failure = next((child for child in case if child.tag in ("failure", "error")), None)
        skip = case.find("skipped")
        if failure is not None:
            message = (failure.get("message") or "no message").splitlines()[0]
            result.failures.append(f"{case.get('classname')}.{case.get('name')}: {message}".lstrip("."))
        elif skip is not None:
            result.skipped += 1
            result.skip_reason = skip.get("message", "")
        else:
            result.passed += 1
    if not cases:
        result.failures.append("no test was found; install the program again")
    return result
