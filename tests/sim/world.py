"""A small seeded world around the real deciding code: two data sites, a witness, one database.

Real: `decide`, the ladders, the quorum arithmetic, `decide_keeper`. Modelled: logs as lists of
(epoch, write), links, the store as one linearizable register, crashes. True time and true state are
only looked at by the checks, never by a site.
"""

import random
from dataclasses import dataclass, field, replace

from bgp.policy import Stance
from controller.core import intents as ask
from controller.core import troubles
from controller.core.decide import Decision, decide
from controller.core.model import (
    NO_EPOCH,
    DatabaseKind,
    DatabaseName,
    DatabaseReport,
    DatabaseState,
    Durability,
    Epoch,
    EpochRecord,
    Follower,
    Instant,
    Liveness,
    Role,
    Seen,
    ServiceName,
    ServiceReport,
    SiteName,
    VoterState,
)
from controller.core.position import LogFormat, Position, int_to_lsn
from controller.core.quorum import own_voter
from controller.core.rules import Keep
from controller.core.view import OtherSite, OwnSide, ServiceSpec, Timings, View
from witness.decide import FollowHolder, PromiseEpoch, SealKeeper, decide_keeper

A, B, W = SiteName("dc1"), SiteName("dc2"), SiteName("witness")
SITES = (A, B, W)
DB = DatabaseName("ledger")
TICK_S = 0.05
Record = tuple[int, int]  # epoch, write (0: the epoch record itself)


def position(log: list[Record]) -> Position:
    """The end of a log."""
    epoch = log[-1][0] if log else 1
    return Position(epoch=epoch, format=LogFormat.LSN, text=int_to_lsn(len(log)))


def is_prefix(short: list[Record], long: list[Record]) -> bool:
    """Whether `long` goes on where `short` ends."""
    return long[: len(short)] == short


@dataclass
class Server:
    """A database in a data site."""

    log: list[Record] = field(default_factory=list)
    up: bool = True
    writable: bool = False
    opened_at: int = 0  # the epoch it is writable under
    upstream: SiteName | None = None
    quarantined: bool = False
    gate_open: bool = False
    admitted: frozenset[SiteName] = frozenset()
    waiting: set[int] = field(default_factory=set)


@dataclass
class KeeperModel:
    """The log keeper."""

    log: list[Record] = field(default_factory=list)
    following: SiteName | None = None
    following_epoch: int = 0


@dataclass
class Site:
    """The daemon of one site, and what it remembers."""

    name: SiteName
    promised: int = 0  # durable
    alive: bool = True
    raised: int = 0
    fenced: int = 0
    decision: Decision | None = None
    stance: Stance | None = Stance.ISOLATED
    stance_epoch: int = 0
    directed: SiteName | None = None
    record: EpochRecord | None = None
    record_read: float = -1e9
    record_changed: float = 0.0
    boot: float = 0.0
    heard: dict[SiteName, float] = field(default_factory=dict)
    committed: tuple[int, float] | None = None
    troubles: dict[str, float] = field(default_factory=dict)


