"""How alive the other sites look: heartbeats, and probes of their data path.

At rest the data path is probed seldom. Once heartbeats of a site are late it is probed at full
pace, so that a dead controller and a dead site can be told apart when the suspicion time is over:
a success from before the cut is then already older than that.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from controller.core import sightings
from controller.core.model import FOREVER_S, Instant, Seen, ServiceName, SiteName
from controller.ports import Clock, Heartbeats, Prober
from controller.runtime import beat
from controller.runtime.standstill import Standstill

NEWS_S = 3.0  # a site that has been silent for longer is a state, no news
JUST_AFTER_S = 0.001
REST_PROBE_S = 1.5  # between two probes of a data path while its site is heard
SETTLE_S = 1.0  # what a daemon that has just started has not seen yet is no evidence of silence
# Nor is what one has not seen that stood still; it is asked at every heartbeat. A hitch does not
# count as time in which others were silent; after a stall it settles anew.
HITCH_BEATS = 2
STALL_BEATS = 5


@dataclass(slots=True)
class Watched:
    """The data path of one site: haproxy, and each service's databases."""

    front: Prober | None
    data: Mapping[ServiceName, tuple[Prober, ...]]
    front_at: Instant | None = None
    data_at: dict[ServiceName, Instant] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbePace:
    """When a site is late, and how often its data path is probed while one is, or none."""

    late_after_s: float
    busy_s: float
    rest_s: float
    hitch_s: float  # not asked for so long, the daemon stood still
    stall_s: float  # and for so long, it has to settle


class Hearing:
    """Ages of the last signs of life of every other site, as seen here and as told by others."""

    def __init__(
        self,
        *,
        heartbeats: Heartbeats,
        watched: Mapping[SiteName, Watched],
        services: Sequence[ServiceName],
        clock: Clock,
        pace: ProbePace,
    ) -> None:
        self._heartbeats = heartbeats
        self._watched = watched
        self._services = tuple(sorted(services))
        self._clock = clock
        self._pace = pace
        now = clock.monotonic()
        self._settled = Instant(now + SETTLE_S)
        self._standstill = Standstill(now, hitch_s=pace.hitch_s)
        self._alarm = asyncio.Event()

    def _since(self, at: Instant | None) -> float:
        """An age; never older than this daemon's start, or its last stall, and settling."""
        now = self._now()
        since = max(at or self._settled, self._settled)
        return max(0.0, now - since - self._standstill.since(since))

    def _now(self) -> Instant:
        """This instant, and whether the daemon stood still until now."""
        now = self._clock.monotonic()
        if self._standstill.awake(now) > self._pace.stall_s:
            self._settled = Instant(now + SETTLE_S)
        return now

    def stood_still(self, since: Instant) -> float:
        """For how much of the time since then this daemon itself stood still, seconds."""
        self._now()
        return self._standstill.since(since)

    def control_s(self, site: SiteName) -> float:
        """Since the last authentic heartbeat of `site`."""
        heard = self._heartbeats.heard().get(site)
        return self._since(None if heard is None else heard.at)

    def seen(self, site: SiteName, service: ServiceName) -> Seen:
        """All signs of life of `site`, for one service, as seen here."""
        watched = self._watched.get(site)
        front, data = FOREVER_S, FOREVER_S
        if watched is not None and watched.front is not None:
            front = self._since(watched.front_at)
            # A service without databases has no other data path than haproxy.
            probed = bool(watched.data.get(service))
            data = self._since(watched.data_at.get(service)) if probed else front
        return Seen(control_s=self.control_s(site), front_s=front, data_s=data)

    def told(self, observer: SiteName, site: SiteName, service: ServiceName) -> Seen:
        """The same as `observer` last told in a heartbeat, older by that heartbeat's age."""
        heard = self._heartbeats.heard().get(observer)
        if heard is None:
            return Seen()
        age = self._now() - heard.at - self._standstill.since(heard.at)
        told = sightings.told(heard.payload, site, service, self._services)
        return Seen(
            control_s=told.control_s + age,
            front_s=told.front_s + age,
            data_s=told.data_s + age,
        )

    def tell(self) -> dict[str, object]:
        """What this node tells of the others."""
        return sightings.tell(
            {
                site: {service: self.seen(site, service) for service in self._services}
                for site in self._watched
            }
        )

    def late(self) -> bool:
        """Some site has become late a short while ago: a decision may be near."""
        return any(self._newly_late(site) for site in self._watched)

    def listen(self) -> bool:
        """The same; and the pauses between probes end, or last again."""
        late = self.late()
        if late:
            self._alarm.set()
        else:
            self._alarm.clear()
        return late

    def late_in_s(self) -> float:
        """Until the first of the sites that are in time becomes late, if nothing more is heard."""
        left = (self._pace.late_after_s - self.control_s(site) for site in self._watched)
        return min((s for s in left if s >= 0), default=self._pace.late_after_s) + JUST_AFTER_S

    def _newly_late(self, site: SiteName) -> bool:
        over = self.control_s(site) - self._pace.late_after_s
        return 0 < over < NEWS_S

    def ages(self) -> dict[str, float]:
        """Seconds since the last heartbeat of each other site."""
        return {site: round(self.control_s(site), 3) for site in self._watched}

    async def probe_forever(self, site: SiteName) -> None:
        """The data path of `site` is probed for as long as this runs."""
        watched = self._watched[site]
        async with asyncio.TaskGroup() as tasks:
            if watched.front is not None:
                tasks.create_task(self._front_forever(site, watched, watched.front))
            for service, probers in watched.data.items():
                if probers:
                    tasks.create_task(self._data_forever(site, watched, service, probers))

    async def _front_forever(self, site: SiteName, watched: Watched, prober: Prober) -> None:
        while True:
            began = self._clock.monotonic()
            ok = (await prober.sample()).ok
            if ok:
                watched.front_at = began
            await self._pause(site, ok=ok)

    async def _data_forever(
        self,
        site: SiteName,
        watched: Watched,
        service: ServiceName,
        probers: tuple[Prober, ...],
    ) -> None:
        while True:
            began = self._clock.monotonic()
            async with asyncio.TaskGroup() as tasks:
                samples = [tasks.create_task(prober.sample()) for prober in probers]
            ok = all(task.result().ok for task in samples)
            if ok:
                watched.data_at[service] = began
            await self._pause(site, ok=ok)

    async def _pause(self, site: SiteName, *, ok: bool) -> None:
        """Long at rest. Short when the site has just become late, and for as long as it is late
        but its data path answers: then only fresh answers keep it from being given up.
        """
        rest_until = self._clock.monotonic() + beat.left_s(self._pace.rest_s)
        while (left_s := rest_until - self._clock.monotonic()) > 0:
            await asyncio.sleep(min(left_s, self._pace.busy_s))
            if self._newly_late(site) or (ok and self.control_s(site) > self._pace.late_after_s):
                return
            if not self._alarm.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(rest_until - self._clock.monotonic()):
                        await self._alarm.wait()
