"""A site's report: put at once when something that others decide on has changed, and now and then.

The digest that tells what is news is the real one; a part of the reports with news goes
through the real codec.
"""

from collections.abc import Hashable
from typing import TYPE_CHECKING

from controller.core.model import Report, ServiceName, ServiceReport, SiteName
from controller.core.wire import decode_report, encode_report
from controller.runtime.publish import digest
from tests.sim.engine import Process
from tests.sim.store import LOST

if TYPE_CHECKING:
    from tests.sim.world import World

EVERY_S = 1.0
LEASE_S = 10.0
DEADLINE_S = 1.0
CODEC = 0.1  # how many of the reports with news go through the codec; it costs more than all else


class Publisher:
    """Puts one site's report for ever."""

    def __init__(self, world: "World", site: SiteName, process: Process) -> None:
        self._world, self._site, self._process = world, site, process
        self._key = f"sites/{site}"
        self.boots = 0
        self.forget()

    def forget(self) -> None:
        """A daemon that has just started has told nothing."""
        self.boots += 1
        self._services: dict[ServiceName, ServiceReport] = {}
        self._digests: dict[ServiceName, Hashable] = {}
        self._news = self._putting = False
        self._put_at = float("-inf")
        if self._process.alive:
            self._process.after(EVERY_S, self._now_and_then)

    def update(self, report: ServiceReport) -> None:
        """The newest report of one service."""
        self._services[report.service] = report
        self._world.seals_shown(self._site, report)
        found = digest(report)
        if self._digests.get(report.service) != found:
            self._digests[report.service] = found
            self._news = True
            self._put()

    def _now_and_then(self) -> None:
        if self._world.engine.now - self._put_at > EVERY_S * 0.9:
            self._put()
        self._process.after(EVERY_S, self._now_and_then)

    def _put(self) -> None:
        if self._putting or not self._services:
            return
        news, self._news, self._putting = self._news, False, True
        report = Report(
            site=self._site,
            boot=str(self.boots),
            version="sim",
            at="",
            services=tuple(self._services.values()),
        )
        if news and self._world.engine.chance(CODEC):
            report = decode_report(self._key, encode_report(report))
        world = self._world

        def work() -> object:
            return world.store.put(self._key, lambda _: report, LEASE_S, news=news)

        def reply(result: object) -> None:
            self._putting = False
            self._put_at = world.engine.now
            if result is LOST:
                self._news = self._news or news
                self._process.after(0.05, self._put)
            elif self._news:
                self._put()

        if not news and world.store.ready(self._site):
            reply(work())  # to say again that one is alive takes no time worth an event
            return
        world.store.ask(self._process, self._site, DEADLINE_S, work, reply)
