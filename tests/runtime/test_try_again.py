"""An operator who asks for a rejoin ends the rest after failures: once for each request."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from controller.core.model import Epoch
from controller.core.requests import Kind
from controller.runtime.loop import ServiceLoop
from tests.core.views import DC2, LEDGER, dc2_view
from tests.core.wishes import asked


@dataclass
class Loop:
    """As much of a loop as is needed."""

    repaired: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    tried: list[frozenset[str]] = field(default_factory=list)

    @property
    def lanes(self) -> "Loop":
        return self

    def try_again(self, keys: frozenset[str]) -> None:
        self.tried.append(keys)


async def test_what_rests_is_tried_again_once_for_each_request() -> None:
    loop = Loop()

    def turn(number: int, **changes: Any) -> None:
        view = asked(dc2_view(), Kind.REJOIN, number=number, target=DC2, **changes)
        ServiceLoop._try_again(cast("ServiceLoop", loop), view)

    ServiceLoop._try_again(cast("ServiceLoop", loop), dc2_view())
    turn(3, epoch=Epoch(1))
    assert not loop.tried
    assert not loop.wake.is_set()
    turn(4, database=LEDGER)
    turn(4)
    assert loop.tried == [frozenset({"database:ledger"})]
    assert loop.wake.is_set(), "the next turn comes at once"
    turn(5)
    assert len(loop.tried) == 2
