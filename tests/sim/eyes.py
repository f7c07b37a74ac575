"""Builds the View of one service at one site, as `controller.runtime.observe` does.

A look is a value and the instant it was made: what nobody hurries for may be up to a second old. A
server that does not answer leaves the last look standing until the look's own deadline.
"""

from typing import TYPE_CHECKING

from controller.core import troubles
from controller.core.model import (
    FOREVER_S,
    Closing,
    DatabaseName,
    DatabaseState,
    Epoch,
    Instant,
    Liveness,
    ServiceReport,
    SiteName,
)
from controller.core.view import OtherSite, OwnSide, View
from controller.runtime.observe import Proofs, weighed

if TYPE_CHECKING:
    from tests.sim.daemon import ServiceLoop

OBSERVE_S = 0.2
CALM_S = 1.5
SELDOM_S = 1.0
TICK_S = 0.25


class Eyes:
    """Looks at the databases, haproxy and the speaker of this site."""

    def __init__(self, loop: "ServiceLoop") -> None:
        self._loop, self._world, self._site = loop, loop.world, loop.site
        self._engine = loop.world.engine
        self.forget()

    def forget(self) -> None:
        """A daemon that has just started has seen nothing."""
        self.proofs = Proofs()
        self.closings: dict[SiteName, Closing] = {}  # of sites kept out, tried from here
        self.states: dict[DatabaseName, DatabaseState] = {}
        self._due: dict[DatabaseName, float] = {}
        self._late: set[DatabaseName] = set()
        self._since: dict[str, tuple[float, float]] = {}  # by our clock, in truth
        self._front_due = 0.0
        self._front = (False, False, 0, frozenset[SiteName]())
        self._held_since = 0.0
        self._spoken: tuple[object, int, int] = (None, 0, 0)
        self._other_sites = tuple(s for s in self._world.sites if s != self._site)

    # --- looking -----------------------------------------------------------------------------

    def database_changed(self, name: DatabaseName) -> float:
        """It will be seen within the returned time."""
        now, calm = self._engine.now, not self._loop.hasty()
        wait = self._engine.draw(0.0, CALM_S + TICK_S if calm else 0.03)
        self._due[name] = min(self._due.get(name, 0.0), now + wait)
        return wait

    def look(self) -> None:
        """Everything that is due has been looked at."""
        now, hasty = self._engine.now, self._loop.hasty()
        for name in self._loop.spec.databases:
            if (hasty or now >= self._due.get(name, 0.0)) and name not in self._late:
                self._look_at(name)
        if hasty or now >= self._front_due:
            self._front_due = now + SELDOM_S
            self._look_at_edge()

    def acted_on(self, name: DatabaseName | None) -> None:
        """What an intent has just changed is looked at again."""
        if name is None:
            self._front_due = 0.0
        else:
            self._due[name] = 0.0

    def _look_at(self, name: DatabaseName) -> None:
        server = self._world.servers[name][self._site]
        if server.process.alive and (server.process.frozen or server.hung):
            self._late.add(name)
            self._loop.process.after(OBSERVE_S, self._was_late, name)
            if name not in self.states:
                self.states[name] = self._unknown(name)
            return
        self.states[name] = server.state()
        self._due[name] = self._engine.now + 60.0  # or when it changes

    def _was_late(self, name: DatabaseName) -> None:
        self._late.discard(name)
        server = self._world.servers[name][self._site]
        if server.process.alive and (server.process.frozen or server.hung):
            self.states[name] = self._unknown(name)
            self._due[name] = self._engine.now + self._engine.draw(0.1, 0.5)
            self._loop.poke(self._engine.draw(0.1, 0.5))
        else:
            self._due[name] = 0.0
        self._loop.poke(0.0)

    def _unknown(self, name: DatabaseName) -> DatabaseState:
        kind = self._world.servers[name][self._site].kind
        return DatabaseState(name=name, kind=kind, liveness=Liveness.UNKNOWN)

    def unseen(self) -> frozenset[str]:
        """Lanes whose effect has not been looked at yet."""
        return frozenset(f"database:{name}" for name in self._late if self._due.get(name) == 0.0)

    def _look_at_edge(self) -> None:
        world, service = self._world, self._loop.spec.name
        balancer = world.balancers[self._site]
        if balancer.answers:
            to = balancer.directed[service]
            held = service in balancer.held
            if held and not self._front[1]:
                self._held_since = self._loop.process.clock.now()
            directed = frozenset() if to is None else frozenset({to})
            self._front = (True, held, balancer.in_flight(service), directed)
        else:
            self._front = (False, False, 0, frozenset())
        speaker = world.speakers[self._site]
        if not speaker.process.works:
            self._spoken = (None, 0, 0)
            return
        wish = speaker.in_force().get(str(service))
        up = int(speaker.session_up)
        self._spoken = (None, 0, up) if wish is None else (wish.stance, wish.epoch, up)

    # --- the view ----------------------------------------------------------------------------

    def view(self, busy: frozenset[str], resting: frozenset[str]) -> View:
        """What is known now."""
        loop = self._loop
        knowledge, service = loop.knowledge, loop.spec.name
        stored, order = knowledge.record(service), self._world.order_of(self._site, service)
        record = stored
        if order is not None and order.assumed is not None:
            assumed = order.assumed
            record = stored if stored and stored.epoch >= assumed.epoch else assumed
        now = Instant(loop.process.clock.now())
        lasted: dict[str, float] = {}  # by trouble; what they are is seen in the view itself
        view = View(
            now=now,
            me=self._site,
            spec=weighed(loop.spec, knowledge.weights.weights(service)),
            own=self._own_side(now, lasted),
            record=record,
            record_seen_s=now - knowledge.answered,
            record_unchanged_s=knowledge.unchanged_s(loop.epoch_key),
            store_ok=knowledge.ok and not knowledge.reading,
            others={site: self._other(site) for site in self._other_sites},
            paused=knowledge.pause(service),
            request=knowledge.book.newest(service),
            acknowledged=knowledge.book.acknowledged(service),
            drains=knowledge.book.drains(),
            fences=knowledge.book.fences(),
            alone=None if order is None else order.request,
            stored=stored,
            changed_s=0.0 if knowledge.recent(service) else FOREVER_S,
            raised_here=record is not None and record.epoch == loop.raised,
            busy=busy | self.unseen() if self._late else busy,
            resting=resting - self.unseen() if self._late else resting,
            rejoining=loop.rejoining(),
            failed=loop.restraint.failed_for_good(),
            copied=loop.copied,
        )
        lasted.update(self._troubles(view))
        return view

    def _own_side(self, now: float, lasted: dict[str, float]) -> OwnSide:
        world, loop = self._world, self._loop
        service = loop.spec.name
        promised = loop.promised
        front_ok, held, in_flight, directed = self._front
        stance, stance_epoch, up = self._spoken
        served = front_ok and directed == {self._site} and world.apps_up[self._site, service] > 0
        return OwnSide(
            databases=tuple(self.states[name] for name in loop.spec.databases),
            promised=Epoch(promised),
            fenced=Epoch(loop.fenced),
            closings=tuple(self.closings.values()),
            commit_age_s={
                name: now - at
                for name, (epoch, at) in self.proofs.commits.items()
                if epoch == promised
            },
            trouble_s=lasted,
            front_ok=front_ok,
            held=held,
            held_s=now - self._held_since if held else 0.0,
            in_flight=in_flight,
            apps_up=world.apps_seen[self._site, service],
            apps_total=world.apps_total,
            directed_to=directed,
            stance=stance,  # type: ignore[arg-type]
            stance_epoch=Epoch(stance_epoch),
            sessions_up=up,
            sessions_total=1,
            addresses_missing=not world.addresses[self._site],
            canary_age_s=0.5 if served else FOREVER_S,
            lease_left_s=loop.lease_until - now,
            failing=world.failing[self._site],
        )

    def _other(self, site: SiteName) -> OtherSite:
        loop = self._loop
        report = loop.knowledge.report(site)
        senses, service = loop.controller.senses, loop.spec.name
        return OtherSite(
            report=None if report is None else _of_service(report.services, service),
            report_age_s=loop.knowledge.report_age_s(site),
            seen=senses.seen(site, service),
            seen_by={
                witness: senses.told(witness, site, service)
                for witness in loop.spec.witnesses
                if witness != site
            },
        )

    def _troubles(self, view: View) -> dict[str, float]:
        kinds = [trouble.kind for trouble in troubles.troubles(view)]
        if not kinds:
            if self._since:
                self._since.clear()
            return {}
        begun = (view.now, self._engine.now)
        self._since = {kind: self._since.get(kind, begun) for kind in kinds}
        asleep, rate = self._loop.controller.senses.stood_still, self._loop.process.clock.rate
        return {
            kind: max(0.0, view.now - since - asleep(truly) * rate)
            for kind, (since, truly) in self._since.items()
        }

    # --- when it would look different by itself ----------------------------------------------

    def next_threshold(self, view: View) -> float:
        """Seconds until some age in the view crosses a limit that a rule knows."""
        t = view.spec.timings
        suspect, fresh = t.suspect_after_s, t.report_fresh_s
        ages: list[tuple[float, tuple[float, ...]]] = []
        if not view.store_ok:
            ages.append((view.record_seen_s, (suspect,)))
        for site, other in view.others.items():
            ages.append((other.report_age_s, (fresh,)))
            if other.seen.control_s > self._world.heartbeat_s * 1.5:
                late = (suspect, 2 * suspect, t.controller_grace_s)
                for seen in (other.seen, *other.seen_by.values()):
                    ages.append((seen.control_s, late))
                    if site in view.spec.data_sites:
                        ages.append((seen.front_s, (suspect,)))
                        ages.append((seen.data_s, (suspect,)))
        ages.append((view.record_unchanged_s, (t.hand_over_s, t.yield_grace_s, _lease(view))))
        ages.extend((age, _PATIENCE) for age in view.own.trouble_s.values())
        if view.own.held:
            ages.append((view.own.held_s, (t.drain_s, t.hold_s)))
        if view.request is not None:
            ages.append((view.request.unchanged_s, (t.hand_over_s,)))
        left = view.own.lease_left_s
        if 0 < left < FOREVER_S and view.record is not None and view.record.holder == view.me:
            ages.append((-left, (0.0, t.lease_renew_s - t.lease_s)))
        return min(
            (limit - age for age, limits in ages for limit in limits if limit > age),
            default=FOREVER_S,
        )


_PATIENCE = (0.05, 0.2, 0.4, 0.5, 1.0, 1.5, 2.0, 5.0, 8.0)


def _lease(view: View) -> float:
    return view.spec.timings.lease_s + view.spec.timings.lease_margin_s


def _of_service(reports: tuple[ServiceReport, ...], service: str) -> ServiceReport | None:
    return next((found for found in reports if found.service == service), None)
