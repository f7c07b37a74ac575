"""A lab of their own for the tests of the network, and small programs to try its paths."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from lab.netns.lab import Lab
from lab.netns.programs import Selection

NETWORK = Selection(only=frozenset({"network"}))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs namespaces is left out, with a word, where they cannot be made."""
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("lab"):
            item.add_marker(pytest.mark.skip(reason="needs root to make network namespaces"))


@pytest.fixture(scope="module")
def network() -> Iterator[Lab]:
    """The network of the lab, without servers; taken down afterwards."""
    lab = Lab("nettest")
    asyncio.run(lab.down())
    asyncio.run(lab.up(NETWORK))
    yield lab
    asyncio.run(lab.down())
