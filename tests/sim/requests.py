"""The intents that answer an operator's request, and how requests get into the store."""

from dataclasses import replace
from typing import TYPE_CHECKING

from controller.core import intents as ask
from controller.core.intents import Intent
from controller.core.requests import Kind, NotAllowed, Request, moved, numbered, plan_hash
from controller.ports import Refused, TimedOut
from tests.sim import truth
from tests.sim.engine import Steps
from tests.sim.store import LOST

if TYPE_CHECKING:
    from tests.sim.daemon import ServiceLoop


class Desk:
    """Carries out what concerns requests."""

    def __init__(self, loop: "ServiceLoop") -> None:
        self._loop, self._world = loop, loop.world

    def carry_out(self, intent: Intent) -> Steps:
        """The steps of one intent."""
        match intent:
            case ask.SettleRequest():
                yield from self._settle(intent)
            case ask.AskSwitchover():
                yield from self._ask(intent)
            case ask.EndAlone():
                yield 0.002
                self._world.orders.pop((self._loop.site, self._loop.spec.name), None)
            case _:
                raise AssertionError(f"nobody carries out {intent}")

    def _settle(self, intent: ask.SettleRequest) -> Steps:
        loop = self._loop
        key = f"requests/{loop.spec.name}/{intent.number}"
        seen = loop.knowledge.book.newest(loop.spec.name)
        if seen is None or (seen.request.number, seen.revision) != (
            intent.number,
            intent.expected_revision,
        ):
            raise Refused(f"request {intent.number} was changed meanwhile")
        settled = moved(seen.request, intent.state, by=loop.site, why=intent.why, at="")
        settled = replace(settled, copied=intent.copied, ends=intent.ends)
        yield from self._swap(key, settled, intent.expected_revision)
        self._world.request_moved(settled)

    def _ask(self, intent: ask.AskSwitchover) -> Steps:
        loop = self._loop
        record = loop.knowledge.record(loop.spec.name)
        if record is None:
            raise Refused("no epoch")
        draft = Request(
            number=0,
            kind=Kind.SWITCHOVER,
            asked_by=intent.asked_by,
            asked_at=loop.site,
            at="",
            service=loop.spec.name,
            target=intent.target,
            reason=intent.reason,
            epoch=record.epoch,
            holder=record.holder,
            revision=record.revision,
        )
        draft = replace(draft, plan=plan_hash(draft))
        try:
            made = numbered(draft, loop.knowledge.book.newest(loop.spec.name))
        except NotAllowed as error:
            raise Refused(str(error)) from None
        yield from self._swap(f"requests/{loop.spec.name}/{made.number}", made, 0)
        self._world.tell(
            truth.RequestMade(
                self._world.engine.now,
                loop.spec.name,
                str(made.number),
                made.kind.value,
                made.target,
            )
        )

    def _swap(self, key: str, value: Request, expected: int) -> Steps:
        store = self._world.store
        box: list[object] = []
        yield from self._loop.hands.ask_store(
            lambda: store.swap(key, lambda _: value, expected), box
        )
        if box[0] is LOST:
            raise TimedOut("the store has not answered: the effect is unknown")
        if box[0] is None:
            raise Refused(f"{key} was changed by somebody else first")
        assert isinstance(box[0], int)
        self._loop.knowledge.took(key, value, box[0])
