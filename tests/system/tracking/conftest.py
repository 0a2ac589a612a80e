"""PostgreSQL for the tests of tracking."""

from collections.abc import Iterator

import pytest

from tests.system.harness.servers.postgres import new_database, postgresql


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URI of a PostgreSQL server that tests share."""
    with postgresql() as uri:
        yield uri


@pytest.fixture
def postgres_database(postgres: str) -> str:
    """URI of an empty database of a test's own."""
    return new_database(postgres)
