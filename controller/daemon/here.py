"""Wishes that this site serves alone: kept by this daemon, for there may be no store to keep them.

A daemon that is restarted has forgotten a wish that waits for an approval, and its order if it was
given (that one is on disk) stands. The numbers are far above those of the store's requests.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from controller.core import alone
from controller.core.requests import Request, SeenRequest, State, closed, moved, numbered
from controller.core.wire import key_of_request
from controller.daemon.known import Known
from controller.daemon.policy import broken_glass
from controller.runtime.orders import Order, Orders
from controller.runtime.requests import RequestBook

HERE_FROM: Final = 900_001


@dataclass(slots=True, kw_only=True)
class Here:
    """What is asked of this site alone."""

    site: str
    book: RequestBook
    orders: Orders
    known: Known
    wake: Callable[[], None]
    revision: int = 0

    async def propose(self, request: Request) -> Request:
        """`request` waits for approvals, under a number of its own. Raises NotAllowed."""
        assert request.service is not None
        newest = self.book.newest(request.service)
        found = numbered(replace(request, state=State.OPEN), newest)
        if newest is None:
            found = replace(found, number=HERE_FROM)
        return self._took(found)

    async def change(self, seen: SeenRequest, changed: Request) -> Request:
        """`changed` replaces what was seen."""
        assert seen.request.number == changed.number
        return self._took(changed)

    async def give(self, request: Request) -> Request:
        """The order is in force. Raises NotAsked while the record is not known."""
        assert request.service is not None
        view, _ = self.known.service(request.service)
        ordered = replace(request, state=State.RUNNING)
        assumed = alone.assumed_record(view, ordered)
        await self.orders.give(Order(request=ordered, assumed=assumed))
        self.wake()
        return ordered

    def changed(self, request: Request) -> str:
        """What has changed since `request` was made; or ""."""
        assert request.service is not None
        view, _ = self.known.service(request.service)
        if why := self.known.changed(request):
            return why
        if reasons := alone.refusals(view):
            return f"{view.me} does not serve alone any more: {'; '.join(reasons)}"
        if (now := alone.statement(view)) != request.statement:
            return f"what it would cost is another thing now: {now}"
        return ""

    def seen(self) -> tuple[SeenRequest, ...]:
        """Wishes, and orders that were given under a policy; what has ended is told so."""
        found: list[SeenRequest] = []
        for service in self.known.views():
            wishes, order = self.book.of(service), self.orders.of(service)
            known = {wish.request.number for wish in wishes}
            found.extend(self._ended(wish) for wish in wishes)
            if order is None or order.request.number in known:
                continue
            if order.request.approvals_needed or broken_glass(order.request) is not None:
                found.append(
                    SeenRequest(request=order.request, revision=0, age_s=0.0, unchanged_s=0.0)
                )
        return tuple(found)

    def _ended(self, wish: SeenRequest) -> SeenRequest:
        request = wish.request
        if closed(request) or request.state is not State.RUNNING or request.service is None:
            return wish
        if self.orders.of(request.service) is not None:
            return wish
        by, why = f"tricast at {self.site}", "the order has ended"
        return replace(wish, request=moved(request, State.DONE, by=by, why=why, at=""))

    def _took(self, request: Request) -> Request:
        self.revision += 1
        self.book.took(key_of_request(request), request, self.revision)
        return request
