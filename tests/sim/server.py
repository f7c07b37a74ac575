"""A database server of a data site: PostgreSQL, and what MariaDB and MySQL do otherwise.

What is asked over SQL is done by the server's own process, late if it is frozen, never if it dies.
What the host agent does (close, start, rejoin) is done by the host, whoever asked and whether or
not he still lives. A commit is acknowledged when it is durable here and at enough other voters;
a session that waits shows nothing to others until then.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.core.model import (
    DatabaseKind,
    DatabaseName,
    DatabaseState,
    Epoch,
    Follower,
    Liveness,
    ServiceName,
    SiteName,
)
from controller.core.position import LogFormat, Position
from controller.ports import Refused
from tests.sim import truth
from tests.sim.engine import Clock, Process, Signal
from tests.sim.log import CANARY, History, Log, opened
from tests.sim.replication import Copy, Stream

if TYPE_CHECKING:
    from tests.sim.world import World

FORMS = {
    DatabaseKind.POSTGRES: LogFormat.LSN,
    DatabaseKind.MARIADB: LogFormat.MARIADB_GTID,
    DatabaseKind.MYSQL: LogFormat.MYSQL_GTID,
}


@dataclass(slots=True, eq=False)
class Commit:
    """A session whose record is written, and which waits for its acknowledgement."""

    end: int  # the log's length with it
    write: int
    done: list[Callable[[bool], None]]  # told True once; False when cancelled; nothing when cut


class Streams(list[Stream]):
    """The connections of a sender, in the order they were made."""

    def discard_one(self, stream: Stream) -> None:
        """Without it."""
        if stream in self:
            self.remove(stream)


class Server(Copy):
    """One server process, its files, its gate, and whom it follows."""

    def __init__(
        self,
        world: "World",
        service: ServiceName,
        name: DatabaseName,
        site: SiteName,
        kind: DatabaseKind,
    ) -> None:
        clock = Clock(world.engine, 0.0)
        process = Process(world.engine, clock, f"{name} at {site}")
        super().__init__(world.engine, process, site, Log(world.roots[name], 0))
        self.world, self.service, self.name, self.kind = world, service, name, kind
        self.form = FORMS[kind]
        self.streams = Streams()
        self.connecting = False
        self.rebuilding = False  # its files are half replaced
        self.diverged = ""  # known to hold what its upstream's history does not
        self.hung = False  # sessions are taken and never answered
        self.apply_lag_s = 0.0
        self.ready_at = 0.0  # it replays its log until then
        self.promoted_at = float("-inf")
        self._asked: list[Signal] = []  # statements under way
        self._forget()
        process.begin()

    def _forget(self) -> None:
        """As after every start: closed, following nobody, admitting nobody."""
        self.writable, self.opened_under, self.gate_open = False, 0, False
        self.admitted: frozenset[SiteName] = frozenset()
        self.upstream: SiteName | None = None
        self.quarantined = False
        self.waiting: list[Commit] = []
        self.cancelled: set[int] = set()
        self.claimed = 0
        self.alone = False  # commits wait for nobody: only an operator's force-single does that
        self.blocked: frozenset[SiteName] = frozenset()

    # --- looking ---------------------------------------------------------------------------------

    @property
    def up(self) -> bool:
        """It answers who asks."""
        return self.process.works and not self.hung and self.engine.now >= self.ready_at

    def state(self) -> DatabaseState:
        """One look that was answered, or refused at once."""
        if not self.process.alive:
            return DatabaseState(
                name=self.name,
                kind=self.kind,
                liveness=Liveness.DOWN,
                diverged=self.rebuilding or bool(self.diverged),
            )
        if self.engine.now < self.ready_at:
            return DatabaseState(name=self.name, kind=self.kind, liveness=Liveness.STARTING)
        stream = self.stream
        receiving = self.upstream is not None
        durable = self.durable
        return DatabaseState(
            name=self.name,
            kind=self.kind,
            liveness=Liveness.RUNNING,
            writable=self.writable,
            epoch=Epoch(durable.epoch),
            position=self.reported_position(),
            applied=None,
            upstream=self.upstream,
            quarantined=receiving and self.quarantined,
            receiving=receiving,
            streaming=stream is not None and stream.open_here,
            diverged=bool(self.diverged),
            gate_open=self.gate_open,
            admitted=self.admitted,
            followers=tuple(self._follower(s) for s in self.streams if s.open_there),
            waiting_commits=len(self.waiting),
            alone=self.alone,
            problems=("a voter claims more than is written here",) if self.claimed else (),
        )

    def reported_position(self) -> Position:
        """The furthest durable record it says it holds."""
        return self.durable.position(self.form)

    def _follower(self, stream: Stream) -> Follower:
        return Follower(
            name=stream.receiver.site,
            site=stream.receiver.site,
            streaming=True,
            flushed=self.log.cut_to(stream.confirmed).position(self.form),
            quarantined=not stream.voter,
        )

    # --- commits ---------------------------------------------------------------------------------

    def holds(self, write: int) -> bool:
        """The write is in its log, acknowledged or not."""
        return any(place.begins(self.log) for place in self.world.places(self.name, write))

    def sees(self, write: int) -> bool:
        """Another session sees it: it waits for nothing any more."""
        return self.holds(write) and all(commit.write != write for commit in self.waiting)

    def commit(self, write: int, done: Callable[[bool], None]) -> bool:
        """A session writes; `done` is called when it is answered. False: refused at once."""
        if not self.writable or not self.up:
            return False
        if self.disk.full:
            self.ran_full()
            return False
        for commit in self.waiting:
            if write > 0 and commit.write == write:
                commit.done.append(done)  # blocked on the key until that one is done
                return True
        history = self.log.history
        history.records.append(write)
        log = Log(history, self.log.end + 1)
        if write > 0:
            self.world.placed(self.name, write, log)
        self.waiting.append(Commit(log.end, write, [done]))
        self.write(log)
        return True

    def grew(self) -> None:
        """More is durable: it is sent on, and may complete a quorum."""
        super().grew()
        for stream in self.streams:
            stream.pump()
        if self.waiting:
            self.release()

    def heard_confirmation(self, stream: Stream, end: int) -> None:
        """A receiver says that it has everything up to `end`."""
        if end > self.log.end:
            self.claimed = end
        stream.confirmed = max(stream.confirmed, end)
        if stream.voter and self.writable:
            self.release()

    def confirmers(self, end: int) -> frozenset[SiteName]:
        """The other voters whose confirmation covers `end`, as this server counts them."""
        return frozenset(
            stream.receiver.site
            for stream in self.streams
            if stream.voter and stream.confirmed >= end
        )

    def release(self) -> None:
        """Commits that are durable here and at enough others are answered, in order."""
        needed = 0 if self.alone else self.world.acks_needed
        while self.waiting and self.waiting[0].end <= self.flushed:
            commit = self.waiting[0]
            by = self.confirmers(commit.end)
            if len(by) < needed:
                return
            del self.waiting[0]
            self.acknowledge(commit, by)

    def acknowledge(self, commit: Commit, by: frozenset[SiteName]) -> None:
        """The sessions are told that it is committed."""
        if commit.write != CANARY:
            self.world.tell_acknowledged(self, commit.write, commit.end, by)
        for done in commit.done:
            done(True)

    def cancel_waits(self) -> None:
        """Clients cancel: what waits becomes visible, and is durable nowhere else."""
        waiting, self.waiting = self.waiting, []
        for commit in waiting:
            if commit.write == CANARY:
                self.waiting.append(commit)
                continue
            self.cancelled.add(commit.write)
            self.world.tell(
                truth.CommitCancelled(
                    self.engine.now, self.service, self.name, self.site, commit.write
                )
            )
            for done in commit.done:
                done(False)

    def ran_full(self) -> None:
        """The log cannot be written: the server falls."""
        if self.writable:
            self.crash()

    # --- life and death --------------------------------------------------------------------------

    def crash(self) -> None:
        """SIGKILL, panic, power: nobody who waits is answered; what was durable stays."""
        if self.process.alive:
            self._stop("a crash", fell=True)

    def _stop(self, why: str, *, fell: bool) -> None:
        under, was_writable = self.opened_under, self.writable
        before = self.log
        self.process.end()
        self.lose_memory()
        self._tell_cut(before, why, saved=False)
        self.cut_sessions()
        self._forget()
        self.hung = False
        if was_writable:
            self.world.tell(
                truth.Closed(self.engine.now, self.service, self.name, self.site, under, fell)
            )
        asked, self._asked = self._asked, []
        for told in asked:
            told.set()
        self.world.fell(self)

    def on_end(self, told: Signal) -> None:
        """A statement's connection breaks when the process ends."""
        self._asked = [signal for signal in self._asked if not signal.done]
        self._asked.append(told)

    def boot(self) -> None:
        """It starts, closed, and replays its log."""
        if self.process.alive or self.rebuilding or self.disk.full:
            return
        self.lose_memory()
        self._forget()
        self.process.begin()
        self.ready_at = self.engine.now + self.engine.draw(0.05, 0.4)
        self.process.after(self.ready_at - self.engine.now, self.changed)
        self.changed()

    def close(self) -> None:
        """Immediate stop (the closed start is the host agent's next step)."""
        self._stop("an immediate stop", fell=False)

    def is_closed(self) -> bool:
        """It runs as a restart would leave it."""
        return (
            self.up
            and self.sealed
            and not self.gate_open
            and not self.admitted
            and not self.waiting
        )

    def cut_sessions(self) -> None:
        """Nobody who waits is ever answered."""
        self.waiting = []

    def _tell_cut(self, before: Log, why: str, *, saved: bool) -> None:
        if before.begins(self.log):
            return
        lost = before.writes(self.log.shared_with(before))
        if lost:
            self.world.tell(
                truth.LogCut(self.engine.now, self.service, self.name, self.site, lost, saved, why)
            )

    def changed(self) -> None:
        """Streams and the site's daemon may find something new here."""
        self.world.changed(self)

    # --- what SQL can ask (the daemon's hands wait for it) -----------------------------------------

    @property
    def sealed(self) -> bool:
        """In recovery, receiving from nobody, configured so."""
        return not self.writable and self.upstream is None

    def seal(self) -> None:
        """Receives from nobody; a restart keeps it so."""
        if self.writable:
            raise Refused(f"{self.name} at {self.site} is writable: close it before it is sealed")
        self.unfollow()
        self.changed()

    def unfollow(self) -> None:
        """No receiver, none configured."""
        self.upstream, self.quarantined = None, False
        if self.stream is not None:
            self.flushed = self.log.end  # the receiver makes durable what it has, then ends
            self.world.hang_up(self.stream, receiver=True)

    def timeline_for(self, epoch: int) -> int:
        """The number of the history that a promotion opens: the epoch, for the files before it
        are planted.
        """
        return epoch

    def promote(self, epoch: int) -> None:
        """Writable under `epoch`, gate closed, admitting nobody."""
        if self.writable:
            if self.opened_under == epoch:
                return
            raise Refused(f"{self.name} at {self.site} is writable: close it first")
        if not self.sealed:
            raise Refused(f"{self.name} at {self.site} is not sealed: not promoted to {epoch}")
        if self.durable.epoch >= epoch:
            raise Refused(f"{self.name} at {self.site} ends on {self.durable.epoch} already")
        self.open_history(epoch)

    def open_history(self, epoch: int, *, by_hand: bool = False) -> None:
        """Writable, on a history of its own."""
        number = self.timeline_for(epoch)
        before = self.log
        self.log = opened(before, number)
        self.flushed = self.log.end
        self.writable, self.opened_under, self.admitted = True, number, frozenset()
        self.gate_open, self.diverged, self.claimed = False, "", 0
        self.promoted_at = self.engine.now
        self.world.tell_promoted(self, before, by_hand=by_hand)
        self.changed()

    def open_by_hand(self) -> None:
        """Somebody promotes it around tricast: clients in, numbered by itself."""
        self.open_history(self.log.epoch + 1, by_hand=True)
        self.gate_open = True
        self.changed()

    def admit(self, voters: frozenset[SiteName]) -> None:
        """Exactly these replicate under their credential; others were cut."""
        if not self.writable and voters:
            raise Refused(f"{self.name} at {self.site} is not a primary: it admits no voter")
        if self.admitted == voters:
            return
        self.admitted = voters
        for stream in list(self.streams):
            if stream.voter and stream.receiver.site not in voters:
                self.world.hang_up(stream, receiver=False)
        self.world.tell(
            truth.Admitted(
                self.engine.now,
                self.service,
                self.name,
                self.site,
                self.opened_under,
                voters,
            )
        )
        self.changed()

    def commit_alone(self, alone: bool) -> None:  # noqa: FBT001 - the port's own word
        """Whether commits wait for no other voter."""
        if self.alone != alone:
            self.alone = alone
            self.world.tell_alone(self)
            self.release()
            self.changed()

    def lets_in(self, copy: Copy, *, voter: bool) -> bool:
        """The credential is good here now."""
        return copy.site in self.admitted if voter else True

    def set_gate(self, *, opened: bool) -> None:
        """Whether clients may log in."""
        if opened and not self.writable:
            raise Refused(f"{self.name} at {self.site} is not a primary: its gate stays closed")
        if opened and self.claimed:
            raise Refused(f"{self.name} at {self.site}: a voter claimed too much; gate closed")
        if opened != self.gate_open:
            self.gate_open = opened
            self.world.tell(
                truth.GateSet(self.engine.now, self.service, self.name, self.site, opened)
            )
            if not opened:
                self.waiting = [c for c in self.waiting if c.write == CANARY]
            self.changed()

    def follow(self, upstream: SiteName, epoch: int, *, quarantine: bool) -> None:
        """Replicates from `upstream`, as a voter or under the rejoin credential."""
        if self.writable:
            raise Refused(f"{self.name} at {self.site} is writable: close it before it follows")
        if (self.upstream, self.quarantined) == (upstream, quarantine):
            return
        self.unfollow()
        self.set_upstream(upstream, quarantine=quarantine)

    def set_upstream(self, upstream: SiteName, *, quarantine: bool) -> None:
        """Whom its receiver asks from now on."""
        if self.process.alive:
            self.upstream, self.quarantined = upstream, quarantine
            self.changed()

    # --- what the host agent does ------------------------------------------------------------------

    def may_be_cut_for(self, other: "Server") -> None:
        """Refused where only an operator can mend it."""

    def make_prefix_of(self, other: "Server") -> str:
        """The log is a beginning of the other's: rewound. What was thrown away."""
        if self.log.begins(other.durable):
            return ""
        before = self.log
        shared = self.log.shared_with(other.durable)
        self.replace(self.log.cut_to(shared))
        self._tell_cut(before, f"rewound to {other.site}", saved=True)
        self.diverged = ""
        return f"{before.end - shared} records after {shared}"

    def fetch(self, log: Log) -> None:
        """Holds everything of `log`, which goes on where its own ends."""
        if not self.log.begins(log):
            raise Refused(f"{self.name} at {self.site} has diverged from what it fetches")
        if log.end > self.log.end:
            self.replace(log)
            self.changed()


