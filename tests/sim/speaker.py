"""Each data site's speaker and the ExaBGP that started it: the real dialogue over a modelled pipe.

ExaBGP has the habits that are pinned of the real one (tests/foreign): it reads one line after the
other, `done` means read and not sent, the first withdrawal of a session is swallowed, what it is
told while the session is down it may send when the next one comes up, and nothing else is kept. It
can be slow, and it can refuse. The speaker alone may be started again: its successor finds a
session that holds what the former one said, and an answer that is not for it.

While nothing is amiss the harmless question for the sessions is asked every few seconds only.
"""

import math
from typing import TYPE_CHECKING, Final

from bgp.dialogue import ASK_S, Dialogue
from bgp.exabgp_api import SHOW_SESSIONS
from bgp.messages import AnnounceRequest
from bgp.permit import Wish
from bgp.policy import Stance
from controller.core.model import ServiceName, SiteName
from tests.sim.engine import Clock, Process
from tests.sim.exabgp import Update, listing, prefix_of, session_line, spec_of, understood

if TYPE_CHECKING:
    from tests.sim.world import World

HOLD_S: Final = 9.0
PERMIT_S: Final = 10.0
CALM_S: Final = 5.0  # between two questions while nothing is amiss
RESTLESS_S: Final = 4.0  # after something was: longer than it waits before it says a thing again

Epochs = dict[str, int]  # in whose name each service's route is said


class Speaker:
    """The speaker of one site, and the ExaBGP it lives in."""

    def __init__(self, world: "World", site: SiteName) -> None:
        self._world, self.site = world, site
        self.process = Process(world.engine, Clock(world.engine, 0.0), f"exabgp at {site}")
        names = [str(name) for name in world.specs]
        self._spec = spec_of(names, PERMIT_S)
        self._service_of = {prefix_of(n): ServiceName(name) for n, name in enumerate(names)}
        self.session_up = False
        self.slow_s = 0.0  # ExaBGP reads and answers so much later
        self.refuses = False  # it answers `error` to every route
        self._swallowed = False  # the first withdrawal of this session
        self._left: list[tuple[Update, Epochs]] = []  # told while the session was down
        self._arrives: dict[str, float] = {}
        self._restless_until = 0.0
        self._waked = 0
        self.boot()

    def boot(self) -> None:
        """ExaBGP starts its speaker, which knows nothing; its session comes up."""
        if self.process.alive:
            return
        self.process.begin()
        self._left = []
        self.speak_anew()
        self._down()
        self.process.after(self._world.engine.draw(0.1, 1.0), self.review_session)

    def speak_anew(self) -> None:
        """The speaker alone has been started again."""
        self.dialogue = Dialogue(self._spec, self.now)
        self._restless()
        self._go_on()

    @property
    def now(self) -> float:
        """This host's clock."""
        return self.process.clock.now()

    def in_force(self) -> dict[str, Wish]:
        """What each service says now."""
        return self.dialogue.permit.in_force(self.now)

    def take(self, wanted: dict[str, Wish], sent_at: float) -> bool:
        """A wanted set from the controller; whether it was taken."""
        request = AnnounceRequest(number=1, wanted=wanted, permit_s=PERMIT_S, sent_at=sent_at)
        if self.dialogue.asked(request, self.now).error:
            return False
        self._go_on()
        return True

    # --- the pipe ----------------------------------------------------------------------------

    def _go_on(self) -> None:
        """The next line is written, or the speaker waits until there may be one."""
        now = self.now
        line = self.dialogue.next_command(now)
        if line is None:
            self._wake_in(self.dialogue.wake_in(now), now)
            return
        epochs = {} if line == SHOW_SESSIONS else {n: w.epoch for n, w in self.in_force().items()}
        delay_s = self._world.engine.draw(0.0005, 0.003) + self.slow_s
        self.process.after(delay_s, self._read, line, epochs)

    def _wake_in(self, left_s: float, now: float) -> None:
        if left_s <= ASK_S and now > self._restless_until:
            left_s = min(CALM_S, self.dialogue.permit.changes_at(now) - now)
        self._waked += 1
        if left_s < math.inf:
            self.process.after(left_s + 0.001, self._wake, self._waked)

    def _wake(self, number: int) -> None:
        if number == self._waked:
            self._go_on()

    def _restless(self) -> None:
        self._restless_until = self.now + RESTLESS_S

    def _hear(self, line: str) -> None:
        self.dialogue.heard(line, self.now)
        self._go_on()

    def _read(self, line: str, epochs: Epochs) -> None:
        """ExaBGP has read a line."""
        answer = "done"
        if line == SHOW_SESSIONS:
            self.dialogue.heard(listing(up=self.session_up), self.now)
        elif self.refuses:
            self._restless()
            answer = "error"
        else:
            self._obey(understood(line), epochs)
        self._hear(answer)

    def _obey(self, update: Update, epochs: Epochs) -> None:
        if not self.session_up:
            self._left.append((update, epochs))
        elif update.stance is Stance.WITHDRAWN and not self._swallowed:
            self._swallowed = True
        else:
            self._send(update, epochs)
            return
        self._restless()

    def _send(self, update: Update, epochs: Epochs) -> None:
        """It leaves on the wire; one session is one TCP connection: none overtakes another."""
        world = self._world
        self.dialogue.heard(update.line, self.now)
        for provider in world.providers:
            delay_s = world.engine.draw(0.005, 0.03) + world.slow_routes_s
            due = max(self.now + delay_s, self._arrives.get(provider, 0.0))
            self._arrives[provider] = due
            table = world.table(provider)
            for prefix in update.prefixes:
                service = self._service_of[prefix]
                said = (update.stance, epochs.get(service, 0))
                self.process.after(due - self.now, table.heard, service, self.site, said)

    # --- the session -------------------------------------------------------------------------

    def review_session(self) -> None:
        """The session follows the process and the link."""
        world = self._world
        can = self.process.works and world.network.internet(self.site)
        if can and not self.session_up:
            self._up()
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

    def _up(self) -> None:
        self.session_up, self._swallowed = True, False
        self._restless()
        self.process.after(0.0, self._hear, session_line(up=True))
        left, self._left = self._left, []
        for update, epochs in left:
            if self._world.engine.chance(0.5):
                self.process.after(0.0, self._send, update, epochs)

    def _down(self) -> None:
        """The neighbors drop everything, but for the stuck."""
        if not self.session_up:
            return
        self.session_up = False
        for provider in self._world.providers:
            self._world.table(provider).gone(self.site)
        self.process.after(0.0, self._hear, session_line(up=False))
        if self.process.works:
            self.process.after(1.0, self.review_session)
