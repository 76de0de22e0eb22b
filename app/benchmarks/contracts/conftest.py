"""Failed contracts show the compared values: pytest rewrites the assertions in the contract classes as it does in tests."""

from __future__ import annotations

import pytest

# By name, because the classes must not be imported before this. In an installed copy the name starts with "specklescope.".
_ROOT = (__package__ or "").removesuffix("app.benchmarks.contracts")
pytest.register_assert_rewrite(f"{_ROOT}drivers.testing")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks of these tests: an installed copy has no setup.cfg. The benchmark runs the slow ones too."""
    config.addinivalue_line("markers", "slow: takes more than a few seconds; runs in `make test-slow`")
