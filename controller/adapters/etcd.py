"""The shared records in etcd, behind `ports.Store`.

Reads are linearizable and go to the member that answered last; when it keeps silent for `hedge_s`
the next one is asked as well, and the first answer counts. Now and then the nearest member is
asked beside it, so that we return there. A write is sent once, to one member that has just
answered; when its fate is unknown the caller gets TimedOut. It may then still take effect later:
a frozen member that wakes up delivers what it had received. Only compare-and-swap is safe then.
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Final

import grpc
import grpc.aio

from controller.adapters.etcd_api import (
    NEEDS_LEADER,
    Member,
    Message,
    Tls,
    left,
    now,
    rpc,
    send,
    status_errors,
    this_task_is_cancelled,
    told,
    translated,
)
from controller.adapters.etcd_lease import renewed
from controller.adapters.etcd_seen import Seen
from controller.ports import (
    PortError,
    Refused,
    Snapshot,
    StoreStatus,
    TimedOut,
    Unreachable,
)

HEDGE_S: Final = 0.1
SWAP_HEDGE_S: Final = 0.02
TRUSTED_S: Final = 1.0  # a member that answered this lately is sent writes without asking first
RETURN_AFTER_S: Final = 2.0
RECONNECT_S: Final = 0.2
STATUS_S: Final = 0.5
SENT_S: Final = 1.0
RENEW_S: Final = 0.15  # a renewal that stalls holds up no put
OWN_REMEMBERED: Final = 16
RENEWALS: Final = 4  # in the time that a lease lives

Call = Message  # of grpc.aio
Ask = Callable[[Member, float], Call]  # starts a call that lasts so many seconds at most


class Etcd:
    """The store as this site uses it. To be made where the event loop runs."""

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        prefix: str = "",
        tls: Tls | None = None,
        hedge_s: float = HEDGE_S,
    ) -> None:
        """`endpoints` starts with the nearest; every key is stored under `prefix`."""
        self._members = [Member(endpoint, tls) for endpoint in endpoints]
        self._prefix = prefix
        self._hedge_s = hedge_s
        self._favourite = self._members[0]
        self._return_at = 0.0
        self._leases: dict[tuple[str, float], tuple[int, float]] = {}  # and when it was renewed
        self._names: dict[int, str] = {}
        self._seen: dict[str, Seen] = {}  # by prefix
        self._own: deque[int] = deque(maxlen=OWN_REMEMBERED)  # revisions of our leased puts
        self._watches: set[Call] = set()
        self._closed = False

    @property
    def endpoint(self) -> str:
        """Address of the member that is asked first at present."""
        return self._favourite.address

    async def read(self, prefix: str, deadline_s: float) -> Snapshot:
        """Every key under `prefix`, as the majority has them now."""
        began, cut = now(), len(self._prefix)
        known = self._seen.get(prefix)
        found = None
        if known is not None and (since := known.since(began)):
            found = known.with_news(await self._range_of(prefix, since, deadline_s), cut, began)
        if found is None:
            found = Seen.whole(await self._range_of(prefix, 0, deadline_s), cut, began)
        self._seen[prefix] = found
        return Snapshot(revision=found.revision, entries=found.entries)

    async def _range_of(self, prefix: str, since: int, deadline_s: float) -> Message:
        first, end = self._range(prefix)
        request = rpc.RangeRequest(key=first, range_end=end, min_mod_revision=since)
        _, answer = await self._race(
            f"reading {prefix!r}",
            lambda member, left_s: member.kv.Range(request, timeout=left_s, metadata=NEEDS_LEADER),
            self._hedge_s,
            now() + deadline_s,
        )
        return answer

    async def swap(self, key: str, value: bytes, expected: int, deadline_s: float) -> int | None:
        """The revision that wrote `value` if `key` was at `expected` (0: absent), else None.

        The member is found by a read just before, so that a silent one costs 20 ms.
        """
        deadline, name = now() + deadline_s, self._key(key)
        read = rpc.RangeRequest(key=name, keys_only=True)
        member, found = await self._answering(read, deadline)
        if (found.kvs[0].mod_revision if found.kvs else 0) != expected:
            return None
        untouched = rpc.Compare(
            key=name, target=rpc.Compare.MOD, result=rpc.Compare.EQUAL, mod_revision=expected
        )
        write = rpc.RequestOp(request_put=rpc.PutRequest(key=name, value=value))
        request = rpc.TxnRequest(compare=[untouched], success=[write])
        call = member.kv.Txn(request, timeout=left(deadline), metadata=NEEDS_LEADER)
        answer = await self._answer(member, call, f"swapping {key}")
        return int(answer.header.revision) if answer.succeeded else None

    async def put(self, key: str, value: bytes, deadline_s: float) -> int:
        """`key` holds `value`; the revision."""
        deadline = now() + deadline_s
        member = await self._trusted(deadline)
        return await self._put(member, key, value, 0, deadline)

    async def put_leased(self, key: str, value: bytes, ttl_s: float, deadline_s: float) -> None:
        """`key` holds `value` and goes away by itself about `ttl_s` after the last put.

        Each key has a lease of its own: one that is no longer put dies although others live.
        """
        deadline = now() + deadline_s
        member = await self._trusted(deadline)
        lease, renewed_at = self._leases.get((key, ttl_s), (0, 0.0))
        if lease:
            try:
                self._own.append(await self._put(member, key, value, lease, deadline))
            except Refused:  # the lease has ended
                del self._leases[(key, ttl_s)]
            else:
                if now() - renewed_at < ttl_s / RENEWALS:
                    return
                if await renewed(member, lease, min(deadline, now() + RENEW_S)):
                    self._leases[(key, ttl_s)] = (lease, now())
                    return
        request = rpc.LeaseGrantRequest(TTL=max(1, math.ceil(ttl_s)))
        call = member.lease.LeaseGrant(request, timeout=left(deadline), metadata=NEEDS_LEADER)
        granted = await self._answer(member, call, f"a lease of {ttl_s:g} s for {key}")
        self._own.append(await self._put(member, key, value, granted.ID, deadline))
        self._leases[(key, ttl_s)] = (granted.ID, now())

    async def delete(self, key: str, deadline_s: float) -> None:
        """`key` is absent."""
        deadline = now() + deadline_s
        member = await self._trusted(deadline)
        request = rpc.DeleteRangeRequest(key=self._key(key))
        call = member.kv.DeleteRange(request, timeout=left(deadline), metadata=NEEDS_LEADER)
        await self._answer(member, call, f"deleting {key}")

    async def watch(self, prefix: str) -> AsyncIterator[int]:
        """The revision of each change under `prefix`, and 0 after every reconnection.

        What this end has put itself under a lease is no news to it.

        No revision is resumed from, so there is none that could have been compacted. A watch on a
        frozen member is silent; it moves on when a read has found that member silent.
        """
        first, end = self._range(prefix)
        request = rpc.WatchRequest(
            create_request=rpc.WatchCreateRequest(key=first, range_end=end, progress_notify=True)
        )
        failures = 0
        while not self._closed:
            member = self._favourite
            call = member.watch.Watch(metadata=NEEDS_LEADER)
            try:
                await send(call, request, SENT_S)
                self._watches.add(call)
                while member is self._favourite:
                    response = await call.read()
                    if response is grpc.aio.EOF or response.canceled:
                        break
                    failures = 0
                    if response.created or self._news(response.events):
                        yield 0 if response.created else int(response.header.revision)
            except asyncio.CancelledError:
                if this_task_is_cancelled():
                    raise
            except (grpc.aio.AioRpcError, TimeoutError):
                if member is self._favourite:
                    self._advance()
            finally:
                self._watches.discard(call)
                call.cancel()
            failures += 1
            await asyncio.sleep(RECONNECT_S if failures > 1 and not self._closed else 0)

    async def status(self, deadline_s: float) -> StoreStatus:
        """What the nearest member that answers says of itself and its cluster."""
        deadline = now() + deadline_s
        member, answer = await self._race(
            "its status",
            lambda member, left_s: member.maintenance.Status(rpc.StatusRequest(), timeout=left_s),
            self._hedge_s,
            deadline,
        )
        member.id = answer.header.member_id
        if not {answer.leader or member.id, member.id} <= self._names.keys():
            await self._learn_names(member, deadline)
        return StoreStatus(
            member=self._names.get(member.id, member.address),
            leader=self._names.get(answer.leader, ""),
            version=answer.version,
            db_size_bytes=answer.dbSize,
            alarms=status_errors(answer),
        )

    async def move_leader(self, member: str, deadline_s: float) -> None:
        """The member called `member` leads. Asked of the present leader, as etcd demands."""
        deadline = now() + deadline_s
        answers = await self._ask_all(deadline)
        if not answers:
            raise Unreachable(f"etcd: no member answers; {member} cannot be made its leader")
        await self._learn_names(next(iter(answers)), deadline)
        wanted = next((number for number, name in self._names.items() if name == member), None)
        if wanted is None:
            known = ", ".join(sorted(self._names.values()))
            raise Refused(f"etcd: there is no member {member}; there are {known}")
        leader = next((each for each, said in answers.items() if said.leader == each.id), None)
        if leader is None:
            raise Unreachable("etcd: its leader, which would have to hand over, does not answer")
        if leader.id == wanted:
            return
        request = rpc.MoveLeaderRequest(targetID=wanted)
        call = leader.maintenance.MoveLeader(request, timeout=left(deadline))
        await self._answer(leader, call, f"making {member} its leader")

    async def aclose(self) -> None:
        """Connections are closed, watches end."""
        self._closed = True
        for call in list(self._watches):
            call.cancel()
        for member in self._members:
            await member.aclose()

    async def _race(
        self, what: str, ask: Ask, hedge_s: float, deadline: float
    ) -> tuple[Member, Message]:
        """The first answer, and who gave it. For calls that may be made twice."""
        for each in self._members:
            await each.renew()
        answers: asyncio.Queue[tuple[Member, Call]] = asyncio.Queue()
        waiting, eager = self._order()
        calls: list[Call] = []
        errors: list[PortError] = []
        try:
            async with asyncio.timeout_at(deadline):
                while waiting or len(errors) < len(calls):
                    if waiting:
                        calls.append(_started(ask, waiting.pop(0), deadline, answers))
                    patience = hedge_s if len(calls) >= eager else 0
                    came = await _within(patience if waiting else None, answers)
                    if came is None:
                        continue
                    try:
                        return came[0], await self._answer(*came, what)
                    except PortError as error:
                        errors.append(error)
        except TimeoutError:
            errors.append(TimedOut(f"etcd: {what}: no answer in time"))
        finally:
            for call in calls:
                call.cancel()
        raise told(errors)

    def _order(self) -> tuple[list[Member], int]:
        """Whom to ask, in which order, and how many of them at the same time."""
        others = [member for member in self._members if member is not self._favourite]
        others.sort(key=lambda member: -member.answered_at)
        nearest = self._members[0]
        if nearest not in others or now() < self._return_at:
            return [self._favourite, *others], 1
        self._return_at = now() + RETURN_AFTER_S
        others.remove(nearest)
        return [self._favourite, nearest, *others], 2

    async def _answering(self, read: Message, deadline: float) -> tuple[Member, Message]:
        """A member that answers now. That nothing was written is certain if none does."""
        try:
            return await self._race(
                "looking for a member that answers",
                lambda member, left_s: member.kv.Range(read, timeout=left_s, metadata=NEEDS_LEADER),
                min(SWAP_HEDGE_S, self._hedge_s),
                deadline,
            )
        except TimedOut as error:
            raise Unreachable(str(error)) from error

    async def _trusted(self, deadline: float) -> Member:
        """A member that answered lately, else one that answers now."""
        if self._favourite.answered_at > now() - TRUSTED_S:
            return self._favourite
        member, _ = await self._answering(rpc.RangeRequest(key=b"\0", keys_only=True), deadline)
        return member

    async def _answer(self, member: Member, call: Call, what: str) -> Message:
        """The answer to `call`. TimedOut when its effect is in doubt."""
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            member.answered_at = float("-inf")
            raise translated(error, member, what) from None
        except asyncio.CancelledError:
            if this_task_is_cancelled():
                raise
            raise TimedOut(f"etcd at {member.address}: {what}: the connection was closed") from None
        member.answered_at = now()
        member.id = answer.header.member_id
        if member is not self._favourite:
            self._prefer(member)
        return answer

    def _prefer(self, member: Member) -> None:
        """`member` is asked first from now on, and watches move there."""
        self._favourite = member
        self._return_at = now() + RETURN_AFTER_S
        for call in list(self._watches):
            call.cancel()

    def _advance(self) -> None:
        """The next member in turn is asked first, after the present one failed."""
        place = self._members.index(self._favourite)
        self._favourite = self._members[(place + 1) % len(self._members)]

    async def _put(
        self, member: Member, key: str, value: bytes, lease: int, deadline: float
    ) -> int:
        request = rpc.PutRequest(key=self._key(key), value=value, lease=lease)
        call = member.kv.Put(request, timeout=left(deadline), metadata=NEEDS_LEADER)
        answer = await self._answer(member, call, f"writing {key}")
        return int(answer.header.revision)

    def _news(self, events: Sequence[Message]) -> bool:
        return any(event.kv.mod_revision not in self._own for event in events)

    async def _ask_all(self, deadline: float) -> dict[Member, Message]:
        """The status of every member that answers soon."""
        left_s = min(STATUS_S, left(deadline))
        request = rpc.StatusRequest()
        calls = [(m, m.maintenance.Status(request, timeout=left_s)) for m in self._members]
        found = {}
        for member, call in calls:
            with suppress(PortError):
                found[member] = await self._answer(member, call, "its status")
        return found

    async def _learn_names(self, member: Member, deadline: float) -> None:
        call = member.cluster.MemberList(rpc.MemberListRequest(), timeout=left(deadline))
        answer = await self._answer(member, call, "the names of its members")
        self._names = {each.ID: each.name for each in answer.members}

    def _key(self, key: str) -> bytes:
        return (self._prefix + key).encode()

    def _range(self, prefix: str) -> tuple[bytes, bytes]:
        """First key of those under `prefix`, and the first one after them (0: there is none)."""
        first = self._key(prefix)
        stem = first.rstrip(b"\xff")
        end = stem[:-1] + bytes([stem[-1] + 1]) if stem else b"\0"
        return first or b"\0", end


def _started(
    ask: Ask, member: Member, deadline: float, answers: asyncio.Queue[tuple[Member, Call]]
) -> Call:
    call = ask(member, left(deadline))
    call.add_done_callback(lambda done: answers.put_nowait((member, done)))
    return call


async def _within(
    patience_s: float | None, answers: asyncio.Queue[tuple[Member, Call]]
) -> tuple[Member, Call] | None:
    """The next answer, or nothing after `patience_s`."""
    try:
        async with asyncio.timeout(patience_s):
            return await answers.get()
    except TimeoutError:
        return None
