"""The daemon of one data site: its services' loops, and what they share."""

from typing import TYPE_CHECKING

from bgp.permit import Wish
from controller.core.model import ServiceName, SiteName
from tests.sim import truth
from tests.sim.daemon import ServiceLoop
from tests.sim.engine import Clock, Process
from tests.sim.knowledge import Knowledge
from tests.sim.publisher import Publisher
from tests.sim.senses import Senses
from tests.sim.speaker import PERMIT_S

if TYPE_CHECKING:
    from tests.sim.world import World


LOOK_S = 0.025  # what a turn waits for looks, at most; what else comes meanwhile is seen by it


class Controller:
    """The daemon of one data site."""

    def __init__(self, world: "World", site: SiteName) -> None:
        self.world, self.site = world, site
        self.process = Process(world.engine, Clock(world.engine, 1000.0), f"controller at {site}")
        self.knowledge = Knowledge(world, site, self.process)
        self.senses = Senses(world, site, self.process)
        self.publisher = Publisher(world, site, self.process)
        self.wishes: dict[ServiceName, tuple[Wish, float]] = {}
        self.loops = {name: ServiceLoop(self, spec) for name, spec in world.specs.items()}
        self._sent = float("-inf")
        self._started = 0.0

    def boot(self) -> None:
        """It starts, and reads its promises."""
        if self.process.alive or not self.world.power[self.site]:
            return
        self.process.begin()
        self.knowledge.forget()
        self.senses.started()
        self.publisher.forget()
        self.wishes, self._sent = {}, float("-inf")
        self._started = self.process.clock.now()
        for loop in self.loops.values():
            loop.forget()
            self.world.tell(
                truth.PromiseRead(self.world.engine.now, loop.spec.name, self.site, loop.promised)
            )
            loop.poke(0.02)
        self.world.review()
        self.process.after(1.0, self._keep_house)

    def hinted(self) -> None:
        """The store's watch."""
        self.knowledge.hint(self.world.engine.draw(0.001, 0.006), self._wake)

    def _wake(self) -> None:
        for loop in self.loops.values():
            loop.poke(self.world.engine.draw(0.001, LOOK_S))

    def stir(self) -> None:
        """Something is about to happen."""
        if self.process.alive:
            for loop in self.loops.values():
                loop.stir()

    def late(self) -> None:
        """Some site has become late."""
        for loop in self.loops.values():
            loop.poke(self.world.engine.draw(0.0, 0.03))

    def _keep_house(self) -> None:
        """Permits, and the mark of a role change for the flap window."""
        if self._now() - self._sent >= PERMIT_S / 3:
            self.send_wishes()
        for loop in self.loops.values():
            self.world.remember_change(loop)
        self.process.after(1.0, self._keep_house)

    def _now(self) -> float:
        return self.process.clock.now()

    def stand_by(self, service: ServiceName, wish: Wish) -> None:
        """The loop of `service` still wants this."""
        self.wishes[service] = (wish, self._now())

    def send_wishes(self) -> bool:
        """The speaker takes the whole wanted set; a service whose loop has stopped drops out."""
        speaker = self.world.speakers[self.site]
        oldest = self._now() - PERMIT_S / 2
        wanted = {str(n): wish for n, (wish, at) in self.wishes.items() if at >= oldest}
        if not wanted or not speaker.process.works:
            return False
        if self._now() - self._started <= PERMIT_S:
            wanted = {**speaker.in_force(), **wanted}  # not yet spoken for: left as it is
        self._sent = self._now()
        return speaker.take(wanted, speaker.now)
