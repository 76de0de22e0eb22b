"""Contracts explain their failures as tests do, although their classes live in files of another name."""

import pytest

pytest.register_assert_rewrite("tests.contracts.camera_contract")
pytest.register_assert_rewrite("tests.contracts.slm_contract")
