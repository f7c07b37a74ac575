"""How alive the other sites look to one site: heartbeats and probes, without an event for each.

While a sign comes regularly its age is arithmetic; what breaks it stops the arithmetic at the last
one that arrived. On a link that loses datagrams each heartbeat is drawn.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.core.model import FOREVER_S, Seen, ServiceName, SiteName
from controller.runtime.hearing import HITCH_BEATS, REST_PROBE_S, SETTLE_S, STALL_BEATS
from tests.sim.engine import Process
from tests.sim.network import Traffic

if TYPE_CHECKING:
    from tests.sim.world import World

NEWS_S = 3.0
ECHOES = 64  # a heartbeat is believed that echoes one of the last so many that we sent


@dataclass(slots=True)
class Sign:
    """One kind of sign of life of one site, in true time."""

    period_s: float
    flows: bool = False
    since: float = 0.0  # it flows from then on
    last: float = float("-inf")  # the last one before that

    def at(self, now: float) -> float:
        """When the newest sign before `now` came."""
        if self.flows and now >= self.since:
            return now - (now - self.since) % self.period_s
        return self.last

    def flowing_s(self, now: float) -> float:
        """For how long it has flowed without a break."""
        return max(0.0, now - self.since) if self.flows else 0.0

    def stop(self, now: float) -> None:
        """None comes any more."""
        if self.flows:
            self.last, self.flows = self.at(now), False

    def start(self, now: float, delay_s: float) -> None:
        """The next one comes in `delay_s`, then regularly."""
        if not self.flows:
            self.flows, self.since = True, now + delay_s

    def pace(self, now: float, period_s: float, delay_s: float) -> None:
        """From now on at another pace."""
        if self.flows and period_s != self.period_s:
            self.last, self.since = self.at(now), now + delay_s
        self.period_s = period_s


class Senses:
    """The eyes and ears of one node."""

    def __init__(self, world: "World", site: SiteName, process: Process) -> None:
        self._world, self._site, self._process = world, site, process
        self._engine = world.engine
        timings = world.timings
        self._beat_s = world.heartbeat_s
        self.late_after_s = max(2.5 * self._beat_s, timings.suspect_after_s / 2)
        self._others = tuple(other for other in world.sites if other != site)
        self._data_others = tuple(o for o in world.data_sites if o != site)
        self.started()

    def started(self) -> None:
        """The daemon has just started: it has heard nobody."""
        self._settled = self._engine.now + SETTLE_S
        self._froze_at = self._engine.now
        self._standstill: list[tuple[float, float]] = []
        beat = self._beat_s
        self.control = {other: Sign(beat) for other in self._others}
        self.front = {other: Sign(REST_PROBE_S) for other in self._data_others}
        self.data = {
            (other, service): Sign(REST_PROBE_S)
            for other in self._data_others
            for service, spec in self._world.specs.items()
            if spec.databases
        }
        self._mute_since: dict[SiteName, float] = {}
        self._hasty: set[SiteName] = set()
        self._lossy: set[SiteName] = set()
        self._told: dict[SiteName, dict[tuple[SiteName, ServiceName], Seen]] = {}
        self._listen_anew()

    def _listen_anew(self) -> None:
        """Whoever has not been heard by then is late."""
        for other in self._others:
            self._process.after(SETTLE_S + self.late_after_s, self._newly_late, other)

    def froze(self) -> None:
        """It stands still."""
        self._froze_at = self._engine.now
        for observer, sign in self.control.items():
            if sign.flows:
                self._keep_told(observer)

    def awoke(self) -> None:
        """It was frozen: what came meanwhile is read now, or a moment later."""
        now = self._engine.now
        if now - self._froze_at > HITCH_BEATS * self._beat_s:
            self._standstill.append((self._froze_at, now))
        if now - self._froze_at > STALL_BEATS * self._beat_s:
            self._settled = now + SETTLE_S
            self._listen_anew()
        for sign in self.control.values():
            if sign.flows and self._engine.chance(0.5):
                sign.last, sign.since = self._froze_at, now + self._engine.draw(0.0, 0.02)

    # --- what breaks and mends the signs -----------------------------------------------------

    def review(self) -> None:
        """After any change outside: each sign flows or does not."""
        if not self._process.works:
            return
        world, now = self._world, self._engine.now
        for other in self._others:
            sign = self.control[other]
            flows = self._heartbeats_come(other)
            loss = world.network.loss(other, self._site)
            if flows and loss:
                sign.stop(now)
                if other not in self._lossy:
                    self._lossy.add(other)
                    self._draw_beat(other)
            elif flows:
                sign.start(now, self._engine.draw(0.001, self._beat_s))
                self._hasty.discard(other)
            elif sign.flows:
                self._keep_told(other)
                sign.stop(now)
                self._process.after(self.late_after_s, self._newly_late, other)
        for other in self._data_others:
            path = world.network.path(self._site, other, Traffic.DATA)
            pace = self._pace(other)
            self._set(self.front[other], flows=path and world.balancers[other].answers, pace=pace)
            for service, spec in world.specs.items():
                if spec.databases:
                    answers = path and all(world.servers[name][other].up for name in spec.databases)
                    self._set(self.data[other, service], flows=answers, pace=pace)

    def _heartbeats_come(self, other: SiteName) -> bool:
        """They arrive, and are believed: what they echo of ours is not too old."""
        network, now = self._world.network, self._engine.now
        if network.hears(other, self._site, Traffic.CONTROL):
            self._mute_since.pop(other, None)
        elif other not in self._mute_since:
            self._mute_since[other] = now
            self._engine.after(ECHOES * self._beat_s, self.review)
        muted_s = now - self._mute_since.get(other, now)
        return (
            self._world.node(other).works
            and network.hears(self._site, other, Traffic.CONTROL)
            and muted_s < ECHOES * self._beat_s * 0.999
        )

    def _set(self, sign: Sign, *, flows: bool, pace: float) -> None:
        now = self._engine.now
        if flows:
            sign.start(now, self._engine.draw(0.001, pace))
            sign.pace(now, pace, self._engine.draw(0.001, pace))
        else:
            sign.stop(now)
            sign.period_s = pace

    def _pace(self, other: SiteName) -> float:
        """Long at rest; at full pace when its heartbeats are late."""
        return self._world.probe_s / 2 if other in self._hasty else REST_PROBE_S

    def _newly_late(self, other: SiteName) -> None:
        left_s = self.late_after_s * 0.999 - self.control_s(other)
        if left_s <= 0:
            self._hasty.add(other)
            self.review()
            self._world.late(self._site)
            return
        self._hasty.discard(other)
        if not self.control[other].flows and other not in self._lossy:
            # We stood still ourselves; and no shorter, or a slow clock never gets there.
            self._process.after(max(left_s, self._beat_s / 10), self._newly_late, other)

    def _draw_beat(self, other: SiteName) -> None:
        """One heartbeat over a link that loses some."""
        world = self._world
        loss = world.network.loss(other, self._site)
        flows = world.node(other).works and world.network.hears(self._site, other, Traffic.CONTROL)
        if not loss or not flows:
            self._lossy.discard(other)
            self.review()
            return
        if not self._engine.chance(loss):
            self.control[other].last = self._engine.now
            self._keep_told(other)
        elif self.control_s(other) > self.late_after_s:
            self._newly_late(other)
        self._process.after(self._beat_s, self._draw_beat, other)

    def beat_arrived(self, other: SiteName) -> None:
        """A heartbeat that was late comes now."""
        self.control[other].last = self._engine.now

    # --- what is seen ------------------------------------------------------------------------

    def _age(self, at: float, now: float) -> float:
        """Never older than the daemon's own start and the time it needs to settle."""
        settled = self._settled
        since = at if at > settled else settled
        age = now - since
        if self._standstill:
            age -= self.stood_still(since)
        return age * self._process.clock.rate if age > 0.0 else 0.0

    def stood_still(self, since: float) -> float:
        """For how long of the true time since then."""
        return sum(ended - max(began, since) for began, ended in self._standstill if ended > since)

    def control_s(self, other: SiteName) -> float:
        """Since the last heartbeat."""
        now = self._engine.now
        return self._age(self.control[other].at(now), now)

    def heard(self, other: SiteName) -> bool:
        """It is not late."""
        return self.control_s(other) <= self.late_after_s

    def seen(self, other: SiteName, service: ServiceName) -> Seen:
        """All signs of one site, for one service, as seen here now."""
        return self._seen_at(other, service, self._engine.now)

    def _seen_at(self, other: SiteName, service: ServiceName, now: float) -> Seen:
        control = self._age(self.control[other].at(now), now)
        sign = self.front.get(other)
        if sign is None:
            return Seen(control_s=control)
        front = self._age(sign.at(now), now)
        probed = self.data.get((other, service))
        data = front if probed is None else self._age(probed.at(now), now)
        return Seen(control_s=control, front_s=front, data_s=data)

    def told(self, observer: SiteName, other: SiteName, service: ServiceName) -> Seen:
        """The same as `observer` last told in a heartbeat, older by that heartbeat's age."""
        now = self._engine.now
        sign = self.control[observer]
        at = sign.at(now)
        if at == float("-inf"):
            return Seen()
        age = now - at - self.stood_still(at)
        if sign.flows and now >= sign.since:
            theirs = self._world.senses(observer)
            seen = None if theirs is None else theirs._seen_at(other, service, at)
        else:
            seen = self._told.get(observer, {}).get((other, service))
        if seen is None:
            return Seen()
        return Seen(
            control_s=seen.control_s + age,
            front_s=seen.front_s + age if seen.front_s < FOREVER_S else FOREVER_S,
            data_s=seen.data_s + age if seen.data_s < FOREVER_S else FOREVER_S,
        )

    def _keep_told(self, observer: SiteName) -> None:
        """What its last heartbeat said stays known."""
        theirs = self._world.senses(observer)
        if theirs is None or observer not in self._world.witnesses:
            return
        at = self.control[observer].at(self._engine.now)
        self._told[observer] = {
            (other, service): theirs._seen_at(other, service, at)
            for other in self._world.data_sites
            if other != self._site
            for service in self._world.specs
        }

    def late(self) -> bool:
        """Some site has become late a short while ago."""
        now, after = self._engine.now, self.late_after_s
        for sign in self.control.values():
            if sign.flows and now >= sign.since:
                continue  # the last one came less than a period ago
            if after < self._age(sign.last, now) < after + NEWS_S:
                return True
        return False
