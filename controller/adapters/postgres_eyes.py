"""Looking at one PostgreSQL server over a connection of its own."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from controller.adapters import postgres_look as reading
from controller.adapters.postgres_link import Link, NotReady, Row, parse_conninfo
from controller.adapters.postgres_look import Look, Walsender
from controller.adapters.postgres_spec import PostgresSpec, slot_name
from controller.core.model import DatabaseKind, DatabaseState, Epoch, Follower, Liveness, SiteName
from controller.core.position import Position, lsn_to_int
from controller.hostagent import wal
from controller.ports import PortError, Refused, Unreachable

SLOW_EVERY_S: Final = 1.0
SETTLED_S: Final = 0.5  # several tries of the startup process to read what a receiver left


class Eyes:
    """Reads a server's state; changes nothing but the checkpoint a rewind elsewhere waits for."""

    def __init__(self, spec: PostgresSpec) -> None:
        self._spec = spec
        where = f"{spec.name} at {spec.site}"
        self._link = Link(where, spec.target)
        self._chores = Link(f"{where}, checkpoint", spec.target)
        self._ancestries = reading.Ancestries()
        self._generation = 0
        self._slow: list[Row] = []
        self._slow_at = float("-inf")
        self._still: tuple[object, ...] = ()
        self._still_since = 0.0
        self.half_rebuilt = False  # its files are of no use before a rejoin has ended well
        self.forked = False  # a sealed log leaves its last record out: only a rejoin mends it
        self.claimed = 0  # furthest flush a voter claimed while we had not reached it

    def tell_of_loss(self, told: Callable[[], None]) -> None:
        """`told` is called when the server ends the connection that looks are made over."""
        self._link.tell_of_loss(told)

    def drop(self) -> None:
        """No connection is open."""
        self._link.drop()
        self._chores.drop()

    def forget_histories(self) -> None:
        """History files are read again."""
        self._ancestries = reading.Ancestries()

    def parted(self, source: str, mine: Position, target: Position, at: str) -> Refused:
        """It is diverged from now on; why it cannot catch up."""
        self.forked = True
        return Refused(
            f"{self._spec.name} at {self._spec.site} cannot catch up from {source}: its log ends"
            f" at {mine}, but parted from that of epoch {target.epoch} at {at}: it must be rewound"
        )

    async def observe(self, deadline: float) -> DatabaseState:
        """The server as it is; never raises PortError."""
        try:
            look = await self.look(deadline)
            # What is seen rarely must not blind us to what is seen now.
            with suppress(PortError):
                await self._look_closely(look, deadline)
        except NotReady as error:
            return self._blind(Liveness.STARTING if error.starting else Liveness.DOWN, error)
        except Unreachable as error:
            return self._blind(Liveness.DOWN, error)
        except PortError as error:
            return self._blind(Liveness.UNKNOWN, error)
        return self._state(look)

    async def look(self, deadline: float) -> Look:
        """The fast answer, with the histories needed to read it at hand."""
        rows = await self._link.often(reading.FAST, deadline=deadline)
        if self._generation != self._link.generation:
            # A new connection: perhaps a new run of the server, with other files; and perhaps
            # files of the gate that a daemon before us wrote and did not live to put in force.
            self._generation = self._link.generation
            self.forget_histories()
            await self._link.query("select pg_reload_conf()", deadline=deadline)
        look = reading.read_look(rows[0])
        for timeline in reading.wanted_histories(look) - self._ancestries.known.keys():
            name = f"pg_wal/{wal.history_name(timeline)}"
            found = await self._link.query(
                "select pg_read_file($1, 0, 1000000, true)", name, deadline=deadline
            )
            self._ancestries.known[timeline] = wal.parse_history(found[0][0] or "")
        self._note_stillness(look)
        return look

    def position(self, look: Look) -> Position | None:
        """The end of its log; a record that arrived in part does not count once nothing moves."""
        if look.sealed and look.idle and look.replayed and _now() - self._still_since > SETTLED_S:
            return self._ancestries.at(reading.top_timeline(look), look.replayed)
        return self._ancestries.position(look)

    def at(self, look: Look, lsn: str) -> Position:
        """The record that ends at `lsn` of the log that `look` saw."""
        return self._ancestries.at(reading.top_timeline(look), lsn)

    def ancestry(self, timeline: int) -> wal.Ancestry:
        """Where `timeline` comes from, as the last look has read it."""
        return self._ancestries.known.get(timeline, ())

    def _note_stillness(self, look: Look) -> None:
        now = (look.sealed, look.received, look.replayed, look.startup_wait is None)
        if now != self._still:
            self._still, self._still_since = now, _now()

    async def _look_closely(self, look: Look, deadline: float) -> None:
        if _now() - self._slow_at < SLOW_EVERY_S:
            return
        self._slow_at = _now()
        self._slow = await self._link.query(reading.SLOW, deadline=deadline)
        behind = reading.control_timeline(self._slow)
        if not look.recovering and behind != reading.top_timeline(look):
            await self._chores.begin("checkpoint", deadline=deadline)
        elif self._chores.owed:
            await self._chores.collect()

    # --- from what was seen to what it means ---------------------------------------------------

    def _blind(self, liveness: Liveness, error: PortError) -> DatabaseState:
        self._slow_at = float("-inf")
        return DatabaseState(
            name=self._spec.name,
            kind=DatabaseKind.POSTGRES,
            liveness=liveness,
            diverged=self.half_rebuilt,
            problems=(str(error),),
        )

    def _state(self, look: Look) -> DatabaseState:
        position = self.position(look)
        conninfo = parse_conninfo(look.upstream)
        user = conninfo.get("user", "")
        host, port = conninfo.get("host", ""), conninfo.get("port", "5432")
        at = self._ancestries.at
        return DatabaseState(
            name=self._spec.name,
            kind=DatabaseKind.POSTGRES,
            liveness=Liveness.RUNNING,
            writable=not look.recovering,
            epoch=Epoch(position.epoch if position else 0),
            position=position,
            applied=(
                at(reading.top_timeline(look), look.replayed)
                if look.recovering and look.replayed
                else position
            ),
            upstream=self._spec.site_at(host, port) if conninfo else None,
            quarantined=self._spec.site_of(user)[1],
            receiving=look.receivers > 0 or (look.recovering and not look.sealed),
            streaming=_streaming(look),
            diverged=(
                look.recovering
                and position is not None
                and (self.forked or self._ancestries.excluded_by(look, position))
            ),
            gate_open=not look.recovering and bool(look.clients & set(self._spec.clients)),
            admitted=self._admitted(look),
            followers=tuple(self._followers(look)),
            waiting_commits=look.waiting,
            alone=look.alone and not look.recovering and bool(self._spec.standby_names),
            lag_bytes=_lag(look),
            problems=tuple(self._problems(look)),
        )

    def _admitted(self, look: Look) -> frozenset[SiteName]:
        # Who is let in and finds no slot cannot replicate: it is not admitted until it has one.
        return frozenset(
            site
            for site in self._spec.voters
            if self._spec.voter_user(site) in look.voters.get(f"voter_{site}", frozenset())
            and slot_name(site) in look.slots
        )

    def _followers(self, look: Look) -> list[Follower]:
        found = []
        for sender in look.walsenders:
            site, quarantined = self._spec.site_of(sender.user)
            if quarantined and sender.name != f"{site}_rejoin":
                continue  # a copy or a rewind in progress, not a follower
            flushed = None
            if sender.flushed and not look.recovering:
                flushed = self._ancestries.at(reading.top_timeline(look), sender.flushed)
            found.append(
                Follower(
                    name=sender.name,
                    site=site,
                    streaming=sender.state == "streaming",
                    flushed=flushed,
                    quarantined=quarantined,
                )
            )
        return found

    def _problems(self, look: Look) -> list[str]:
        name = self._spec.name
        problems = reading.settings_problems(name, self._slow)
        if _plain(look.standby_names) != _plain(self._spec.standby_names):
            problems.append(
                f"{name}: synchronous_standby_names is {look.standby_names!r},"
                f" must be {self._spec.standby_names!r}"
            )
        strange = [self._spec.intruder(sender) for sender in look.walsenders]
        problems += [f"{name}: replication connection of {why}" for why in strange if why]
        problems += self._false_acknowledgements(look)
        if look.recovering and look.clients & set(self._spec.clients):
            problems.append(f"{name}: clients are let in though it is not a primary")
        if not look.gate_dir:
            problems.append(f"{name}: tricast.gate_dir is not set in postgresql.conf")
        return problems

    def _false_acknowledgements(self, look: Look) -> list[str]:
        """A voter's claim to hold what we have not written releases commits nobody has."""
        if look.recovering or look.flushed is None:
            self.claimed = 0
            return []
        own = lsn_to_int(look.flushed)
        ahead = [s for s in look.walsenders if _claims(s) > own and s.sync != "async"]
        self.claimed = max([self.claimed, *(_claims(s) for s in ahead)])
        if self.claimed <= own:
            self.claimed = 0
            return []
        who = ", ".join(f"{s.name} ({s.user})" for s in ahead) or "a voter that is gone"
        return [
            f"{self._spec.name}: {who} claims to have flushed {wal.to_lsn(self.claimed)}, but"
            f" only {look.flushed} is written: commits up to there may not be safe"
        ]


def _claims(sender: Walsender) -> int:
    return lsn_to_int(sender.flushed) if sender.flushed else 0


def _streaming(look: Look) -> bool:
    # The status says "streaming" before the connection is made; the upstream's words are the proof.
    receiver = look.receiver
    if receiver is None or look.receivers == 0 or receiver.get("latest") is None:
        return False
    silent = receiver.get("silent_s")
    heard = isinstance(silent, int | float) and silent < reading.SILENT_S
    return receiver.get("status") == "streaming" and heard


def _lag(look: Look) -> int | None:
    latest = look.receiver.get("latest") if look.receiver else None
    if not isinstance(latest, str) or look.replayed is None:
        return None
    return max(0, lsn_to_int(latest) - lsn_to_int(look.replayed))


def _plain(names: str) -> str:
    return names.replace('"', "").replace(" ", "").lower()


def _now() -> float:
    return asyncio.get_running_loop().time()
