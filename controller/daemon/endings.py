"""Wishes that a standing order (a pause, a drain, a fence) ends, where that is to be approved.

A wish bears the number of its order and stands beside it in the store, below `endings/`: the order
itself stays as it is until the wish has its approvals.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from controller.core.model import ServiceName, SiteName
from controller.core.requests import (
    OF_A_SITE,
    Kind,
    Request,
    SeenRequest,
    closed,
    described,
    plan_hash,
)
from controller.core.wire import BadRecord, decode_request, key_of_request
from controller.daemon.known import Known
from controller.ports import PortError
from controller.runtime.requests import KEPT, RequestBook, RequestDesk

ENDINGS: Final = "endings/"
ENDED: Final = frozenset({Kind.PAUSE, *OF_A_SITE})


@dataclass(slots=True, kw_only=True)
class Endings:
    """The wishes, read from the store when they are needed."""

    desk: RequestDesk  # with a book and a prefix of its own
    orders: RequestBook  # of the standing orders
    known: Known

    @property
    def book(self) -> RequestBook:
        """What is known of them."""
        return self.desk.book

    async def change(self, seen: SeenRequest, changed: Request) -> Request:
        """`changed` replaces what was seen. Raises NotAllowed, PortError."""
        return await self.desk.change(seen, changed)

    def wish(self, order: Request, drafted: Request) -> Request:
        """`drafted` as a wish that `order` ends, made in the world of now. Raises NotAsked."""
        epoch, holder = order.epoch, ""
        if order.service is None:
            holder = self.known.holders()
        else:
            _, record = self.known.service(order.service)
            epoch, holder = record.epoch, record.holder
        wish = replace(
            drafted,
            number=order.number,
            kind=order.kind,
            service=order.service,
            target=order.target,
            epoch=epoch,
            holder=holder,
            statement=f"ends request {order.number}: {described(order)}",
        )
        return replace(wish, plan=plan_hash(wish))

    async def put(self, wish: Request) -> Request:
        """`wish` stands in the store, in the place of one that is over. Raises as `change`."""
        before = self.of(wish)
        empty = SeenRequest(request=wish, revision=0, age_s=0.0, unchanged_s=0.0)
        await self.change(before or empty, wish)
        if wish.service is not None:
            await self._prune(wish.service)
        return wish

    def of(self, order: Request) -> SeenRequest | None:
        """The newest wish that `order` ends."""
        return again(self.book, order)

    def order_of(self, wish: Request) -> SeenRequest | None:
        """The standing order that `wish` ends, while it stands."""
        found = again(self.orders, wish)
        return None if found is None or closed(found.request) else found

    def all(self) -> tuple[SeenRequest, ...]:
        """Every wish, the newest of a service first, those of sites last."""
        services = (reversed(self.book.of(name)) for name in self.known.views())
        return (*(seen for each in services for seen in each), *self.book.orders())

    async def read(self) -> None:
        """What the store holds is known; as before where it does not answer."""
        with suppress(PortError):
            # Half of the time: what is asked after it has to be answered, too.
            snapshot = await self.desk.store.read(self.desk.prefix, self.desk.deadline_s / 2)
            keys = set()
            for full, entry in snapshot.entries.items():
                key = full.removeprefix(self.desk.prefix)
                with suppress(BadRecord):
                    ends = decode_request(key, entry.value).kind in ENDED
                    if ends and self.book.take(key, entry):
                        keys.add(key)
            self.book.keep_only(frozenset(keys))

    async def _prune(self, service: ServiceName) -> None:
        for seen in self.book.of(service)[:-KEPT]:
            key = f"{self.desk.prefix}{key_of_request(seen.request)}"
            await self.desk.store.delete(key, self.desk.deadline_s)


def again(book: RequestBook, request: Request) -> SeenRequest | None:
    """What `book` has under the number of `request`."""
    if request.service is None:
        orders = book.fences() if request.kind is Kind.FENCE else book.drains()
        found = orders.get(SiteName(request.target))
        return found if found is not None and found.request.number == request.number else None
    same = (seen for seen in book.of(request.service) if seen.request.number == request.number)
    return next(same, None)