class World:
    """Everything, and one die."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.now = 0.0
        self.calm = False  # no crashes between intents
        self.cut: set[frozenset[SiteName]] = set()
        self.servers = {A: Server(), B: Server()}
        self.keeper = KeeperModel()
        self.sites = {name: Site(name) for name in SITES}
        self.record: EpochRecord | None = None
        self.revision = 0
        self.reports: dict[SiteName, tuple[float, ServiceReport]] = {}
        self.acked: list[Record] = []
        self.writes = 0
        self.trace: list[str] = []
        self.rules: set[int] = set()
        self.spec = ServiceSpec(
            name=ServiceName("wallet"),
            durability=Durability.QUORUM,
            data_sites=(A, B),
            witnesses=(W,),
            databases=(DB,),
            initial_holder=A,
            timings=Timings(flap_window_s=0.0),
        )

    # --- the world itself ------------------------------------------------------------------

    def linked(self, a: SiteName, b: SiteName) -> bool:
        return a == b or frozenset({a, b}) not in self.cut

    def store_ok(self, site: SiteName) -> bool:
        return sum(self.linked(site, other) for other in SITES) >= 2

    def say(self, text: str) -> None:
        self.trace.append(f"{self.now:8.2f} {text}")

    def tick(self) -> None:
        """A twentieth of a second passes."""
        self.now += TICK_S
        for a in SITES:
            for b in SITES:
                if a != b and self.linked(a, b) and self.sites[a].alive:
                    self.sites[b].heard[a] = self.now
        order = list(SITES)
        self.dice.shuffle(order)
        for name in order:
            if self.sites[name].alive and self.dice.random() < 0.9:
                if name == W:
                    self.witness_turn()
                else:
                    self.site_turn(self.sites[name])
            for _ in range(self.dice.randrange(4)):
                self.replicate(self.dice.choice(SITES))
        for server in self.servers.values():
            if server.up and server.writable and server.gate_open and self.dice.random() < 0.5:
                self.writes += 1
                server.log.append((server.opened_at, self.writes))
                server.waiting.add(self.writes)

    def replicate(self, voter: SiteName) -> None:
        """One record moves to `voter`; what it releases is acknowledged."""
        if voter == W:
            source, log, counted = self.keeper.following, self.keeper.log, True
        else:
            copy = self.servers[voter]
            if not copy.up or copy.writable:
                return
            source, log, counted = copy.upstream, copy.log, not copy.quarantined
        if source is None or not self.linked(voter, source):
            return
        primary = self.servers[source]
        if not primary.up or (counted and voter not in primary.admitted):
            return
        if voter == W and not is_prefix(log, primary.log) and primary.writable:
            while not is_prefix(log, primary.log):
                log.pop()
        if not is_prefix(log, primary.log):
            return
        if len(log) < len(primary.log):
            log.append(primary.log[len(log)])
        if primary.writable and counted:
            held = {write for _, write in log}
            for write in sorted(primary.waiting & held):
                primary.waiting.discard(write)
                self.acknowledge((primary.opened_at, write))
            self.sites[source].committed = (primary.opened_at, self.now)

    def acknowledge(self, record: Record) -> None:
        if self.acked and record[0] < self.acked[-1][0]:
            raise AssertionError(f"acknowledged {record} after {self.acked[-1]}: two primaries")
        self.acked.append(record)

    # --- a data site -----------------------------------------------------------------------

    def state(self, name: SiteName) -> DatabaseState:
        server = self.servers[name]
        if not server.up:
            return DatabaseState(name=DB, kind=DatabaseKind.POSTGRES, liveness=Liveness.DOWN)
        streaming = False
        if server.upstream is not None and self.linked(name, server.upstream):
            primary = self.servers[server.upstream]
            streaming = (
                primary.up
                and is_prefix(server.log, primary.log)
                and (server.quarantined or name in primary.admitted)
            )
        followers: list[Follower] = []
        if self.keeper.following == name and self.linked(W, name) and W in server.admitted:
            followers.append(_follower(W, quarantined=False))
        for other, copy in self.servers.items():
            admitted = copy.quarantined or other in server.admitted
            follows = other != name and copy.up and copy.upstream == name and admitted
            if follows and self.linked(other, name) and is_prefix(copy.log, server.log):
                followers.append(_follower(other, quarantined=copy.quarantined))
        return DatabaseState(
            name=DB,
            kind=DatabaseKind.POSTGRES,
            liveness=Liveness.RUNNING,
            writable=server.writable,
            epoch=Epoch(server.opened_at if server.writable else position(server.log).epoch),
            position=position(server.log),
            upstream=server.upstream,
            quarantined=server.quarantined,
            receiving=server.upstream is not None,
            streaming=streaming,
            gate_open=server.gate_open,
            admitted=server.admitted,
            followers=tuple(followers),
        )

    def view(self, site: Site) -> View:
        if self.store_ok(site.name):
            if site.record != self.record:
                site.record_changed = self.now
            site.record, site.record_read = self.record, self.now
        others = {}
        for other in SITES:
            if other == site.name:
                continue
            found = self.reports.get(other)
            if not self.store_ok(site.name):
                found = None
            others[other] = OtherSite(
                report=None if found is None else found[1],
                report_age_s=1e9 if found is None else self.now - found[0],
                seen=self.seen(site.name, other),
                seen_by={W: self.told(site, other)} if other != W else {},
            )
        state = self.state(site.name)
        commits = {}
        if site.committed is not None and site.committed[0] == site.promised:
            commits[DB] = self.now - site.committed[1]
        view = View(
            now=Instant(self.now),
            me=site.name,
            spec=self.spec,
            own=OwnSide(
                databases=(state,),
                promised=Epoch(site.promised),
                fenced=Epoch(site.fenced),
                commit_age_s=commits,
                apps_up=2,
                apps_total=2,
                directed_to=frozenset() if site.directed is None else frozenset({site.directed}),
                stance=site.stance,
                stance_epoch=Epoch(site.stance_epoch),
                sessions_up=1,
                sessions_total=1,
                canary_age_s=0.0 if site.directed == site.name else 1e9,
            ),
            record=site.record,
            record_seen_s=self.now - site.record_read,
            record_unchanged_s=self.now - site.record_changed,
            store_ok=self.store_ok(site.name),
            others=others,
            raised_here=site.record is not None and site.record.epoch == site.raised,
        )
        kinds = {trouble.kind for trouble in troubles.troubles(view)}
        site.troubles = {kind: site.troubles.get(kind, self.now) for kind in kinds}
        lasted = {kind: self.now - since for kind, since in site.troubles.items()}
        return replace(view, own=replace(view.own, trouble_s=lasted))

    def seen(self, me: SiteName, other: SiteName) -> Seen:
        boot = self.sites[me].boot + 1.0
        heard = max(self.sites[me].heard.get(other, 0.0), boot)
        control = max(0.0, self.now - heard)
        data = control
        if other != W and self.linked(me, other) and self.servers[other].up:
            data = 0.0
        front = 0.0 if self.linked(me, other) else control
        return Seen(control_s=control, front_s=front, data_s=data)

    def told(self, site: Site, other: SiteName) -> Seen:
        age = max(0.0, self.now - max(site.heard.get(W, 0.0), site.boot + 1.0))
        seen = self.seen(W, other)
        return Seen(
            control_s=seen.control_s + age, front_s=seen.front_s + age, data_s=seen.data_s + age
        )

    def site_turn(self, site: Site) -> None:
        view = self.view(site)
        before = site.decision
        decision = decide(view)
        site.decision = decision
        self.rules.add(decision.rule)
        if before is None or before.rule != decision.rule:
            self.say(f"{site.name} rule {decision.rule} {decision.role.value}")
        for intent in decision.intents:
            if not self.calm and self.dice.random() < 0.02:
                self.crash(site)  # between any two intents
                return
            self.carry_out(site, intent)
        if decision.traffic is not None and not isinstance(decision.traffic, Keep):
            site.directed = decision.traffic
        if self.store_ok(site.name):
            self.publish(site, decision)

    def publish(self, site: Site, decision: Decision) -> None:
        view = self.view(site)
        state = view.own.databases[0]
        self.reports[site.name] = (
            self.now,
            ServiceReport(
                service=self.spec.name,
                role=decision.role,
                epoch=Epoch(site.promised),
                stance=site.stance,
                rule=decision.rule,
                reason=decision.reason.value,
                healthy=True,
                eligible=decision.eligible,
                yielding=decision.yielding,
                databases=(DatabaseReport(state=state, voter=own_voter(view, state)),),
            ),
        )

    def carry_out(self, site: Site, intent: ask.Intent) -> None:
        self.say(f"{site.name} {intent}")
        server = self.servers[site.name]
        match intent:
            case ask.RaiseEpoch():
                if self.revision == intent.expected_revision and self.store_ok(site.name):
                    if self.record is not None:
                        assert intent.epoch > self.record.epoch
                    self.revision += 1
                    self.record = EpochRecord(
                        epoch=intent.epoch,
                        holder=site.name,
                        kind=intent.kind,
                        reason=intent.reason,
                        asked_by="",
                        at="",
                        previous=intent.previous,
                        revision=self.revision,
                    )
                    site.raised = intent.epoch
            case ask.Promise(epoch=epoch):
                assert epoch >= site.promised
                site.promised = epoch
            case ask.StartDatabase():
                server.up = True
            case ask.CloseDatabase():
                self.close(server)
            case ask.SealDatabase():
                assert not server.writable
                server.upstream = None
            case ask.CatchUp(source=source):
                log = self.keeper.log if source == W else self.servers[source].log
                if self.linked(site.name, source) and is_prefix(server.log, log):
                    server.log = list(log)
            case ask.Promote(epoch=epoch, voters=voters):
                assert server.up
                assert not server.writable
                server.log.append((epoch, 0))
                server.writable, server.opened_at, server.upstream = True, epoch, None
                server.admitted = voters
            case ask.Admit(voters=voters):
                server.admitted = voters
            case ask.SetGate(opened=opened):
                server.gate_open = opened
            case ask.Rejoin(upstream=upstream):
                if self.linked(site.name, upstream) and self.servers[upstream].up:
                    while not is_prefix(server.log, self.servers[upstream].log):
                        server.log.pop()
                    server.upstream, server.quarantined = upstream, True
            case ask.Follow(upstream=upstream, quarantine=quarantine):
                server.upstream, server.quarantined = upstream, quarantine
            case ask.Direct(site=to):
                site.directed = to
            case ask.Announce(stance=stance, epoch=epoch):
                site.stance, site.stance_epoch = stance, epoch
            case ask.FenceOthers(epoch=epoch):
                site.fenced = epoch
            case ask.AssumeAddresses() | ask.RenewLease():
                pass

    def close(self, server: Server) -> None:
        server.up, server.writable, server.gate_open = True, False, False
        server.waiting.clear()
        server.upstream, server.quarantined, server.admitted = None, False, frozenset()

    # --- the witness -----------------------------------------------------------------------

    def witness_turn(self) -> None:
        site = self.sites[W]
        if not self.store_ok(W):
            return
        keeper = self.keeper
        voter = VoterState(
            database=DB,
            promised=Epoch(site.promised),
            sealed=keeper.following is None,
            position=position(keeper.log),
            following=keeper.following,
            following_epoch=Epoch(keeper.following_epoch),
            streaming=keeper.following is not None and self.linked(W, keeper.following),
        )
        holder = None if self.record is None else self.reports.get(self.record.holder)
        report = None if holder is None else holder[1]
        decision = decide_keeper(self.record, Epoch(site.promised), voter, report)
        match decision.intent:
            case PromiseEpoch(epoch=epoch):
                site.promised = epoch
            case SealKeeper():
                keeper.following = None
            case FollowHolder(upstream=upstream, epoch=epoch):
                keeper.following, keeper.following_epoch = upstream, epoch
            case None:
                pass
        self.reports[W] = (
            self.now,
            ServiceReport(
                service=self.spec.name,
                role=Role.WITNESS,
                epoch=Epoch(site.promised),
                stance=None,
                rule=0,
                reason="",
                healthy=True,
                eligible=False,
                voters=(voter_now(voter, keeper, site.promised),),
            ),
        )

    # --- faults ----------------------------------------------------------------------------

    def crash(self, site: Site) -> None:
        self.say(f"{site.name} daemon crashes")
        site.alive, site.decision, site.raised = False, None, 0
        site.record, site.record_read, site.heard, site.committed = None, -1e9, {}, None

    def revive(self, site: Site) -> None:
        if not site.alive:
            site.alive, site.boot = True, self.now

    def database_crash(self, name: SiteName) -> None:
        self.say(f"{name} database crashes")
        server = self.servers[name]
        self.close(server)
        server.up = False

    def isolate(self, name: SiteName) -> None:
        self.say(f"{name} cut off")
        self.cut |= {frozenset({name, other}) for other in SITES if other != name}

    def heal(self) -> None:
        self.say("healed")
        self.cut.clear()


def _follower(site: SiteName, *, quarantined: bool) -> Follower:
    return Follower(name=site, site=site, streaming=True, flushed=None, quarantined=quarantined)


def voter_now(voter: VoterState, keeper: KeeperModel, promised: int) -> VoterState:
    """The keeper after its turn."""
    return VoterState(
        database=DB,
        promised=Epoch(promised),
        sealed=keeper.following is None,
        position=position(keeper.log),
        following=keeper.following,
        following_epoch=Epoch(keeper.following_epoch) if keeper.following else NO_EPOCH,
        streaming=voter.streaming,
    )
