"""Contracts explain their failures as tests do, although their classes live in files of another name."""

import pytest

pytest.register_assert_rewrite("drivers.testing.camera_contract")
pytest.register_assert_rewrite("drivers.testing.slm_contract")
