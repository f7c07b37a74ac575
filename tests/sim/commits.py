"""Commits at a database server: written, sent on, confirmed, acknowledged in order, or cut.

A commit is acknowledged when it is durable here and at enough other voters; a session that waits
shows nothing to others until then.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.core.model import DatabaseKind, DatabaseName, ServiceName, SiteName
from controller.core.position import LogFormat
from tests.sim import truth
from tests.sim.engine import Clock, Process
from tests.sim.log import CANARY, Log
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


class Committer(Copy):
    """The half of a server that commits: what it writes, who waits, who has confirmed."""

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
        self.slots: dict[SiteName, int] = {}  # from where each voter's log is kept for it
        self.agent_life = 0  # of the host under which a call of its agent is at work
        self.rebuilding = False  # its files are half replaced
        self.diverged = ""  # known to hold what its upstream's history does not
        self.hung = False  # sessions are taken and never answered
        self.apply_lag_s = 0.0
        self.ready_at = 0.0  # it replays its log until then
        self.told_up = True  # as the probes of the other sites last found it
        self.promoted_at = float("-inf")
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
        self.connecting = False
        self.claimed = 0
        # What an operator gave up when the promotion that is under way was asked for.
        self.loss_said: tuple[frozenset[SiteName], str] | None = None
        self.alone = False  # commits wait for nobody: only an operator's force-single does that
        self.blocked: frozenset[SiteName] = frozenset()

    @property
    def up(self) -> bool:
        """It answers who asks."""
        return self.process.works and not self.hung and self.engine.now >= self.ready_at

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
        if stream.voter:
            self.slots[stream.receiver.site] = min(stream.confirmed, self.log.end)
            if self.waiting and self.writable:
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

    def crash(self) -> None:
        """The server falls."""
        raise NotImplementedError
