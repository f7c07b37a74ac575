"""From one look at a MariaDB or MySQL server to the state that the deciding code reads."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from controller.adapters.mysql_look import Account, Look, ServerSession, Source
from controller.adapters.mysql_session import Login
from controller.core.model import (
    DatabaseKind,
    DatabaseName,
    DatabaseState,
    Epoch,
    Follower,
    Liveness,
    SiteName,
)

_SYSTEM = frozenset(
    {"root", "mysql", "mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema"}
)
_OURS = ("system user", "event_scheduler", "unauthenticated user")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A login without a place."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoterLink:
    """One voter: where its server listens, and the accounts under which it follows a primary."""

    address: str
    port: int
    user: str  # its voter account, as every primary knows it
    rejoin_user: str = ""  # its quarantine account; "" for a log keeper


@dataclass(frozen=True, slots=True, kw_only=True)
class MysqlSpec:
    """One MariaDB or MySQL server of this site, and the voters it belongs with."""

    name: DatabaseName
    kind: DatabaseKind
    site: SiteName
    address: str
    port: int
    user: str  # the controller's own login
    password: str = field(repr=False)
    voter: Credential  # what this server shows as a voter
    rejoin: Credential  # what it shows in quarantine, and when it fetches from a sealed voter
    voters: Mapping[SiteName, VoterLink]  # every voter, this site's included
    clients: tuple[str, ...] = ()  # accounts the gate lets in; empty: every one it has locked
    exempt: tuple[str, ...] = ()  # accounts that are no clients (monitoring, backup)

    def login(self) -> Login:
        """The controller's login at this server."""
        return Login(address=self.address, port=self.port, user=self.user, password=self.password)

    def towards(self, site: SiteName, credential: Credential) -> Login:
        """The login of `credential` at the server of `site`."""
        link = self.voters[site]
        return Login(
            address=link.address,
            port=link.port,
            user=credential.user,
            password=credential.password,
        )

    def site_at(self, source: Source | None) -> SiteName | None:
        """The voter that `source` points at; None for nobody or a stranger."""
        if source is None:
            return None
        for site, link in self.voters.items():
            if (link.address, link.port) == (source.address, source.port):
                return site
        return None

    def is_infrastructure(self, user: str) -> bool:
        """Whether the gate leaves this account alone."""
        names = {name for link in self.voters.values() for name in (link.user, link.rejoin_user)}
        return user in _SYSTEM | names | {self.user, *self.exempt, *_OURS}


def silent(spec: MysqlSpec, liveness: Liveness, problem: str) -> DatabaseState:
    """The state of a server that could not be looked at."""
    return DatabaseState(name=spec.name, kind=spec.kind, liveness=liveness, problems=(problem,))


def report(spec: MysqlSpec, seen: Look) -> DatabaseState:
    """What `seen` means."""
    source = seen.source
    lag = source.lag_bytes if source is not None else None
    return DatabaseState(
        name=spec.name,
        kind=spec.kind,
        liveness=Liveness.RUNNING,
        writable=not seen.read_only,
        epoch=Epoch(_epoch(seen)),
        position=seen.position(),
        applied=seen.applied(),
        upstream=spec.site_at(source),
        quarantined=source is not None and source.user == spec.rejoin.user,
        receiving=source is not None and source.receiving,
        streaming=source is not None and source.streaming,
        diverged=bool(seen.started and seen.started.diverged),
        gate_open=any(not account.locked for account in gated(spec, seen.accounts)),
        admitted=admitted(spec, seen),
        followers=tuple(_followers(spec, seen)),
        waiting_commits=seen.waiting_commits,
        alone=not seen.read_only and not seen.source_side,
        lag_bytes=lag,
        problems=tuple(_problems(spec, seen)),
    )


def _epoch(seen: Look) -> int:
    tail = seen.started.tail_epoch if seen.started and seen.tail_missing else 0
    return max(seen.epoch, tail)


def gated(spec: MysqlSpec, accounts: Iterable[Account]) -> list[Account]:
    """The accounts that clients use."""
    return [account for account in accounts if not spec.is_infrastructure(account.user)]


