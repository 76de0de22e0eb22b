"""Failed contracts show the compared values: pytest rewrites the assertions of the modules that are named here."""

from __future__ import annotations

import pytest

from drivers import testing

pytest.register_assert_rewrite(
    *(f"{testing.__name__}.{name}" for name in ("camera_contract", "slm_contract", "slmpy_checkout", "slmpy_server"))
)
