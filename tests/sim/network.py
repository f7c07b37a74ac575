"""Directed links between places, by class of traffic: cut, slow, lossy, one way or both.

A link that is cut drops silently, as real ones do. TCP needs both directions; a connection lives
through a cut that is shorter than its owners' patience, and goes on where it stopped.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum

from controller.core.model import SiteName
from tests.sim.engine import Engine


class Traffic(StrEnum):
    """What a packet belongs to."""

    CONTROL = "control"  # heartbeats
    STORE = "store"
    REPLICATION = "replication"
    DATA = "data"  # probes of the data path, requests forwarded between sites
    AGENT = "agent"  # ssh to a host agent


EVERYTHING = frozenset(Traffic)
Link = tuple[SiteName, SiteName]


class Network:
    """Who reaches whom, how slowly, and who is told when that changes."""

    def __init__(self, engine: Engine, places: Iterable[SiteName], delay_s: float) -> None:
        self._engine = engine
        self.places = tuple(places)
        self.delay_s = delay_s
        self._cut: dict[Link, frozenset[Traffic]] = {}
        self._loss: dict[Link, float] = {}
        self._slow: dict[Link, float] = {}
        self._internet_cut: set[SiteName] = set()
        self._dark: set[SiteName] = set()  # without power: nothing is sent, not even a reset
        self._watchers: list[Callable[[], None]] = []

    def watch(self, call: Callable[[], None]) -> None:
        """`call` after every change."""
        self._watchers.append(call)

    def hears(self, receiver: SiteName, sender: SiteName, traffic: Traffic) -> bool:
        """A packet from `sender` may arrive at `receiver`."""
        if self._dark and (receiver in self._dark or sender in self._dark):
            return False
        cut = self._cut
        return receiver == sender or not cut or traffic not in cut.get((sender, receiver), ())

    def path(self, one: SiteName, other: SiteName, traffic: Traffic) -> bool:
        """Both directions: a conversation is possible."""
        if self._dark and (one in self._dark or other in self._dark):
            return False
        cut = self._cut
        return (
            not cut
            or one == other
            or (
                traffic not in cut.get((one, other), ())
                and traffic not in cut.get((other, one), ())
            )
        )

    def loss(self, sender: SiteName, receiver: SiteName) -> float:
        """How many datagrams of 1 are lost."""
        return self._loss.get((sender, receiver), 0.0)

    def delay(self, sender: SiteName, receiver: SiteName) -> float:
        """How long a packet takes this time. Loss shows as a retransmission."""
        draw = self._engine.dice.random()
        if sender == receiver:
            return 0.0001 + 0.0004 * draw
        seconds = self.delay_s * (0.5 + draw)
        if self._slow:
            seconds += self._slow.get((sender, receiver), 0.0) * (0.5 + draw)
        if self._loss:
            loss, wait = self._loss.get((sender, receiver), 0.0), 0.2
            while loss and wait < 3.0 and self._engine.chance(loss):
                seconds += wait
                wait *= 2
        return seconds

    def internet(self, site: SiteName) -> bool:
        """Packets of clients get to `site` and answers back."""
        return site not in self._internet_cut and site not in self._dark

    # --- what breaks it ----------------------------------------------------------------------

    def cut(self, classes: frozenset[Traffic], *links: Link) -> None:
        """Nothing of `classes` arrives any more, from the first of each link to the second."""
        for link in links:
            self._cut[link] = self._cut.get(link, frozenset()) | classes
        self.tell()

    def heal(self, classes: frozenset[Traffic], *links: Link) -> None:
        """`classes` arrive again."""
        for link in links:
            left = self._cut.pop(link, frozenset()) - classes
            if left:
                self._cut[link] = left
        self.tell()

    def all_links(self, site: SiteName) -> tuple[Link, ...]:
        """Both directions to every other place."""
        others = [other for other in self.places if other != site]
        return tuple(link for other in others for link in ((site, other), (other, site)))

    def cut_internet(self, site: SiteName) -> None:
        """The site's providers carry nothing."""
        self._internet_cut.add(site)
        self.tell()

    def heal_internet(self, site: SiteName) -> None:
        """They carry again."""
        self._internet_cut.discard(site)
        self.tell()

    def darken(self, site: SiteName, *, dark: bool) -> None:
        """The site has no power, or has it again."""
        (self._dark.add if dark else self._dark.discard)(site)
        self.tell()

    def degrade(self, one: SiteName, other: SiteName, *, loss: float, delay_s: float) -> None:
        """Both directions lose and delay; zeros mend."""
        for link in ((one, other), (other, one)):
            self._loss.pop(link, None)
            self._slow.pop(link, None)
            if loss:
                self._loss[link] = loss
            if delay_s:
                self._slow[link] = delay_s
        self.tell()

    def mend(self) -> None:
        """As new."""
        self._cut.clear()
        self._loss.clear()
        self._slow.clear()
        self._internet_cut.clear()
        self._dark.clear()
        self.tell()

    def tell(self) -> None:
        """Whoever depends on it looks again."""
        for call in self._watchers:
            call()
