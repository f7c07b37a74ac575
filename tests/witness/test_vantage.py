"""The outside view names the site where a request enters."""

import asyncio
from dataclasses import dataclass

import pytest

from controller.ports import Sample
from tests.runtime.clock import HandClock
from witness.vantage import Vantage


@dataclass
class Answer:
    """A probe that is always answered so."""

    facts: dict[str, str]

    async def sample(self) -> Sample:
        return Sample(ok=True, detail="", took_s=0.01, facts=self.facts)

    async def aclose(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("facts", "lands_at"),
    [
        ({"edge": "dc1", "site": "dc2"}, "dc1"),  # dc1's haproxy forwards to dc2
        ({"site": "dc2"}, "dc2"),
        ({}, ""),
    ],
)
async def test_it_tells_where_a_request_enters(facts: dict[str, str], lands_at: str) -> None:
    clock, changed = HandClock(), asyncio.Event()
    vantage = Vantage(prober=Answer(facts), clock=clock, every_s=60.0, fresh_s=3.0, changed=changed)
    assert vantage.lands_at() == ""
    async with asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(vantage.run())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        looking.cancel()
    assert vantage.lands_at() == lands_at
    assert changed.is_set() == bool(lands_at)
    clock.now += 3.1
    assert vantage.lands_at() == ""