def admitted(spec: MysqlSpec, seen: Look) -> frozenset[SiteName]:
    """The other voters whose account is not locked."""
    unlocked = {account.user for account in seen.accounts if not account.locked}
    return frozenset(
        site for site, link in spec.voters.items() if site != spec.site and link.user in unlocked
    )


def voters_connected(spec: MysqlSpec, seen: Look) -> list[tuple[SiteName, ServerSession]]:
    """Replication connections under a voter credential."""
    sites = {link.user: site for site, link in spec.voters.items()}
    return [(sites[s.user], s) for s in seen.sessions if s.dumping and s.user in sites]


def _followers(spec: MysqlSpec, seen: Look) -> Iterator[Follower]:
    voters = {link.user: site for site, link in spec.voters.items()}
    returning = {link.rejoin_user: site for site, link in spec.voters.items() if link.rejoin_user}
    for session in seen.sessions:
        if session.dumping:
            yield Follower(
                name=session.host,
                site=voters.get(session.user, returning.get(session.user)),
                streaming=streams(session.state),
                flushed=None,
                quarantined=session.user not in voters,
            )


def streams(state: str) -> bool:
    """Whether a dump thread is past its start: MariaDB and MySQL say it in much the same words.

    One that sends an event is `Writing to net` for as long as that takes (seen under load).
    """
    return "has sent all binlog" in state or state.startswith(("Sending binlog", "Writing to net"))


def start_and_log_problems(seen: Look) -> Iterator[str]:
    """What is wrong with a server as a voter, whatever else it is."""
    yield from _start_problems(seen)
    yield from _setting_problems(seen)
    yield from _source_problems(seen)


def _problems(spec: MysqlSpec, seen: Look) -> Iterator[str]:
    yield from start_and_log_problems(seen)
    if not seen.read_only:
        yield from _primary_problems(spec, seen)
    elif seen.source_side and not seen.waiting:
        yield f"{seen.dialect.source_side} is on although the server is read-only"


def _start_problems(seen: Look) -> Iterator[str]:
    if seen.started is None:
        yield "tricast.start has no row: the server was never started by its host agent"
        return
    if seen.started.pending:
        yield "the host agent has not finished this start: relay logs may hold more than the log"
    if seen.started.diverged:
        yield f"diverged, a rebuild is needed: {seen.started.diverged}"
    if seen.tail_missing:
        yield f"crash recovery cut the log; its tail up to {seen.started.tail} is held aside"


def _setting_problems(seen: Look) -> Iterator[str]:
    wanted = [(name, value) for name, _, value in seen.dialect.durable_settings]
    for name, value in (*wanted, *seen.dialect.replica_settings):
        found = str(seen.settings[name])
        if found != value:
            yield f"{name} is {found}, not {value}: an acknowledgement would not be durable"


def _source_problems(seen: Look) -> Iterator[str]:
    source = seen.source
    if source is None:
        return
    if source.receiver_errno:
        yield f"receiver error {source.receiver_errno}: {source.receiver_error}"
    if source.applier_errno:
        yield f"applier error {source.applier_errno}: {source.applier_error}"
    elif source.receiving and source.applier != "Yes":
        yield "the applier is stopped while the receiver acknowledges"
    if not seen.read_only:
        yield f"writable although it follows {source.address}:{source.port}"


def _primary_problems(spec: MysqlSpec, seen: Look) -> Iterator[str]:
    if not seen.source_side:
        yield f"{seen.dialect.source_side} is off on a primary: commits do not wait"
    for name, _, value in seen.dialect.source_settings:
        found = str(seen.settings[name])
        if found != value:
            yield f"{name} is {found}, not {value}"
    status = str(seen.counters.get(seen.dialect.source_status, ""))
    if seen.source_side and status != "ON":
        yield f"{seen.dialect.source_status} is {status}: commits do not wait"
    voting = len(voters_connected(spec, seen))
    if seen.acknowledging > voting:
        yield f"{seen.acknowledging} replicas acknowledge, only {voting} of them are voters"
