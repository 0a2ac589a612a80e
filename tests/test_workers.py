"""How tests are shared out among workers (`conftest.pytest_collection_modifyitems`)."""

from __future__ import annotations

import os

import pytest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="there is one process alone")
def test_a_modules_tests_are_one_workers(request: pytest.FixtureRequest) -> None:
    """Else every worker builds the fixtures of every module. xdist 3.8 writes groups where pytest 9.2 does not look."""
    assert request.node.nodeid.endswith(f"@{request.node.path}")
