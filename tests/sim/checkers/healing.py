"""(g) After the last fault one site writes, everything votes again, and nothing flaps."""

from typing import ClassVar

from bgp.policy import Stance
from tests.sim.checkers.checker import Checker
from tests.sim.truth import AllHealed, EpochChanged, Event, Final, FinalDatabase, FinalService

SETTLED_S = 15.0  # after the last fault no epoch changes any more
ASKED = 210  # the rule of a hand-over: a drain that failed once is tried again half a minute later
CHANGES = 3  # at most so many role changes while it settles
ATTRACTING = frozenset({Stance.PREFERRED, Stance.OVERRIDE})


class Heals(Checker):
    """In the end the holder writes, every voter votes and no learner does, traffic and routes are
    the holder's, and its routes leave room for the next override.
    """

    name: ClassVar[str] = "heals"
    sees = (AllHealed, EpochChanged)

    def __init__(self) -> None:
        self.healed_at = float("inf")
        self.changes: list[EpochChanged] = []

    def see(self, event: Event) -> None:
        match event:
            case AllHealed(at=at):
                self.healed_at = at
                self.changes = []
            case EpochChanged():
                self.changes.append(event)
                self._flaps(event)
            case _:
                pass

    def _flaps(self, event: EpochChanged) -> None:
        if event.at - self.healed_at > SETTLED_S and event.rule != ASKED:
            late_s = event.at - self.healed_at
            self.broken(
                event.at,
                f"{event.holder} takes epoch {event.epoch} of {event.service} {late_s:.1f} s after "
                f"the last fault was mended: {event.reason}",
            )
        after = [c for c in self.changes if c.service == event.service and c.at > self.healed_at]
        if len(after) > CHANGES:
            self.broken(
                event.at,
                f"{event.service} has changed hands {len(after)} times since the last fault was "
                f"mended at {self.healed_at:.1f} s",
            )

    def end(self, final: Final) -> None:
        for service in final.services:
            if service.paused:
                continue
            if service.holder is None:
                self.broken(final.at, f"nobody holds {service.name}")
            for database in service.databases:
                self._database(final.at, service, database)
            self._traffic(final.at, service)

    def _database(self, at: float, service: FinalService, database: FinalDatabase) -> None:
        holder = service.holder
        assert holder is not None
        if database.writable.get(holder) != service.epoch:
            self.broken(
                at, f"{database.name} is not writable at {holder}, holder of epoch {service.epoch}"
            )
        others = sorted(set(database.writable) - {holder})
        if others:
            self.broken(at, f"{database.name} is writable at {', '.join(others)} too")
        if database.gates != frozenset({holder}):
            gates = ", ".join(sorted(database.gates)) or "nowhere"
            self.broken(
                at, f"{database.name} is open to clients at {gates}, its holder is {holder}"
            )
        everybody = frozenset((*service.data_sites, *service.witnesses)) - {holder}
        silent = sorted(everybody - service.learners - database.voting)
        if silent:
            self.broken(at, f"the copy of {database.name} at {', '.join(silent)} does not vote")
        learned = sorted(service.learners & database.voting)
        if learned:
            self.broken(at, f"the copy of {database.name} at {', '.join(learned)} still votes")

    def _traffic(self, at: float, service: FinalService) -> None:
        wrong = {site: to for site, to in service.directed.items() if to != service.holder}
        for site, to in sorted(wrong.items()):
            self.broken(
                at, f"haproxy of {site} sends {service.name} to {to}, not to {service.holder}"
            )
        attracting = {s for (_, s), stance in service.routes.items() if stance in ATTRACTING}
        if service.routes and attracting != {service.holder}:
            who = ", ".join(sorted(attracting)) or "nobody"
            self.broken(at, f"{who} attracts {service.name}, its holder is {service.holder}")
        if Stance.OVERRIDE in service.routes.values():
            self.broken(
                at,
                f"{service.holder} still overrides the routes of {service.name}: nobody could win "
                f"against it the next time",
            )
