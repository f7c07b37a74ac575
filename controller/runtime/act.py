"""One `match` from intent to port call, with a deadline, to an outcome. Nothing is decided here."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from controller.core.alone import FORCED
from controller.core.intents import (
    Admit,
    Announce,
    AskSwitchover,
    AssumeAddresses,
    CatchUp,
    CloseDatabase,
    CommitAlone,
    Direct,
    EndAlone,
    FenceOthers,
    Follow,
    ForwardStrays,
    HoldTraffic,
    Intent,
    Promise,
    Promote,
    RaiseEpoch,
    Rejoin,
    RenewLease,
    SealDatabase,
    SetGate,
    SetLearners,
    SettleRequest,
    StartDatabase,
)
from controller.core.model import (
    Closing,
    DatabaseName,
    DatabaseState,
    Epoch,
    EpochRecord,
    Instant,
    Outcome,
    ServiceName,
    SiteName,
)
from controller.core.raising import raised, rewritten
from controller.core.requests import Kind, NotAllowed, Request, plan_hash
from controller.core.wire import encode_epoch, epoch_key
from controller.ports import (
    Addresses,
    Clock,
    Database,
    Firewall,
    Flow,
    HostAgent,
    LoadBalancer,
    PortError,
    Store,
    Strays,
    TimedOut,
)
from controller.runtime.orders import Orders
from controller.runtime.promises import Promises
from controller.runtime.records import RECENT, Records
from controller.runtime.requests import RequestDesk
from controller.runtime.routes import Routes

LAST_LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds an intent may take."""

    store_s: float
    seal_s: float
    close_s: float
    catch_up_s: float
    promote_s: float
    step_s: float
    rejoin_s: float
    fence_s: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """How one database of another site is closed from here."""

    agent: HostAgent
    verb: str
    args: Mapping[str, str]
    site: SiteName


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How an intent ended, and what there is to say of it."""

    outcome: Outcome
    detail: str = ""


OK = Result(outcome=Outcome.OK)


@dataclass(slots=True, kw_only=True)
class Hands:
    """Everything this site can do for one service."""

    me: SiteName
    service: ServiceName
    backend: str
    service_addresses: frozenset[str]
    databases: Mapping[DatabaseName, Database]
    flows: Mapping[SiteName, frozenset[Flow]]  # replication from here to each other site
    clock: Clock
    store: Store
    records: Records
    promises: Promises
    desk: RequestDesk
    orders: Orders
    balancer: LoadBalancer
    addresses: Addresses
    firewall: Firewall
    routes: Routes
    deadlines: Deadlines
    flap_window_s: float
    lease_s: float
    strays: Strays | None = None
    fences: Mapping[str, Fence] = field(default_factory=dict)  # by what they close, for humans
    fenced: Epoch = Epoch(0)
    closings: dict[SiteName, Closing] = field(default_factory=dict)  # of sites kept out, by site
    copied: int = 0  # the last request for which a copy was made anew
    remembered: Epoch = Epoch(0)  # the last change that is marked for the flap window
    raised: Epoch = Epoch(0)  # the last epoch this daemon raised here
    tried: Epoch = Epoch(0)  # the last one it tried to raise, whatever became of the answer
    lease_until: Instant = Instant(float("-inf"))
    last_error: dict[str, str] = field(default_factory=dict)
    sources: list[SiteName] = field(default_factory=list)  # something is fetched from them now

    async def carry_out(self, intent: Intent) -> Result:
        """The intent's outcome. Never raises PortError; a timeout is UNKNOWN."""
        try:
            return await self._do(intent)
        except TimedOut as error:
            return Result(outcome=Outcome.UNKNOWN, detail=str(error))
        except (PortError, NotAllowed) as error:
            return Result(outcome=Outcome.FAILED, detail=str(error))

    async def _do(self, intent: Intent) -> Result:  # noqa: C901, PLR0912 - one case an intent
        limits = self.deadlines
        match intent:
            case RaiseEpoch():
                return await self._raise_epoch(intent)
            case RenewLease() | SetLearners():
                return await self._rewrite(intent)
            case Promise(epoch=epoch):
                await self.promises.raise_to(self.service, epoch)
            case Direct(site=site):
                await self.balancer.direct(self.backend, site, limits.step_s)
            case HoldTraffic():
                await self.balancer.hold(self.backend, limits.step_s)
            case SettleRequest():
                await self.desk.settle(self.service, intent)
            case AskSwitchover():
                return await self._ask_switchover(intent)
            case EndAlone():
                await self.orders.end(self.service)
            case CommitAlone(database=name, alone=alone):
                await self.databases[name].commit_alone(alone=alone, deadline_s=limits.step_s)
            case Announce(stance=stance, epoch=epoch):
                await self.routes.announce(self.service, stance, epoch)
            case FenceOthers(epoch=epoch, orders=orders):
                return await self._fence(epoch, orders)
            case ForwardStrays(site=site):
                assert self.strays is not None
                await self.strays.send(self.service_addresses, site)
            case AssumeAddresses():
                await self.addresses.ensure(self.service_addresses)
            case StartDatabase(database=name):
                await self.databases[name].start(limits.close_s)
            case CloseDatabase(database=name):
                await self.databases[name].close(limits.close_s)
            case SealDatabase(database=name, epoch=epoch):
                await self._fence_replication()
                await self.databases[name].seal(epoch, limits.seal_s)
            case CatchUp(database=name, source=source, target=target):
                async with self._reaching(source):
                    await self.databases[name].catch_up(source, target, limits.catch_up_s)
            case Promote(database=name, epoch=epoch, voters=voters, waits=waits):
                await self.databases[name].promote(
                    epoch, limits.promote_s, voters=voters, waits=waits
                )
            case Admit(database=name, voters=voters):
                await self.databases[name].admit(voters, limits.step_s)
            case SetGate(database=name, opened=opened):
                await self.databases[name].set_gate(opened=opened, deadline_s=limits.step_s)
            case Rejoin(database=name, upstream=upstream, epoch=epoch, fresh=fresh):
                await self._fence_replication()
                detail = await self.databases[name].rejoin(
                    upstream, epoch, limits.rejoin_s, fresh=bool(fresh)
                )
                self.copied = fresh or self.copied
                return Result(outcome=Outcome.OK, detail=detail)
            case Follow(database=name, upstream=upstream, epoch=epoch, quarantine=quarantine):
                await self._fence_replication()
                await self.databases[name].follow(
                    upstream, epoch, quarantine=quarantine, deadline_s=limits.step_s
                )
            case _:
                assert_never(intent)
        return OK

    async def _raise_epoch(self, intent: RaiseEpoch) -> Result:
        record = raised(intent, self.me, self.clock.stamp())
        if record.holder != self.me:
            self.lease_until = Instant(float("-inf"))  # also when the answer is lost
        elif why := await self._promoted_meanwhile(record):
            return Result(outcome=Outcome.FAILED, detail=why)
        else:
            self.tried = record.epoch
        sent = self.clock.monotonic()
        revision = await self._swap(record, intent.expected_revision)
        if revision is None:
            return Result(outcome=Outcome.FAILED, detail="another site changed the epoch first")
        if record.holder != self.me:
            self.records.took(self.service, replace(record, revision=revision))
            return Result(outcome=Outcome.OK, detail=f"epoch {record.epoch} to {record.holder}")
        self.raised = record.epoch
        self.lease_until = Instant(sent + self.lease_s)
        await self.promises.raise_to(self.service, record.epoch)  # so the first turn has both
        self.records.took(self.service, replace(record, revision=revision))
        return Result(outcome=Outcome.OK, detail=f"epoch {record.epoch}")

    async def _promoted_meanwhile(self, record: EpochRecord) -> str:
        """Why no epoch of this number may be this site's: a log here has it already, of somebody's
        own making since the last look, and would pass for one that was proved. A database that
        does not answer at once says nothing. One that serves alone has its own, on orders.
        """
        allowed = record.epoch if record.kind == FORCED else record.epoch - 1
        seen = await asyncio.gather(
            *(database.observe(LAST_LOOK_S) for database in self.databases.values()),
            return_exceptions=True,
        )
        for state in seen:
            if isinstance(state, DatabaseState) and state.epoch > allowed:
                return f"{state.name} here has records of epoch {state.epoch} already"
        return ""

    async def _ask_switchover(self, intent: AskSwitchover) -> Result:
        """In the name of who drains this site; one who approved that has approved this."""
        record = self.records.epochs.get(self.service)
        if record is None:
            return Result(outcome=Outcome.FAILED, detail="the epoch record is not known")
        asked = Request(
            number=1,
            kind=Kind.SWITCHOVER,
            service=self.service,
            target=intent.target,
            reason=intent.reason,
            asked_by=intent.asked_by,
            asked_at=self.me,
            at=self.clock.stamp(),
            epoch=record.epoch,
            holder=record.holder,
            revision=record.revision,
        )
        opened = await self.desk.open(replace(asked, plan=plan_hash(asked)))
        return Result(outcome=Outcome.OK, detail=f"request {opened.number}")

    async def remember_change(self) -> None:
        """A key that lives as long as the flap window: no clock is compared across hosts.

        Only for a change of this daemon's own: a restart does not open the window anew.
        """
        record = self.records.epochs.get(self.service)
        if record is None or record.epoch != self.tried or record.holder != self.me:
            return
        if record.epoch == self.remembered:
            return
        if record.kind not in ("handover", "failover") or self.flap_window_s <= 0:
            return
        if record.request:
            return  # a person moved it: the next move may be automatic
        kind = record.kind
        key = f"{self.records.prefix}{RECENT}{self.service}"
        try:
            await self.store.put_leased(
                key, kind.encode(), self.flap_window_s, self.deadlines.store_s
            )
        except PortError as error:
            self.last_error["flap window"] = str(error)
        else:
            self.remembered = record.epoch

    async def _rewrite(self, intent: RenewLease | SetLearners) -> Result:
        """The record of the same epoch, changed; which renews the lease as well."""
        record = self.records.epochs.get(self.service)
        if record is None or record.revision != intent.expected_revision:
            return Result(outcome=Outcome.FAILED, detail="the record has changed meanwhile")
        sent = self.clock.monotonic()
        changed = rewritten(record, intent)
        revision = await self._swap(changed, intent.expected_revision)
        if revision is None:
            return Result(outcome=Outcome.FAILED, detail="another site changed the epoch first")
        self.lease_until = Instant(sent + self.lease_s)
        self.records.took(self.service, replace(changed, revision=revision))
        return OK

    async def _swap(self, record: EpochRecord, expected: int) -> int | None:
        key = f"{self.records.prefix}{epoch_key(self.service)}"
        return await self.store.swap(key, encode_epoch(record), expected, self.deadlines.store_s)

    async def _fence(self, epoch: Epoch, orders: tuple[tuple[SiteName, int], ...]) -> Result:
        """The databases of every other site, or of those that an operator keeps out, were asked to
        close in the name of `epoch`. Who was not reached is said. After an order it is kept, to be
        told, and nothing is fetched from there.
        """
        if not orders:
            self.fenced = epoch
            sites = frozenset(fence.site for fence in self.fences.values())
            failures = await self._closed(sites, epoch)
            return Result(outcome=Outcome.OK, detail="; ".join(why for _, why in failures))
        failures = await self._closed(frozenset(site for site, _ in orders), epoch)
        for site, number in orders:
            self.closings[site] = Closing(
                site=site,
                order=number,
                at=self.clock.stamp(),
                failed=tuple(why for where, why in failures if where == site),
            )
        await self._fence_replication()
        return Result(outcome=Outcome.OK, detail="; ".join(why for _, why in failures))

    async def _closed(self, sites: frozenset[SiteName], epoch: Epoch) -> list[tuple[SiteName, str]]:
        """What of `sites` could not be closed from here in the name of `epoch`, and why."""
        failures: list[tuple[SiteName, str]] = []

        async def close(what: str, fence: Fence) -> None:
            try:
                args = {**fence.args, "epoch": str(epoch)}
                await fence.agent.call(fence.verb, args, self.deadlines.fence_s)
            except PortError as error:
                failures.append((fence.site, f"{what}: {error}"))

        async with asyncio.TaskGroup() as tasks:
            for what, fence in self.fences.items():
                if fence.site in sites:
                    tasks.create_task(close(what, fence))
        return failures

    @asynccontextmanager
    async def _reaching(self, source: SiteName) -> AsyncIterator[None]:
        """Inside, replication from here reaches `source`, whose copies are sealed: they give."""
        self.sources.append(source)
        try:
            await self._fence_replication()
            yield
        except BaseException:
            with suppress(PortError):  # what went wrong first is what is told
                await self._out_of_reach(source)
            raise
        await self._out_of_reach(source)

    async def _out_of_reach(self, source: SiteName) -> None:
        self.sources.remove(source)
        await self._fence_replication()

    async def _fence_replication(self) -> None:
        """No replication from here reaches a data site that does not hold the epoch, unless
        something is fetched from there.
        """
        record = self.records.epochs.get(self.service)
        if record is None:
            return
        blocked: frozenset[Flow] = frozenset()
        for site, flows in self.flows.items():
            if site != record.holder and site not in self.sources:
                blocked |= flows
        await self.firewall.block(blocked)
