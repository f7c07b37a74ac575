"""Three servers of MariaDB or MySQL for each test that asks, out of one template a file."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.contract.mysql_cluster import Cluster, cluster, template


@pytest.fixture(scope="module")
def source() -> Iterator[Path]:
    """A data directory that each server begins as a copy of."""
    with template() as made:
        yield made


@pytest.fixture
async def three(source: Path) -> AsyncIterator[Cluster]:
    """dc1, dc2 and the witness's keeper, all closed."""
    async with cluster(source) as made:
        yield made
