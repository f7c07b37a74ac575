"""Routes: each data site's speaker and ExaBGP, the providers' tables, and where packets enter.

The permit and the policy are the real ones. Each data site has a provider of its own; a client of a
provider sees both sites' routes, the other provider's one hop longer. A session that dies
silently is noticed after the hold time; a stuck provider keeps what it was told for ever.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from bgp.permit import Denied, Permit, Wish
from bgp.policy import Policy, Stance
from controller.core.model import ServiceName, SiteName
from tests.sim import truth
from tests.sim.engine import Clock, Process

if TYPE_CHECKING:
    from tests.sim.world import World

HOLD_S = 9.0
HOLD_TRAFFIC_S = 2.0
PERMIT_S = 10.0
POLICY = Policy(local_as=64512)
Said = tuple[Stance, int]


class Speaker:
    """The speaker of one site, and the ExaBGP it lives in."""

    def __init__(self, world: "World", site: SiteName) -> None:
        self._world, self.site = world, site
        self.process = Process(world.engine, Clock(world.engine, 0.0), f"exabgp at {site}")
        self.session_up = False
        self._told: dict[ServiceName, Said] = {}
        self._arrives: dict[str, float] = {}
        self._review_asked = 0
        self.boot()

    def boot(self) -> None:
        """ExaBGP starts its speaker, which knows nothing; its session comes up."""
        if self.process.alive:
            return
        self.process.begin()
        services = frozenset(str(name) for name in self._world.specs)
        self.permit = Permit.at_start(services, self.now, PERMIT_S)
        self._told = {}
        self.process.after(self._world.engine.draw(0.1, 1.0), self.review_session)
        self._wake_at_change()

    @property
    def now(self) -> float:
        """This host's clock."""
        return self.process.clock.now()

    def in_force(self) -> dict[str, Wish]:
        """What each service says now."""
        return self.permit.in_force(self.now)

    def take(self, wanted: dict[str, Wish], sent_at: float) -> bool:
        """A wanted set from the controller; whether it was taken."""
        try:
            self.permit = self.permit.renewed(wanted, sent_at, PERMIT_S, self.now)
        except Denied:
            return False
        self.say()
        self._wake_at_change()
        return True

    def _wake_at_change(self) -> None:
        left = self.permit.changes_at(self.now) - self.now
        if left < 1e6:
            self._review_asked += 1
            self.process.after(left + 0.001, self._changed, self._review_asked)

    def _changed(self, number: int) -> None:
        if number == self._review_asked:
            self.say()
            self._wake_at_change()

    def say(self) -> None:
        """What differs from what the neighbors were told is told."""
        if not self.session_up:
            return
        for name, wish in self.in_force().items():
            service = ServiceName(name)
            said = (wish.stance, wish.epoch)
            if self._told.get(service) != said:
                self._told[service] = said
                for provider in self._world.providers:
                    delay = self._world.engine.draw(0.005, 0.03) + self._world.slow_routes_s
                    # One session is one TCP connection: no update overtakes another.
                    due = max(self.now + delay, self._arrives.get(provider, 0.0))
                    self._arrives[provider] = due
                    self.process.after(
                        due - self.now, self._world.table(provider).heard, service, self.site, said
                    )

    def review_session(self) -> None:
        """The session follows the process and the link."""
        world = self._world
        can = self.process.works and world.network.internet(self.site)
        if can and not self.session_up:
            self.session_up = True
            self._told = {}
            self.say()
        elif not can and self.session_up:
            if not self.process.alive and world.network.internet(self.site):
                self._down()
            else:
                world.engine.after(HOLD_S, self._hold_over)

    def start_over(self) -> None:
        """The session is begun anew: everything is said again."""
        if self.session_up:
            self._down()
        self.process.after(0.05, self.review_session)

    def _hold_over(self) -> None:
        if not (self.process.works and self._world.network.internet(self.site)):
            self._down()

    def _down(self) -> None:
        """The neighbors drop everything, but for the stuck."""
        if self.session_up:
            self.session_up = False
            for provider in self._world.providers:
                self._world.table(provider).gone(self.site)
            if self.process.works:
                self.process.after(1.0, self.review_session)


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
            attributes = POLICY.attributes(said[0])
            if attributes is None:
                continue
            length = 2 * len(attributes.as_path.asns) + (0 if site == self.home else 1)
            if self.local_pref and site == self.home:
                length = 0
            if length < shortest:
                best, shortest = site, length
        return best


class Balancer:
    """One site's haproxy."""

    def __init__(self, world: "World", site: SiteName) -> None:
        self._world, self.site = world, site
        self.process = Process(world.engine, Clock(world.engine, 0.0), f"haproxy at {site}")
        self.process.begin()
        self.directed: dict[ServiceName, SiteName | None] = dict.fromkeys(world.specs)
        self.held: dict[ServiceName, list[Callable[[], None]]] = {}
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
        """New requests wait, but never longer than haproxy lets them."""
        if service not in self.held:
            waiting = self.held[service] = []
            self.process.after(HOLD_TRAFFIC_S, self._held_enough, service, waiting)
            self._world.touched(self.site)

    def _held_enough(self, service: ServiceName, waiting: list[Callable[[], None]]) -> None:
        if self.held.get(service) is waiting:
            self._let_go(service)

    def _let_go(self, service: ServiceName) -> None:
        for go_on in self.held.pop(service, ()):
            go_on()
        self._world.touched(self.site)

    def direct(self, service: ServiceName, to: SiteName | None) -> None:
        """Requests go to the app servers of `to`; 503 when None."""
        if self.directed[service] != to:
            self.directed[service] = to
            self._world.tell(truth.Directed(self._world.engine.now, service, self.site, to))
            self._world.touched(self.site)
        self._let_go(service)
