"""The labs of the tests: one of the network alone, and one with the whole system."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from lab.netns.error import LabError
from lab.netns.lab import Lab
from lab.netns.programs import Selection
from lab.rehearsal.eyes import Eyes
from tests.lab.system import System

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


@pytest.fixture(scope="session")
def system_lab() -> Iterator[Lab]:
    """One lab with everything in it, for all tests of the session; taken down afterwards."""
    lab = Lab("tsys")
    asyncio.run(lab.down())
    asyncio.run(lab.up())
    yield lab
    asyncio.run(lab.down())


@pytest.fixture
async def system(system_lab: Lab) -> System:
    """The whole system, healthy, whoever holds it; a lab that cannot be mended is made anew."""
    found = System(system_lab, Eyes(system_lab))
    try:
        await found.restore()
        await found.settled()
    except LabError as error:
        print(f"the lab is made anew: {error}")  # noqa: T201 - shown when the test fails
        await system_lab.down()
        await system_lab.up()
        await found.settled()
    return found
