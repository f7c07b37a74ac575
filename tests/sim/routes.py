"""Routes: the providers' tables, where packets enter, and each site's haproxy.

Each data site has a provider of its own; a client of a
provider sees both sites' routes, the other provider's one hop longer. A session that dies
silently is noticed after the hold time; a stuck provider keeps what it was told for ever.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from bgp.policy import Stance
from controller.core.model import ServiceName, SiteName
from tests.sim import truth
from tests.sim.engine import Clock, Process
from tests.sim.exabgp import POLICY

if TYPE_CHECKING:
    from tests.sim.world import World

HOLD_TRAFFIC_S = 5.0  # configs/haproxy.cfg
Said = tuple[Stance, int]


class Table:
    """The routes one provider has for the service addresses."""

    def __init__(self, world: "World", provider: str, home: SiteName) -> None:
        self._world, self.provider, self.home = world, provider, home
        self.routes: dict[tuple[ServiceName, SiteName], Said] = {}
        self.stuck: set[SiteName] = set()
        self.local_pref = False  # its own customer's route wins whatever its length

    def heard(self, service: ServiceName, site: SiteName, said: Said) -> None:
        """An update has come."""
        if site in self.stuck:
            return
        if said[0] is Stance.WITHDRAWN:
            self._forget(service, site)
            return
        self.routes[service, site] = said
        self._tell(service, site, said)

    def gone(self, site: SiteName) -> None:
        """The session is over."""
        if site not in self.stuck:
            for service in self._world.specs:
                self._forget(service, site)

    def _forget(self, service: ServiceName, site: SiteName) -> None:
        if self.routes.pop((service, site), None) is not None:
            self._tell(service, site, None)

    def _tell(self, service: ServiceName, site: SiteName, said: Said | None) -> None:
        stance, epoch = said if said is not None else (None, 0)
        self._world.tell(
            truth.RouteSeen(self._world.engine.now, service, self.provider, site, stance, epoch)
        )

    def entry(self, service: ServiceName) -> SiteName | None:
        """Where packets of this provider's clients go in."""
        best: SiteName | None = None
        shortest = 1 << 16
        for site in self._world.data_sites:
            said = self.routes.get((service, site))
            if said is None:
                continue
            asns = _asns(said[0])
            if asns is None:
                continue
            length = 2 * asns + (0 if site == self.home else 1)
            if self.local_pref and site == self.home:
                length = 0
            if length < shortest:
                best, shortest = site, length
        return best


@cache
def _asns(stance: Stance) -> int | None:
    """How long the AS path of a stance is; None: no route."""
    attributes = POLICY.attributes(stance)
    return None if attributes is None else len(attributes.as_path.asns)


class Balancer:
    """One site's haproxy."""

    def __init__(self, world: "World", site: SiteName) -> None:
        self._world, self.site = world, site
        self.process = Process(world.engine, Clock(world.engine, 0.0), f"haproxy at {site}")
        self.process.begin()
        self.directed: dict[ServiceName, SiteName | None] = dict.fromkeys(world.specs)
        self.held: dict[ServiceName, list[Callable[[], None]] | None] = {}  # None: for too long
        self._under_way: dict[ServiceName, int] = dict.fromkeys(world.specs, 0)

    @property
    def answers(self) -> bool:
        """It takes requests."""
        return self.process.works

    def in_flight(self, service: ServiceName) -> int:
        """Requests under way."""
        return self._under_way[service]

    def count(self, service: ServiceName, change: int) -> None:
        """One more, or one less, is under way."""
        self._under_way[service] += change
        if service in self.held and not self._under_way[service]:
            self._world.touched(self.site)

    def hold(self, service: ServiceName) -> None:
        """New requests wait, but no longer than its gate lets them, once closed."""
        if service not in self.held:
            waiting = self.held[service] = []
            self.process.after(HOLD_TRAFFIC_S, self._held_enough, service, waiting)
            self._world.touched(self.site)

    def _held_enough(self, service: ServiceName, waiting: list[Callable[[], None]]) -> None:
        if self.held.get(service) is waiting:
            self.held[service] = None
            for go_on in waiting:
                go_on()

    def _let_go(self, service: ServiceName) -> None:
        for go_on in self.held.pop(service, None) or ():
            go_on()
        self._world.touched(self.site)

    def direct(self, service: ServiceName, to: SiteName | None) -> None:
        """Requests go to the app servers of `to`; 503 when None."""
        if self.directed[service] != to:
            self.directed[service] = to
            self._world.tell(truth.Directed(self._world.engine.now, service, self.site, to))
            self._world.touched(self.site)
        self._let_go(service)
