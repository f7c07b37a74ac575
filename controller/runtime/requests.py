"""Operators' requests as this node knows them, and every change of one: by compare-and-swap.

How long a request has been open, or as it is, is counted here from the moment this node first saw
it so; a daemon that has been restarted counts anew.
"""

from dataclasses import dataclass, field, replace

from controller.core.intents import SettleRequest
from controller.core.model import NO_EPOCH, Epoch, Instant, ServiceName, SiteName
from controller.core.requests import (
    CLOSED,
    Kind,
    NotAllowed,
    Request,
    SeenRequest,
    State,
    closed,
    moved,
    newest,
    numbered,
)
from controller.core.wire import decode_request, encode_request, is_request_key, key_of_request
from controller.ports import Clock, Entry, Store

KEPT = 50  # closed requests of one service; older ones are deleted
WEIGHTS_FROM = 800_001  # far above the numbers of other requests of a service


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    request: Request
    revision: int
    first: Instant
    since: Instant


@dataclass(slots=True, kw_only=True)
class RequestBook:
    """Every request in the newest snapshot of the store."""

    clock: Clock
    _known: dict[str, _Known] = field(default_factory=dict)

    def take(self, key: str, entry: Entry) -> bool:
        """Whether `key` is a request's; it is known now. Raises BadRecord."""
        if not is_request_key(key):
            return False
        known = self._known.get(key)
        if known is None or known.revision != entry.revision:
            self.took(key, decode_request(key, entry.value), entry.revision)
        return True

    def took(self, key: str, request: Request, revision: int) -> None:
        """`request` stands at `key` since `revision`; a new order under an old key is new."""
        now, known = self.clock.monotonic(), self._known.get(key)
        anew = known is None or (closed(known.request) and not closed(request))
        first = now if anew or known is None else known.first
        self._known[key] = _Known(request=request, revision=revision, first=first, since=now)

    def keep_only(self, keys: frozenset[str]) -> None:
        """What is not in the store any more is forgotten."""
        for key in self._known.keys() - keys:
            del self._known[key]

    def of(self, service: ServiceName) -> tuple[SeenRequest, ...]:
        """Every request for `service`, the oldest first."""
        if not self._known:
            return ()
        found = [self._seen(k) for k in self._known.values() if k.request.service == service]
        return tuple(sorted(found, key=lambda seen: seen.request.number))

    def newest(self, service: ServiceName) -> SeenRequest | None:
        """The one that may be open."""
        return newest(self.of(service))

    def acknowledged(self, service: ServiceName) -> Epoch:
        """The newest role change that an operator has looked at."""
        return max(
            (
                seen.request.epoch
                for seen in self.of(service)
                if seen.request.kind is Kind.ACK and seen.request.state is State.DONE
            ),
            default=NO_EPOCH,
        )

    def weights(self, service: ServiceName) -> Request | None:
        """Who set the weights of `service` last, or gave them back to the configuration."""
        return max(
            (
                known.request
                for known in self._known.values()
                if known.request.service == service
                and known.request.kind is Kind.WEIGHTS
                and known.request.state is State.DONE
            ),
            key=lambda request: request.number,
            default=None,
        )

    def drains(self) -> dict[SiteName, SeenRequest]:
        """The orders to drain, by site."""
        return self._of_sites(Kind.DRAIN)

    def fences(self) -> dict[SiteName, SeenRequest]:
        """The orders to keep out, by site."""
        return self._of_sites(Kind.FENCE)

    def orders(self) -> tuple[SeenRequest, ...]:
        """Every order of a site, by site; of two for one site the newer is the last."""
        found = [*self.drains().values(), *self.fences().values()]
        return tuple(sorted(found, key=lambda seen: (seen.request.target, seen.request.number)))

    def _of_sites(self, kind: Kind) -> dict[SiteName, SeenRequest]:
        return {
            SiteName(known.request.target): self._seen(known)
            for known in self._known.values()
            if known.request.kind is kind
        }

    def revisions(self) -> tuple[tuple[str, int], ...]:
        """Changes when any request does."""
        return tuple(sorted((key, known.revision) for key, known in self._known.items()))

    def _seen(self, known: _Known) -> SeenRequest:
        now = self.clock.monotonic()
        return SeenRequest(
            request=known.request,
            revision=known.revision,
            age_s=now - known.first,
            unchanged_s=now - known.since,
        )


@dataclass(slots=True, kw_only=True)
class RequestDesk:
    """Where requests are opened and changed."""

    site: SiteName
    store: Store
    prefix: str
    clock: Clock
    book: RequestBook
    deadline_s: float
    first: int = 1  # the number of the first request of a service

    async def open(self, request: Request) -> Request:
        """`request` stands in the store under the next number. Raises NotAllowed, PortError."""
        assert request.service is not None
        newest = self.book.newest(request.service)
        found = numbered(request, newest)
        if newest is None:
            found = replace(found, number=self.first)
        key = key_of_request(found)
        revision = await self._swap(key, found, 0)
        if revision is None:
            raise NotAllowed(
                f"somebody else asked for {request.service} at the same time; "
                "look with tricast requests, then try again"
            )
        self.book.took(key, found, revision)
        await self._prune(request.service)
        return found

    async def order(self, request: Request, before: SeenRequest | None) -> Request:
        """The standing order `request` of a site replaces a closed one. Raises as `open`.

        Orders of one site are numbered together, so that a number names one of them.
        """
        orders = (seen.request for seen in self.book.orders())
        numbers = (order.number for order in orders if order.target == request.target)
        found = replace(request, number=1 + max(numbers, default=0))
        key = key_of_request(found)
        revision = await self._swap(key, found, 0 if before is None else before.revision)
        if revision is None:
            raise NotAllowed(f"somebody else changed the order for {request.target} first")
        self.book.took(key, found, revision)
        return found

    async def change(self, seen: SeenRequest, changed: Request) -> Request:
        """`changed` replaces what was seen. Raises NotAllowed when it is something else by now."""
        key = key_of_request(changed)
        revision = await self._swap(key, changed, seen.revision)
        if revision is None:
            raise NotAllowed(f"request {changed.number} was changed meanwhile; look again")
        self.book.took(key, changed, revision)
        return changed

    async def settle(self, service: ServiceName, intent: SettleRequest) -> None:
        """The request is in the state that `intent` says, told by this site."""
        seen, number = self.book.newest(service), intent.number
        known = (0, 0) if seen is None else (seen.request.number, seen.revision)
        if seen is None or known != (number, intent.expected_revision):
            raise NotAllowed(f"request {number} of {service} was changed meanwhile")
        by, at = f"tricast at {self.site}", self.clock.stamp()
        after = moved(seen.request, intent.state, by=by, why=intent.why, at=at)
        await self.change(seen, replace(after, copied=intent.copied, ends=intent.ends))

    async def _swap(self, key: str, request: Request, expected: int) -> int | None:
        return await self.store.swap(
            f"{self.prefix}{key}", encode_request(request), expected, self.deadline_s
        )

    async def _prune(self, service: ServiceName) -> None:
        in_force = self.book.weights(service)
        for seen in self.book.of(service)[:-KEPT]:
            if seen.request.state in CLOSED and seen.request is not in_force:
                key = key_of_request(seen.request)
                await self.store.delete(f"{self.prefix}{key}", self.deadline_s)