class Mysql(Server):
    """MariaDB and MySQL: what differs from PostgreSQL.

    The tail that crash recovery would cut is saved and counts as held; a returning server that
    holds more than its tail beyond the new primary's log is refused until an operator rebuilds it.
    """

    firm = 0  # up to here nothing was waiting: no recovery cuts it

    def open_history(self, epoch: int, *, by_hand: bool = False) -> None:
        """What it held is firm; the epoch's first record waits like any other."""
        self.firm = self.log.end
        super().open_history(epoch, by_hand=by_hand)

    def acknowledge(self, commit: Commit, by: frozenset[SiteName]) -> None:
        """What was acknowledged is firm."""
        self.firm = max(self.firm, commit.end)
        super().acknowledge(commit, by)

    def receive(self, log: Log) -> None:
        """What was received is applied."""
        super().receive(log)
        self.firm = self.log.end

    def replace(self, log: Log) -> None:
        """What was fetched or copied is applied."""
        super().replace(log)
        self.firm = log.end

    def may_be_cut_for(self, other: Server) -> None:
        """Refused when it holds what the other does not, beyond its own saved tail."""
        if self.log.shared_with(other.durable) < self.firm:
            self.diverged = f"holds records that {other.site} does not"
            self.boot()
            raise Refused(f"{self.name} at {self.site} {self.diverged}; rebuild it")


def build_server(
    world: "World", service: ServiceName, name: DatabaseName, site: SiteName, kind: DatabaseKind
) -> Server:
    """The model of one server."""
    made = Server if kind is DatabaseKind.POSTGRES else Mysql
    return made(world, service, name, site, kind)


def root() -> History:
    """The history every copy of a new cluster begins with."""
    return History(1)
