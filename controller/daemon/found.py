"""Which request somebody means: the store's, one for weights, a wish that a standing order ends, or
one that only this daemon keeps.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from controller.config import Verb
from controller.core.model import ServiceName
from controller.core.requests import (
    OF_A_SITE,
    Kind,
    Request,
    SeenRequest,
    State,
    approved,
    closed,
)
from controller.daemon.endings import Endings
from controller.daemon.here import Here
from controller.daemon.known import Known
from controller.daemon.refusals import REFUSED
from controller.daemon.request_view import ENDS
from controller.runtime.requests import RequestBook, RequestDesk
from controller.web.schema import Verdict
from controller.web.source import NotAsked

ORDERED: Final = {Kind.DRAIN: "drained", Kind.FENCE: "fenced"}


class Drawer(Protocol):
    """Where requests of one sort are kept."""

    @property
    def book(self) -> RequestBook:
        """What is known of them."""

    async def change(self, seen: SeenRequest, changed: Request) -> Request:
        """`changed` replaces what was seen. Raises NotAllowed, PortError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A request, where it is kept, and the verb whose policy it is under."""

    seen: SeenRequest
    drawer: Drawer
    verb: Verb

    @property
    def request(self) -> Request:
        """As it was seen."""
        return self.seen.request

    @property
    def pending(self) -> bool:
        """It waits for approvals."""
        return self.request.state is State.OPEN and not approved(self.request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawers:
    """The four places."""

    known: Known
    desk: RequestDesk
    weights: RequestDesk  # with a book and a prefix of its own
    endings: Endings
    here: Here

    def find(self, verdict: Verdict) -> Found:
        """What `verdict` is about. Raises NotAsked."""
        if verdict.kind in OF_A_SITE or verdict.target:
            return self._of_a_site(verdict)
        view, _ = self.known.service(verdict.service)
        service = ServiceName(view.spec.name)
        if not verdict.kind and (wish := self._wish(service, verdict.number)) is not None:
            return wish
        found = [s for s in self.desk.book.of(service) if verdict.number in (0, s.request.number)]
        if not found:
            raise NotAsked(REFUSED, f"{service} has no request {verdict.number or ''}".rstrip())
        last = found[-1]
        if verdict.kind and (closed(last.request) or last.request.kind.value != verdict.kind):
            raise NotAsked(REFUSED, f"{service} has no {verdict.kind} in force")
        return self.stored(last)

    def stored(self, seen: SeenRequest) -> Found:
        """A request of the store."""
        return Found(seen=seen, drawer=self.desk, verb=Verb(seen.request.kind.value))

    def ending(self, seen: SeenRequest) -> Found:
        """A wish that a standing order ends."""
        return Found(seen=seen, drawer=self.endings, verb=ENDS[seen.request.kind])

    def weighing(self, seen: SeenRequest) -> Found:
        """One for the weights of a service."""
        return Found(seen=seen, drawer=self.weights, verb=Verb.WEIGHTS)

    def kept(self, seen: SeenRequest) -> Found:
        """One that only this daemon keeps."""
        return Found(seen=seen, drawer=self.here, verb=Verb.FORCE_SINGLE)

    def _wish(self, service: ServiceName, number: int) -> Found | None:
        """What bears `number` beside the store's requests; any that is open for 0."""
        for seen in reversed(self.here.book.of(service)):
            if number == seen.request.number or (number == 0 and not closed(seen.request)):
                return self.kept(seen)
        for seen in reversed(self.weights.book.of(service)):
            if number == seen.request.number or (number == 0 and not closed(seen.request)):
                return self.weighing(seen)
        for seen in reversed(self.endings.book.of(service)):
            if number in (0, seen.request.number) and not closed(seen.request):
                return self.ending(seen)
        return None

    def _of_a_site(self, verdict: Verdict) -> Found:
        """The order of the kind that is named; else what has that number, or is open, or newest."""
        site, kinds = verdict.target, {k: v for k, v in ORDERED.items() if verdict.kind in ("", k)}
        found = [
            seen
            for seen in self.desk.book.orders()
            if seen.request.target == site and seen.request.kind in kinds
        ]
        over = all(closed(seen.request) for seen in found)
        if not found or (over and (verdict.kind or not verdict.number)):
            raise NotAsked(REFUSED, f"{site} is not {' or '.join(kinds.values())}")
        same = [seen for seen in found if verdict.number in (0, seen.request.number)]
        if not same:
            newest = found[-1].request.number
            raise NotAsked(
                REFUSED, f"{site} has no request {verdict.number}; the newest is {newest}"
            )
        order = next((seen for seen in reversed(same) if not closed(seen.request)), same[-1])
        wish = self.endings.of(order.request)
        if wish is not None and not closed(wish.request) and not verdict.kind:
            return self.ending(wish)
        return self.stored(order)
