"""The witness's loop: keepers sealed and followed, both sites looked at, a report told."""

import asyncio
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from controller.core.model import (
    DatabaseName,
    Epoch,
    Instant,
    Role,
    ServiceName,
    ServiceReport,
    SiteName,
    VoterState,
)
from controller.core.position import LogFormat, Position, int_to_lsn
from controller.ports import Clock, Firewall, Flow, Keeper, PortError
from controller.runtime.hearing import Hearing
from controller.runtime.promises import Promises
from controller.runtime.publish import Publisher
from controller.runtime.records import Records
from controller.runtime.restraint import Restraint
from witness.decide import (
    FollowHolder,
    KeeperDecision,
    PromiseEpoch,
    SealKeeper,
    decide_keeper,
    prune_below,
    rests_on,
)
from witness.vantage import Vantage

log = structlog.get_logger()

PRUNE_EVERY_S = 60.0
KEEP_BYTES = 1024 * 1024 * 1024  # of the log that every site has applied already
LONGEST_REST_S = 1.0  # after attempts to follow a holder that refuses, or does not answer
FOLLOW = "follow"
RETRY_S = 0.05


@dataclass(slots=True, kw_only=True)
class KeeperLoop:
    """One keeper of one service."""

    me: SiteName
    service: ServiceName
    database: DatabaseName
    port: Keeper
    fence: Mapping[SiteName, frozenset[Flow]]  # replication from here to each data site
    firewall: Firewall
    records: Records
    promises: Promises
    clock: Clock
    rest_s: float
    observe_s: float
    seal_s: float
    changed: asyncio.Event
    data_sites: tuple[SiteName, ...]
    prune: Callable[[Position], list[str]] | None = None
    all_hold: Callable[[int], None] | None = None
    pruned_at: Instant = Instant(float("-inf"))
    state: VoterState | None = None
    decision: KeeperDecision | None = None
    error: str = ""
    restraint: Restraint = field(default_factory=lambda: Restraint(LONGEST_REST_S))
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    _new_epoch: bool = False  # it was just promised
    _blind: bool = False  # the last look failed
    _attempt: tuple[Epoch, asyncio.Timeout] | None = None  # to follow the holder of that epoch
    _told: Hashable = None

    async def run(self) -> None:
        """Turns for ever."""
        while True:
            self.wake.clear()
            acted = await self._turn()
            if acted:
                continue
            await self._prune()
            try:
                async with asyncio.timeout(self.rest_s):
                    await self.wake.wait()
            except TimeoutError:
                pass

    async def _turn(self) -> bool:
        """One look, one decision, at most one intent; whether something was done."""
        promised = self.promises.of(self.service)
        if self.all_hold is not None:
            self.all_hold(self._held_by_all(keep_bytes=0))
        state = await self._look(promised)
        if state != self.state:
            self.state = state
            self.changed.set()
        report = self._holder_report()
        record = self.records.epochs.get(self.service)
        learns = record is not None and self.me in record.learners
        decision = decide_keeper(record, promised, state, report, learns=learns)
        if self.decision is None or self.decision.doing is not decision.doing:
            log.info(
                "keeper",
                service=self.service,
                database=self.database,
                doing=decision.doing.value,
                promised=promised,
                position=str(state.position),
            )
        self.decision = decision
        if decision.intent is None or self._rests(decision):
            return False
        try:
            await self._act(decision)
        except PortError as error:
            if isinstance(decision.intent, FollowHolder):
                self.restraint.failed(FOLLOW, str(error), self.clock.monotonic())
            if str(error) != self.error:
                log.warning("keeper", database=self.database, error=str(error))
            self.error = str(error)
            await asyncio.sleep(RETRY_S)
            return False
        self.error = ""
        return True

    async def _look(self, promised: Epoch) -> VoterState:
        """The keeper as it is. While a new epoch is to be promised, and it sealed for that, as it
        was a moment ago, and not sealed: it has to be, whatever a look would say.
        """
        record = self.records.epochs.get(self.service)
        new = record is not None and record.epoch > promised
        if self.state is not None and (new or self._new_epoch):
            self._new_epoch, self._blind = new, False
            return replace(_under(self.state, promised), sealed=False)
        try:
            seen, self._blind = await self.port.observe(self.observe_s), False
        except PortError as error:
            seen, self._blind = _unseen(self.database, error), True
        return _under(seen, promised)

    def _rests(self, decision: KeeperDecision) -> bool:
        """A holder that refused is asked again ever more seldom: each attempt unseals and seals
        the keeper, which every site is told. One that was not seen, because its server is late or
        down, is left as it is but for a promise: it may well follow, and somebody's commit wait.
        """
        if self._blind and not isinstance(decision.intent, PromiseEpoch):
            return True
        following = isinstance(decision.intent, FollowHolder)
        return following and bool(self.restraint.resting(self.clock.monotonic()))

    async def _act(self, decision: KeeperDecision) -> None:
        match decision.intent:
            case PromiseEpoch(epoch=epoch):
                self.restraint.new_epoch()
                await self.promises.raise_to(self.service, epoch)
            case SealKeeper(epoch=epoch):
                await self._seal(epoch)
            case FollowHolder(upstream=upstream, epoch=epoch):
                await self._fence()
                await self._follow(upstream, epoch)
            case None:
                pass

    async def _seal(self, epoch: Epoch) -> None:
        """Sealed, and fenced beside it. A fence only makes it faster: a seal counts without one."""
        seal, fence = self.port.seal(epoch, self.seal_s), self._fence()
        for failure in await asyncio.gather(seal, fence, return_exceptions=True):
            if isinstance(failure, BaseException):
                raise failure

    async def _follow(self, upstream: SiteName, epoch: Epoch) -> None:
        """It receives, or the attempt failed, or was given up for a newer epoch."""
        try:
            async with asyncio.timeout(None) as limit:
                self._attempt = (epoch, limit)
                await self.port.follow(upstream, epoch, self.seal_s)
        except TimeoutError:
            log.info("keeper", database=self.database, given_up=f"following {upstream} of {epoch}")
        finally:
            self._attempt = None

    def news(self) -> None:
        """The store says something new. An attempt to follow the holder of an older epoch is given
        up: the seal that a takeover waits for must not wait for a holder that does not answer.
        """
        record = self.records.epochs.get(self.service)
        told = rests_on(record, self._holder_report(), self.database)
        if told != self._told:
            self._told = told
            self.wake.set()
        if self._attempt is None or record is None:
            return
        epoch, limit = self._attempt
        if record.epoch > epoch:
            limit.reschedule(asyncio.get_running_loop().time())

    async def _prune(self) -> None:
        """Now and then, what no site can need any more is gone."""
        now = self.clock.monotonic()
        if self.prune is None or self.state is None or now - self.pruned_at < PRUNE_EVERY_S:
            return
        self.pruned_at = now
        record = self.records.epochs.get(self.service)
        below = self._held_by_all(keep_bytes=KEEP_BYTES)
        if record is None or not below or not self.state.streaming:
            return
        end = Position(epoch=record.epoch, format=LogFormat.LSN, text=int_to_lsn(below))
        gone = await asyncio.to_thread(self.prune, end)
        if gone:
            log.info("pruned", database=self.database, segments=len(gone), below=end.text)

    def _held_by_all(self, *, keep_bytes: int) -> int:
        """What every data site says it holds of this log, less `keep_bytes`; 0 for not known."""
        reports = {
            site: found
            for site, report in self.records.reports.items()
            for found in report.services
            if found.service == self.service
        }
        record = self.records.epochs.get(self.service)
        return prune_below(record, self.database, reports, self.data_sites, keep_bytes)

    async def _fence(self) -> None:
        """No replication from here reaches a data site that does not hold the epoch."""
        record = self.records.epochs.get(self.service)
        if record is None:
            return
        blocked: frozenset[Flow] = frozenset()
        for site, flows in self.fence.items():
            if site != record.holder:
                blocked |= flows
        await self.firewall.block(blocked)

    def _holder_report(self) -> ServiceReport | None:
        record = self.records.epochs.get(self.service)
        if record is None:
            return None
        report = self.records.reports.get(record.holder)
        if report is None:
            return None
        return next((found for found in report.services if found.service == self.service), None)


