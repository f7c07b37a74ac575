"""A database server of a data site, as PostgreSQL behaves: looks, statements, life and death.

What is asked over SQL is done by the server's own process, late if it is frozen, never if it dies.
What the host agent does (`tests/sim/agent.py`) is done by the host, whoever asked and whether or
not he still lives.
"""

from controller.core.model import DatabaseState, Epoch, Follower, Liveness, SiteName
from controller.core.position import Position
from controller.ports import Refused
from tests.sim import truth
from tests.sim.commits import Committer
from tests.sim.log import CANARY, Log, opened
from tests.sim.replication import Copy, Stream


class Server(Committer):
    """One server process, its files, its gate, and whom it follows."""

    # --- looking ---------------------------------------------------------------------------------

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
        self.world.fell(self)

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

    # --- what SQL can ask (the daemon's hands wait for it) -----------------------------------

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

    def promote(self, epoch: int, *, waits: bool = True) -> None:
        """Writable under `epoch`, gate closed, admitting nobody."""
        del waits  # a timeline waits for nobody
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
        self.promoted_at, self.slots = self.engine.now, {}
        self.world.tell_promoted(self, before, by_hand=by_hand)
        self.changed()

    def batch(self, write: int, records: int) -> None:
        """One transaction of so many records is written, and waits like any other."""
        history = self.log.history
        history.records.extend([CANARY] * (records - 1))
        self.log = Log(history, self.log.end + records - 1)
        self.commit(write, lambda committed: None)

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

    def commit_alone(self, alone: bool) -> None:
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

    def wants_stream(self) -> bool:
        """It has somebody to follow, no stream, and no attempt under way."""
        idle = self.stream is None and not self.connecting
        return idle and self.upstream is not None and self.process.works

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

    # --- what the host agent does ------------------------------------------------------------

    def must_be_copied(self, other: "Server") -> bool:
        """What it holds beyond the other's log cannot be taken back. Here it can: it is rewound."""
        del other
        return False

    def become_copy_of(self, other: "Server") -> None:
        """The other's files, copied beside, take the place of its own."""
        before = self.log
        self.crash()
        self.replace(other.durable)
        self.diverged = ""
        self._tell_cut(before, f"a copy of {other.site}", saved=True)

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
