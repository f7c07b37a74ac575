"""The labs of the tests: one of the network alone, and one with the whole system."""

import asyncio
import json
import os
import re
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from lab.netns.error import LabError
from lab.netns.lab import Lab
from lab.netns.programs import Selection
from lab.netns.topology import REPOSITORY
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
    try:
        asyncio.run(lab.up(NETWORK))
        yield lab
    finally:
        asyncio.run(lab.down())


def keep_logs(lab: Lab, name: str) -> Path:
    """A copy of every node's logs as they are now."""
    kept = REPOSITORY / "build" / "lab" / "failed" / re.sub(r"\W+", "_", name)
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(lab.state_dir / "logs", kept, ignore_dangling_symlinks=True)
    return kept


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test says what every daemon said then, and where the logs are."""
    report = yield
    lab = getattr(item, "funcargs", {}).get("system_lab")
    if report.failed and lab is not None:
        eyes = Eyes(lab)
        seen = {site: asyncio.run(eyes.status(site)) for site in ("dc1", "dc2", "witness")}
        report.sections.append(("status of every daemon", json.dumps(seen)))
        report.sections.append(("logs", str(keep_logs(lab, item.name))))
    return report


@pytest.fixture(scope="session")
def system_lab() -> Iterator[Lab]:
    """One lab with everything in it, for all tests of the session; taken down afterwards."""
    lab = Lab("tsys")
    asyncio.run(lab.down())
    try:
        asyncio.run(lab.up())
        yield lab
    finally:
        asyncio.run(lab.down())


@pytest.fixture
async def system(system_lab: Lab, request: pytest.FixtureRequest) -> System:
    """The whole system, healthy, whoever holds it; a lab that cannot be mended is made anew."""
    found = System(system_lab, Eyes(system_lab))
    try:
        await found.restore()
        await found.settled()
    except LabError as error:
        kept = keep_logs(system_lab, "before_" + request.node.name)
        print(f"the lab is made anew ({error}); logs of before: {kept}")  # noqa: T201
        await system_lab.down()
        await system_lab.up()
        await found.settled()
    return found