def _unseen(database: DatabaseName, error: PortError) -> VoterState:
    """What is told of a keeper when a look at it failed."""
    return VoterState(
        database=database,
        promised=Epoch(0),
        sealed=False,
        position=None,
        whole=False,
        problems=(str(error),),
    )


def _under(seen: VoterState, promised: int) -> VoterState:
    """What the keeper shows, with the promise that only this daemon knows."""
    return VoterState(
        database=seen.database,
        promised=type(seen.promised)(promised),
        sealed=seen.sealed,
        position=seen.position,
        following=seen.following,
        following_epoch=seen.following_epoch,
        streaming=seen.streaming,
        whole=seen.whole,
        problems=seen.problems,
    )


@dataclass(slots=True, kw_only=True)
class Teller:
    """Puts the keepers' states and what the vantage sees into the report."""

    services: Mapping[ServiceName, str]  # and the terms of each
    data_sites: tuple[SiteName, ...]
    keepers: tuple[KeeperLoop, ...]
    vantages: Mapping[ServiceName, Vantage]
    hearing: Hearing
    promises: Promises
    records: Records
    publisher: Publisher
    changed: asyncio.Event
    clock: Clock
    every_s: float
    told_at: Instant = Instant(float("-inf"))

    async def run(self) -> None:
        """Tells for ever: at once when a keeper changes, and now and then."""
        while True:
            for service in self.services:
                self.publisher.update(self.report(service))
            self.told_at = self.clock.monotonic()
            try:
                async with asyncio.timeout(self.every_s):
                    await self.changed.wait()
            except TimeoutError:
                pass
            self.changed.clear()

    def report(self, service: ServiceName) -> ServiceReport:
        """What the witness says of one service."""
        keepers = [keeper for keeper in self.keepers if keeper.service == service]
        doing = sorted({k.decision.doing.value for k in keepers if k.decision is not None})
        warnings = [f"{k.database} keeper: {k.error}" for k in keepers if k.error]
        vantage = self.vantages.get(service)
        return ServiceReport(
            service=service,
            role=Role.WITNESS,
            epoch=self.promises.of(service),
            stance=None,
            rule=0,
            reason="; ".join(doing) or "looks on",
            healthy=not warnings and all(k.state is not None and k.state.whole for k in keepers),
            eligible=False,
            not_eligible_because=("a witness site holds no database to promote",),
            voters=tuple(keeper.state for keeper in keepers if keeper.state is not None),
            seen={site: self.hearing.seen(site, service) for site in self.data_sites},
            terms=self.services[service],
            lands_at="" if vantage is None else vantage.lands_at(),
            warnings=tuple(warnings),
        )
