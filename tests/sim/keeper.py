"""The log keeper of one database at a witness site.

Its receiver is a process of its own that outlives the witness daemon. What it wrote and had not
synced is torn off when its host falls. It drops what lies beyond the fork by itself when it is
attached to a new primary, keeps that aside, and follows only the primary of the epoch it was told.
"""

from typing import TYPE_CHECKING

from controller.core.model import (
    NO_EPOCH,
    DatabaseKind,
    DatabaseName,
    Epoch,
    ServiceName,
    SiteName,
    VoterState,
)
from controller.core.position import Position
from controller.ports import Refused, TimedOut, Unreachable
from tests.sim import truth
from tests.sim.commits import FORMS
from tests.sim.engine import Clock, Process
from tests.sim.log import Log
from tests.sim.replication import Copy
from tests.sim.server import Server

if TYPE_CHECKING:
    from tests.sim.world import World


class Keeper(Copy):
    """Receives, keeps, and once sealed can tell the end of one database's log."""

    def __init__(
        self,
        world: "World",
        service: ServiceName,
        name: DatabaseName,
        site: SiteName,
        kind: DatabaseKind,
    ) -> None:
        receiver = Process(world.engine, Clock(world.engine, 0.0), f"{name} keeper at {site}")
        super().__init__(world.engine, receiver, site, Log(world.roots[name], 0))
        self.world, self.service, self.name = world, service, name
        self.form = FORMS[kind]
        self.about: tuple[SiteName, int] | None = None  # of the last receiver, on its disk
        self.upstream: SiteName | None = None  # of the receiver that lives
        self.wanted: tuple[SiteName, int] | None = None  # in the daemon's memory only
        self.fenced: frozenset[SiteName] = frozenset()  # its host lets nothing out to them
        self.wiped = self.gap = False

    # --- as the daemon sees it ---------------------------------------------------------------

    def observe(self, promised: Epoch = NO_EPOCH) -> VoterState:
        """One look."""
        alive = self.process.alive
        return VoterState(
            database=self.name,
            promised=promised,
            sealed=not alive and self.wanted is None,
            position=self.position(),
            following=self.about[0] if alive and self.about else None,
            following_epoch=Epoch(self.about[1]) if alive and self.about else NO_EPOCH,
            streaming=alive and self.stream is not None,
            whole=not self.gap and not self.wiped,
            problems=("segment missing",) if self.gap else (),
        )

    def position(self) -> Position:
        """The true end of what it holds durably."""
        if self.wiped:
            return Position(epoch=0, format=self.form, text=_NOTHING[self.form])
        return self.durable.position(self.form)

    def seal(self, epoch: int) -> None:
        """No receiver lives; what it holds is durable."""
        self.wanted = None
        self.kill_receiver()
        if self.disk.full:
            raise Refused(f"{self.name} keeper: not durable: no space")
        self.flushed = self.log.end
        del epoch

    def finds(self, upstream: SiteName) -> bool:
        """Its primary answers, if only to refuse."""
        return self.world.reaches(self.site, self.world.servers[self.name][upstream])

    def attach(self, upstream: SiteName, epoch: int) -> None:
        """A receiver lives and takes the log of `epoch`'s primary."""
        self.wanted = (upstream, epoch)
        if self.process.alive and self.about == (upstream, epoch):
            return
        self.kill_receiver()
        self.try_attach()

    def try_attach(self) -> None:
        """A receiver is started, if its primary is found to be of the epoch that is wanted."""
        assert self.wanted is not None
        upstream, epoch = self.wanted
        primary = self.world.servers[self.name][upstream]
        if self.disk.full:
            raise Refused(f"{self.name} keeper: the disk is full")
        if upstream in self.fenced:
            raise Unreachable(f"{self.name} at {upstream}: reset by the firewall of {self.site}")
        if not self.world.reaches(self.site, primary):
            raise TimedOut(f"{self.name} at {upstream} does not answer")
        if not self.check_epoch(primary.log.epoch, epoch):
            raise Refused(f"{self.name} at {upstream} is on {primary.log.epoch}, not {epoch}")
        if not primary.lets_in(self, voter=True):
            raise Refused(f"{self.name} at {upstream} does not admit {self.site}")
        self.make_ready(primary)
        self.process.begin()
        self.about, self.upstream = (upstream, epoch), upstream
        self.world.connect(self, primary, voter=True)

    def check_epoch(self, found: int, wanted: int) -> bool:
        """The upstream is the primary of the epoch that was told."""
        return found == wanted

    def make_ready(self, primary: Server) -> None:
        """What lies beyond the fork is put aside; with a gap, or nothing, it begins anew."""
        theirs = primary.durable
        if self.wiped or self.gap:
            if self.gap and not self.wiped:
                raise Unreachable(f"{self.name} keeper: its log has a gap")
            self.wiped = False
            self.oldest = primary.slots.get(self.site, primary.log.history.fork)
            self.replace(theirs.cut_to(self.oldest))
            return
        if self.log.begins(theirs):
            return
        before = self.log
        self.replace(self.log.cut_to(self.log.shared_with(theirs)))
        lost = before.writes(self.log.end)
        if lost:
            self.world.tell(
                truth.LogCut(
                    self.engine.now,
                    self.service,
                    self.name,
                    self.site,
                    lost,
                    saved=True,
                    why="beyond the fork",
                )
            )

    def keep_running(self) -> None:
        """The daemon starts a receiver that ended again."""
        if self.wanted is not None and not self.process.alive:
            try:
                self.try_attach()
            except (Refused, TimedOut, Unreachable):
                return

    # --- what happens to it ------------------------------------------------------------------

    def kill_receiver(self) -> None:
        """No receiver lives. What it wrote stays written: only a host's fall tears it off."""
        if self.stream is not None:
            self.world.hang_up(self.stream, receiver=True)
        self.process.end()
        self._flushing = False
        self.upstream = None

    def stream_lost(self) -> None:
        """The receiver ends with its connection; it is the daemon that starts another."""
        self.process.end()
        self._flushing = False
        self.upstream = None
        self.engine.after(0.0, self.changed)

    def fall(self) -> None:
        """The host lost power: what was not synced is gone."""
        self.kill_receiver()
        before = self.log
        self.lose_memory()
        lost = before.writes(self.log.end)
        if lost:
            self.world.tell(
                truth.LogCut(
                    self.engine.now, self.service, self.name, self.site, lost, False, "a torn tail"
                )
            )
        self.wanted, self.fenced = None, frozenset()

    def ran_full(self) -> None:
        """The receiver ends without having confirmed."""
        self.kill_receiver()
        self.log = self.durable

    def wipe(self) -> None:
        """Its directory is gone; its promise is not."""
        self.kill_receiver()
        before = self.log
        self.replace(Log(self.world.roots[self.name], 0))
        self.wiped = True
        self.world.tell(
            truth.LogCut(
                self.engine.now,
                self.service,
                self.name,
                self.site,
                before.writes(),
                saved=False,
                why="wiped",
            )
        )

    def changed(self) -> None:
        """The daemon may look."""
        self.world.changed(self)


_NOTHING = {form: ("0/0" if form.value == "lsn" else "") for form in FORMS.values()}
