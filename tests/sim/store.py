"""etcd: one member a site, a map that is read and swapped by the majority only.

Values are kept as the records they decode to; `put` and `swap` encode and decode through the real
codec. A request may be applied and its answer lost: the asker then knows nothing. While the
leader's place is empty nobody is answered. Leases live on when a leader changes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.core.model import SiteName
from tests.sim.engine import Clock, Process
from tests.sim.network import Traffic

if TYPE_CHECKING:
    from tests.sim.world import World

ELECTION_S = (0.4, 1.6)


@dataclass(frozen=True, slots=True)
class Stored:
    """A value, and the revision that wrote it."""

    value: object
    revision: int
    news: int  # the revision that last changed something others decide on


Contents = Mapping[str, Stored]
Reply = Callable[[object], None]


class Lost:
    """No answer came in time."""


LOST = Lost()
REVOKE_S = 0.5  # how often etcd looks for leases that have run out


class Store:
    """The cluster, all members together; who reaches it is asked of the network each time."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._engine = world.engine
        self.revision = 0
        self.contents: Contents = {}
        self.members = {
            site: Process(world.engine, Clock(world.engine, 0.0), f"etcd at {site}")
            for site in world.sites
        }
        for member in self.members.values():
            member.begin()
        self.leader: SiteName | None = world.sites[-1]
        self.slow_s = 0.0
        self._ready: dict[SiteName, bool] = {}
        self._electing = False
        self._leases: dict[str, float] = {}
        self._snapshots: list[tuple[float, Contents]] = []
        self.silent_watches: set[SiteName] = set()

    # --- who is answered ---------------------------------------------------------------------

    def _linked(self, one: SiteName, other: SiteName) -> bool:
        return self._world.network.path(one, other, Traffic.STORE)

    def _leads(self, site: SiteName) -> bool:
        """It works, and reaches a majority."""
        if not self.members[site].works:
            return False
        reached = sum(
            1
            for other, member in self.members.items()
            if member.works and self._linked(site, other)
        )
        return reached > len(self.members) // 2

    def ready(self, site: SiteName) -> bool:
        """A client at `site` is answered now."""
        found = self._ready.get(site)
        if found is None:
            found = self._ready[site] = self._find_ready(site)
        return found

    def _find_ready(self, site: SiteName) -> bool:
        leader = self.leader
        if leader is None or not self._leads(leader):
            return False
        if site in self.members and self._linked(site, leader):
            return True
        return any(
            member.works and self._linked(site, place) and self._linked(place, leader)
            for place, member in self.members.items()
        )

    def review(self) -> None:
        """After a change outside: a leader that cannot lead is replaced, after a while."""
        self._ready.clear()
        if (self.leader is None or not self._leads(self.leader)) and not self._electing:
            self._electing = True
            self._engine.after(self._engine.draw(*ELECTION_S), self._elect)

    def _elect(self) -> None:
        self._electing = False
        self._ready.clear()
        if self.leader is not None and self._leads(self.leader):
            return
        able = [site for site in self.members if self._leads(site)]
        self.leader = self._engine.dice.choice(able) if able else None
        if self.leader is None:
            return
        horizon = self._engine.now
        for key, until in self._leases.items():
            self._leases[key] = max(until, horizon + 2.0)  # a new leader extends every lease
        self._world.store_back()

    def move_leader(self, site: SiteName) -> None:
        """The witness asks for it."""
        if self.leader not in (None, site) and self._leads(site):
            self.leader = site
            self._ready.clear()

    # --- requests ----------------------------------------------------------------------------

    def ask(
        self,
        process: Process,
        site: SiteName,
        deadline_s: float,
        work: Callable[[], object],
        reply: Reply,
    ) -> None:
        """`work` is done once, at one instant, or not at all; `reply` gets its result or LOST."""
        engine = self._engine
        late = engine.now + deadline_s
        engine.after(self._latency(site), self._arrive, process, site, late, work, reply)

    def _latency(self, site: SiteName) -> float:
        leader = self.leader if self.leader is not None else site
        return self._world.network.delay(site, leader) + 0.0005 + self.slow_s

    def _arrive(
        self,
        process: Process,
        site: SiteName,
        late: float,
        work: Callable[[], object],
        reply: Reply,
    ) -> None:
        engine = self._engine
        if not self.ready(site):
            if engine.now + 0.05 < late:
                engine.after(0.05, self._arrive, process, site, late, work, reply)
            else:
                process.after(max(0.0, late - engine.now), reply, LOST)
                if engine.chance(0.3):
                    engine.after(engine.draw(0.0, 1.5), self._stray, site, work)
            return
        result = work()
        back = self._latency(site)
        if engine.now + back >= late:
            process.after(max(0.0, late - engine.now), reply, LOST)
        else:
            engine.after(back, self._answer, process, process.life, site, late, result, reply)

    def _answer(
        self,
        process: Process,
        life: int,
        site: SiteName,
        late: float,
        result: object,
        reply: Reply,
    ) -> None:
        if process.life != life:
            return
        if self.ready(site):
            if process.works:
                reply(result)
            else:
                process.after(0.0, reply, result)
        else:  # applied, and the answer is lost
            process.after(max(0.0, late - self._engine.now), reply, LOST)

    def _stray(self, site: SiteName, work: Callable[[], object]) -> None:
        """A request that lay in a member is done after its asker gave up."""
        if self.ready(site):
            work()

    # --- the map -----------------------------------------------------------------------------

    def read(self) -> Contents:
        """Everything, at one revision."""
        self._expire()
        return self.contents

    def swap(self, key: str, make: Callable[[int], object], expected: int) -> int | None:
        """The revision of the new value; None when `key` is not at `expected` (0: absent)."""
        self._expire()
        if not self.unchanged(key, expected):
            return None
        return self._write(key, make)

    def unchanged(self, key: str, expected: int) -> bool:
        """The comparison of compare-and-swap."""
        found = self.contents.get(key)
        return (0 if found is None else found.revision) == expected

    def put(
        self,
        key: str,
        make: Callable[[int], object],
        ttl_s: float | None = None,
        *,
        news: bool = True,
    ) -> int:
        """`key` has this value; with `ttl_s`, until about that long after the last put."""
        if ttl_s is not None:
            if key not in self._leases:
                self._engine.after(ttl_s, self._run_out, key)
            self._leases[key] = self._engine.now + ttl_s
        return self._write(key, make, news=news)

    def delete(self, key: str) -> None:
        """`key` is absent."""
        if key in self.contents:
            self.revision += 1
            before = self.contents
            self.contents = {k: v for k, v in before.items() if k != key}
            self._world.stored(key, before, news=True)

    def _write(self, key: str, make: Callable[[int], object], *, news: bool = True) -> int:
        self.revision += 1
        before = self.contents
        known = before.get(key)
        since = self.revision if news or known is None else known.news
        value = Stored(make(self.revision), self.revision, since)
        if key.startswith("services/"):
            self._snapshots.append((self._engine.now, before))
        self.contents = {**before, key: value}
        self._world.stored(key, before, news=news)
        return self.revision

    def _run_out(self, key: str) -> None:
        """Whoever watches hears of it; a lease that was granted again goes on."""
        left_s = self._leases.get(key, 0.0) - self._engine.now
        if left_s > 0:
            self._engine.after(left_s, self._run_out, key)
        elif self.leader is None or not self._leads(self.leader):
            self._engine.after(REVOKE_S, self._run_out, key)  # only a leader revokes
        else:
            self._expire()

    def _expire(self) -> None:
        if self._leases:
            now = self._engine.now
            gone = [key for key, until in self._leases.items() if until <= now]
            for key in gone:
                del self._leases[key]
                self.delete(key)

    def restore(self) -> None:
        """Set back to the snapshot before the last epoch was raised; revisions go on above."""
        if self._snapshots:
            _, old = self._snapshots.pop()
            self.revision += 1000
            self.contents = old
            self._world.stored("", {}, news=True)
